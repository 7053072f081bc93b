// memory.cpp: device memory and pinned host memory. Each allocation begins a granule that was never used before and is
// followed by an unmapped one; what is freed answers no one any more; new bytes are 0xFF, which is NaN in every float type.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "sim.hpp"

namespace sim {

uint64_t range_begin = 0;
uint32_t* granules = nullptr;
Allocation* allocations = nullptr;
std::vector<HostRange> registered;

namespace {
constexpr uint32_t MAX_ALLOCATIONS = RANGE / GRANULE / 2;
constexpr uint64_t POISON_BYTES = 4 << 20;
uint64_t next_granule = 1; // the first stays unused, so that address 0 + small is never near
uint32_t last_allocation = 0, first_of_reset = 1;
int poison_file = -1;

void* reserve(uint64_t bytes, int protection) {
    void* p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? nullptr : p;
}

bool start() {
    if (range_begin != 0) return true;
    void* range = reserve(RANGE, PROT_NONE);
    granules = static_cast<uint32_t*>(reserve(RANGE / GRANULE * sizeof(uint32_t), PROT_READ | PROT_WRITE));
    allocations = static_cast<Allocation*>(reserve(uint64_t(MAX_ALLOCATIONS) * sizeof(Allocation), PROT_READ | PROT_WRITE));
    poison_file = memfd_create("poison", MFD_CLOEXEC);
    if (range == nullptr || granules == nullptr || allocations == nullptr || poison_file < 0) return false;
    std::vector<unsigned char> poison(POISON_BYTES, 0xff);
    if (write(poison_file, poison.data(), POISON_BYTES) != ssize_t(POISON_BYTES)) return false;
    range_begin = reinterpret_cast<uint64_t>(range);
    return true;
}
} // namespace

Allocation* allocate(uint64_t bytes, bool pinned, int device) {
    if (!start()) return nullptr;
    const uint64_t count = (bytes + GRANULE - 1) / GRANULE;
    if (next_granule + count + 1 > RANGE / GRANULE || last_allocation + 1 >= MAX_ALLOCATIONS) return nullptr;
    const uint64_t begin = range_begin + next_granule * GRANULE;
    const uint64_t page = sysconf(_SC_PAGESIZE), mapped = (bytes + page - 1) / page * page;
    if (mapped <= POISON_BYTES) {
        if (mprotect(reinterpret_cast<void*>(begin), mapped, PROT_READ | PROT_WRITE) != 0) return nullptr;
        std::memset(reinterpret_cast<void*>(begin), 0xff, mapped);
    } else { // copies of one poisoned file, made when they are written: a planned gigabyte that nobody touches costs nothing
        for (uint64_t at = 0; at < mapped; at += POISON_BYTES) {
            const uint64_t part = std::min(POISON_BYTES, mapped - at);
            if (mmap(reinterpret_cast<void*>(begin + at), part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                     poison_file, 0) == MAP_FAILED)
                return nullptr;
        }
    }
    Allocation& a = allocations[++last_allocation];
    a = Allocation{begin, bytes, last_allocation - first_of_reset + 1, device, true, pinned, nullptr};
    for (uint64_t i = 0; i < count; i++) granules[next_granule + i] = last_allocation;
    next_granule += count + 1;
    return &a;
}

void release(Allocation* a) {
    const uint64_t mapped = (a->bytes + GRANULE - 1) / GRANULE * GRANULE;
    a->live = false;
    mmap(reinterpret_cast<void*>(a->begin), mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void release_all() {
    for (uint32_t i = first_of_reset; i <= last_allocation; i++)
        if (allocations[i].live) release(&allocations[i]);
    first_of_reset = last_allocation + 1;
    forget_shadows();
    registered.clear();
}

int64_t used_bytes(int device) {
    int64_t used = 0; // whole granules, as a device's allocator rounds, too
    for (uint32_t i = first_of_reset; i <= last_allocation; i++) {
        const Allocation& a = allocations[i];
        if (a.live && !a.pinned && a.device == device) used += int64_t((a.bytes + GRANULE - 1) / GRANULE * GRANULE);
    }
    return used;
}

int64_t live_allocations() {
    int64_t live = 0;
    for (uint32_t i = first_of_reset; i <= last_allocation; i++) live += allocations[i].live;
    return live;
}

static std::string name_of(const Allocation& a) {
    std::ostringstream out;
    out << (a.live ? "" : "freed ") << (a.pinned ? "pinned host" : "device") << " allocation #" << a.number << " of " << a.bytes
        << " bytes";
    return out.str();
}

std::string describe(uint64_t address) {
    std::ostringstream out;
    out << "0x" << std::hex << address << std::dec << " (";
    const Allocation *below = nullptr, *above = nullptr;
    if (range_begin != 0 && address - range_begin < RANGE) {
        for (uint32_t i = 1; i <= last_allocation; i++) {
            const Allocation& a = allocations[i];
            if (a.begin <= address) below = &a;
            else if (above == nullptr) above = &a;
        }
    }
    const uint64_t past = below == nullptr ? UINT64_MAX : address - below->begin;
    if (below != nullptr && past < below->bytes) out << "byte " << past << " of " << name_of(*below);
    else if (above != nullptr && (below == nullptr || above->begin - address < past - below->bytes))
        out << above->begin - address << " bytes before " << name_of(*above);
    else if (below != nullptr) out << past - below->bytes << " bytes past the end of " << name_of(*below);
    else out << "no memory of the device";
    out << ")";
    return out.str();
}

std::string place(uint64_t address) {
    const Allocation* a = range_begin == 0 ? nullptr : allocation_at(address);
    if (a == nullptr) return address == 0 ? "null" : "host";
    std::ostringstream out;
    out << "#" << a->number;
    if (address != a->begin) out << "+" << address - a->begin;
    return out.str();
}

bool device_range(uint64_t address, uint64_t bytes, std::string* problem) {
    const Allocation* a = range_begin == 0 ? nullptr : allocation_at(address);
    if (a != nullptr && a->live && address - a->begin <= a->bytes && bytes <= a->bytes - (address - a->begin)) return true;
    for (const HostRange& r : registered)
        if (address - r.begin <= r.bytes && bytes <= r.bytes - (address - r.begin)) return true;
    if (problem != nullptr) {
        std::ostringstream out;
        out << bytes << " bytes at " << describe(address) << " are not inside one live allocation";
        *problem = out.str();
    }
    return false;
}

} // namespace sim
