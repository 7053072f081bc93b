// module.cpp: a module is PTX (ptx_run.cpp) or a shared object of kernels compiled for the simulator (build-kernels), given as its bytes.
#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sim.hpp"
#include "where.hpp"

namespace sim {

namespace {
std::mutex loaded_mutex;
std::vector<Module*> loaded; // for where()

// "acc" of "rmsnorm::row_sum(float)::acc"
std::string plain_name(const char* symbol) {
    int status = 0;
    char* demangled = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
    std::string name = demangled != nullptr ? demangled : symbol;
    std::free(demangled);
    return name;
}

Failure bad_image(const std::string& why) { return Failure{INVALID_IMAGE, "the image " + why}; }

// Bytes of an ELF file in memory: its section headers come last, as ld writes them, or something else does.
uint64_t image_bytes(const unsigned char* image) {
    const auto* header = reinterpret_cast<const Elf64_Ehdr*>(image);
    uint64_t end = header->e_shoff + uint64_t(header->e_shnum) * header->e_shentsize;
    const auto* sections = reinterpret_cast<const Elf64_Shdr*>(image + header->e_shoff);
    for (unsigned i = 0; i < header->e_shnum; i++)
        if (sections[i].sh_type != SHT_NOBITS) end = std::max(end, uint64_t(sections[i].sh_offset + sections[i].sh_size));
    return end;
}

void find_shared_memory(const unsigned char* image, Module& module) {
    const auto* header = reinterpret_cast<const Elf64_Ehdr*>(image);
    const auto* sections = reinterpret_cast<const Elf64_Shdr*>(image + header->e_shoff);
    const char* names = reinterpret_cast<const char*>(image + sections[header->e_shstrndx].sh_offset);
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (std::strcmp(names + sections[i].sh_name, ".bss") != 0) continue;
        module.shared_begin = module.load + sections[i].sh_addr;
        module.shared_end = module.shared_begin + sections[i].sh_size;
    }
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        const auto* symbols = reinterpret_cast<const Elf64_Sym*>(image + sections[i].sh_offset);
        const char* strings = reinterpret_cast<const char*>(image + sections[sections[i].sh_link].sh_offset);
        for (uint64_t s = 0; s < sections[i].sh_size / sizeof(Elf64_Sym); s++) {
            const uint64_t at = module.load + symbols[s].st_value;
            if (ELF64_ST_TYPE(symbols[s].st_info) == STT_OBJECT && symbols[s].st_size > 0 && at >= module.shared_begin &&
                at < module.shared_end)
                module.statics.push_back({at, symbols[s].st_size, plain_name(strings + symbols[s].st_name)});
        }
    }
    std::sort(module.statics.begin(), module.statics.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
    const uint64_t bytes = module.shared_end - module.shared_begin;
    module.words.resize(bytes / 4 + 1);
    module.bytes.resize(bytes + 4);
}
} // namespace

Module::~Module() {
    {
        std::lock_guard<std::mutex> guard(loaded_mutex);
        for (size_t i = 0; i < loaded.size(); i++)
            if (loaded[i] == this) loaded.erase(loaded.begin() + long(i--));
    }
    if (library != nullptr) dlclose(library);
    if (file >= 0) close(file);
}

const Module::Symbol* Module::shared_variable_below(uint64_t address) const {
    if (address - shared_begin >= shared_end - shared_begin) return nullptr;
    auto above = std::upper_bound(statics.begin(), statics.end(), address, [](uint64_t a, const Symbol& s) { return a < s.begin; });
    return above == statics.begin() ? nullptr : &above[-1];
}

Failure load_module(const void* image, std::shared_ptr<Module>* out) {
    const auto* bytes = static_cast<const unsigned char*>(image);
    const char* text = static_cast<const char*>(image);
    if (std::strncmp(text, "//", 2) == 0 || std::strncmp(text, ".version", 8) == 0) {
        auto module = std::make_shared<Module>();
        const Failure failure = ptx::load(text, &module->ptx);
        if (failure.code == OK) *out = module;
        return failure;
    }
    if (std::memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return bad_image("is neither PTX nor a shared object of kernels built for the simulator (native/cuda-sim/build-kernels)");
    const auto* header = reinterpret_cast<const Elf64_Ehdr*>(bytes);
    if (header->e_machine != EM_X86_64 || header->e_type != ET_DYN)
        return Failure{NO_BINARY_FOR_GPU, "the image is ELF code for another machine, not a shared object of kernels built for the simulator"};
    auto module = std::make_shared<Module>();
    module->file = memfd_create("kernels", MFD_CLOEXEC);
    const uint64_t length = image_bytes(bytes);
    for (uint64_t at = 0; at < length;) {
        const ssize_t n = write(module->file, bytes + at, length - at);
        if (n <= 0) return Failure{OUT_OF_MEMORY, "no memory for the image"};
        at += uint64_t(n);
    }
    const std::string path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(module->file);
    module->library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module->library == nullptr) return bad_image(std::string("does not load: ") + dlerror());
    struct link_map* map = nullptr;
    if (dlinfo(module->library, RTLD_DI_LINKMAP, &map) != 0) return bad_image("does not say where it lies");
    module->load = map->l_addr;
    const auto* segments = reinterpret_cast<const Elf64_Phdr*>(bytes + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const uint64_t begin = module->load + segments[i].p_vaddr;
        if (segments[i].p_type == PT_LOAD) module->constant.emplace_back(begin, begin + segments[i].p_filesz);
    }
    find_shared_memory(bytes, *module);
    std::lock_guard<std::mutex> guard(loaded_mutex);
    loaded.push_back(module.get());
    *out = module;
    return Failure{};
}

Failure find_function(const std::shared_ptr<Module>& module, const char* name, std::shared_ptr<Function>* out) {
    if (module->ptx != nullptr) {
        *out = ptx::find(module, name);
        return *out != nullptr ? Failure{} : Failure{NOT_FOUND, std::string("no kernel ") + name + " in the PTX"};
    }
    void* info = dlsym(module->library, (std::string("sim_kernel_") + name).c_str());
    if (info == nullptr) return Failure{NOT_FOUND, std::string("no kernel ") + name + " in the module (is KERNEL(" + name + ") missing?)"};
    auto function = std::make_shared<Function>();
    function->module = module;
    function->name = name;
    function->info = static_cast<const sim_kernel_info*>(info);
    for (unsigned i = 0, offset = 0; i < function->info->parameter_count; i++) { // each at the next multiple of 16
        const unsigned bytes = function->info->parameter_bytes[i];
        function->parameters.push_back({offset, bytes});
        offset += (bytes + 15) / 16 * 16;
    }
    // Shared variables declared in the kernel's own body; those of functions that it calls are not known to be its.
    const std::string own = std::string(name) + "::", own_with_arguments = std::string(name) + "(";
    for (const auto& v : module->statics)
        if (v.name.rfind(own, 0) == 0 || v.name.rfind(own_with_arguments, 0) == 0) function->static_shared += unsigned(v.bytes);
    *out = function;
    return Failure{};
}

std::string where(const void* pc) {
    const uint64_t address = reinterpret_cast<uint64_t>(pc) - 1; // inside the call
    uint64_t offset = 0;
    int file = -1;
    {
        std::lock_guard<std::mutex> guard(loaded_mutex);
        for (const Module* m : loaded)
            for (const auto& [begin, end] : m->constant)
                if (address >= begin && address < end) offset = address - m->load, file = m->file;
    }
    if (file < 0) return "";
    std::ostringstream command;
    command << "addr2line -Cfspe /proc/" << getpid() << "/fd/" << file << " 0x" << std::hex << offset << " 2>/dev/null";
    FILE* pipe = popen(command.str().c_str(), "r");
    if (pipe == nullptr) return "";
    char line[512] = "";
    const bool read = std::fgets(line, sizeof line, pipe) != nullptr;
    pclose(pipe);
    line[std::strcspn(line, "\n")] = 0;
    return read && line[0] != 0 && line[0] != '?' ? std::string(" [") + line + "]" : "";
}

} // namespace sim
