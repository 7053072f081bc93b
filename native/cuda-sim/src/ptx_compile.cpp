// ptx_compile.cpp: statements to instructions: names are looked up, functions that are called become part of their caller, and registers
// share places in a warp's memory where their lives allow it.
#include <set>

#include "ptx.hpp"

namespace sim::ptx {

namespace {

const Forms& forms() {
    static const Forms all = [] {
        Forms f;
        add_arithmetic(f);
        add_warps(f);
        add_memory(f);
        add_atomics(f);
        add_async(f);
        return f;
    }();
    return all;
}

enum Width : uint8_t { PREDICATE, HALF, SINGLE, WIDE };

struct Symbol {
    enum Kind { REGISTER, SHARED, DYNAMIC_SHARED, PARAMETER } kind;
    Width width = SINGLE;
    uint32_t first = 0, count = 0; // register: its number, and how many share the name; else the address or offset
};

// %special registers, which mov reads
const std::map<std::string_view, int>& specials() {
    static const std::map<std::string_view, int> all = {
        {"%tid.x", 0},   {"%tid.y", 1},   {"%tid.z", 2},    {"%ntid.x", 3},   {"%ntid.y", 4},      {"%ntid.z", 5},
        {"%ctaid.x", 6}, {"%ctaid.y", 7}, {"%ctaid.z", 8},  {"%nctaid.x", 9}, {"%nctaid.y", 10},   {"%nctaid.z", 11},
        {"%laneid", 12}, {"%warpid", 13}, {"%clock64", 14}, {"%clock", 14},   {"%globaltimer", 14}};
    return all;
}

class Compiler {
public:
    Compiler(const Text& text, const Source& source) : text(text), source(source) {}

    Kernel run() {
        k.name = source.name;
        k.text = &text;
        k.parameters = source.parameters;
        k.max_threads = source.max_threads;
        for (const Variable& v : k.parameters) k.parameter_bytes = v.offset + v.bytes;
        if (k.parameter_bytes > PARAMETER_SPACE) throw Refusal{source.line, "parameters of more than 32764 bytes"};
        k.predicates = 2; // 0 is false, 1 is true
        shared_end = SHARED_BEGIN;
        function(source, {});
        k.static_shared = shared_end - SHARED_BEGIN;
        Instruction end{};
        end.kind = Kind::EXIT, end.name = "the end of the kernel", end.line = source.line, end.run = nullptr;
        k.code.push_back(end);
        for (auto& [at, branch] : branches) k.code[at].target = labels.at(branch);
        place_registers();
        for (size_t i = 0; i < k.code.size(); i++) k.code[i].o = k.operands.data() + starts[std::min(i, starts.size() - 1)];
        return std::move(k);
    }

private:
    const Text& text;
    const Source& source;
    Kernel k{};
    using Scope = std::unordered_map<std::string_view, Symbol>;
    std::vector<Scope> scopes;
    std::vector<uint64_t> scope_numbers;
    uint64_t next_scope = 0;
    size_t function_base = 0; // scopes of the function that is compiled begin here
    unsigned depth = 0;
    std::vector<Width> widths; // of registers, predicates aside
    uint32_t shared_end = 0;
    std::map<std::pair<Width, uint64_t>, int32_t> constants;
    std::vector<uint32_t> starts; // of each instruction's operands
    struct Use {
        uint32_t at, reg; // in Kernel::operands
        bool write;
    };
    std::vector<Use> uses;
    std::vector<uint32_t> use_starts;                                 // of each instruction
    std::map<std::pair<uint64_t, std::string_view>, uint32_t> labels; // by scope
    std::map<size_t, std::pair<uint64_t, std::string_view>> branches;
    const Statement* now = nullptr;

    [[noreturn]] void refuse(const std::string& why) const { throw Refusal{now->line, why}; }

    // ---- names

    const Symbol* find(std::string_view name, uint32_t* index) const {
        *index = 0;
        std::string_view prefix;
        uint32_t number = 0;
        if (name[0] == '%') {
            size_t digits = name.size();
            while (digits > 1 && name[digits - 1] >= '0' && name[digits - 1] <= '9') digits--;
            if (digits < name.size()) {
                prefix = name.substr(0, digits);
                for (size_t i = digits; i < name.size(); i++) number = number * 10 + uint32_t(name[i] - '0');
            }
        }
        for (size_t s = scopes.size(); s-- > function_base;) {
            auto found = scopes[s].find(name);
            if (found != scopes[s].end() && found->second.count <= 1) return &found->second;
            if (prefix.empty()) continue;
            found = scopes[s].find(prefix);
            if (found == scopes[s].end() || number >= found->second.count) continue;
            *index = number;
            return &found->second;
        }
        return nullptr;
    }
    uint32_t new_registers(Width width, uint32_t count) {
        const uint32_t first = uint32_t(widths.size());
        widths.resize(widths.size() + count, width);
        return first;
    }
    void declare(const Statement& s) {
        Symbol symbol{};
        if (s.kind == Statement::SHARED) {
            shared_end = (shared_end + s.align - 1) / s.align * s.align;
            symbol.kind = Symbol::SHARED, symbol.first = shared_end;
            k.shared.push_back({s.name, s.count, s.align, shared_end});
            shared_end += s.count;
        } else { // a parameter of a call is a register, too
            const unsigned bytes = s.kind == Statement::PARAMETER ? s.count : s.type == "pred" ? 0 : bytes_of(s.type);
            if (s.kind == Statement::PARAMETER && bytes != 4 && bytes != 8)
                refuse("a call with a parameter of " + std::to_string(bytes) + " bytes");
            symbol.kind = Symbol::REGISTER;
            symbol.width = bytes == 0 ? PREDICATE : bytes == 2 ? HALF : bytes == 4 ? SINGLE : WIDE;
            symbol.count = s.kind == Statement::PARAMETER ? 0 : s.count;
            const uint32_t registers = std::max(1u, symbol.count);
            if (symbol.width == PREDICATE)
                symbol.first = k.predicates, k.predicates += registers;
            else
                symbol.first = new_registers(symbol.width, registers);
        }
        scopes.back()[s.name] = symbol;
    }

    // ---- operands

    int32_t constant(uint64_t bits, Width width) {
        auto [i, added] = constants.try_emplace({width, width == WIDE ? bits : uint32_t(bits)}, ~int32_t(k.constants.size()));
        if (!added) return i->second;
        for (unsigned l = 0; l < LANES; l++) {
            k.constants.push_back(uint32_t(bits));
            if (width == WIDE) k.constants.push_back(uint32_t(bits >> 32));
        }
        return i->second;
    }

    void push(int32_t value) { k.operands.push_back(value); }
    void use(uint32_t reg, bool write) {
        uses.push_back({uint32_t(k.operands.size()), reg, write});
        push(0);
    }
    const Symbol& symbol_of(const Operand& o, uint32_t* index) {
        if (o.kind != Operand::NAME) refuse("a name is expected as an operand of " + std::string(now->name));
        const Symbol* s = find(o.name, index);
        if (s == nullptr) refuse("nothing has the name " + std::string(o.name));
        return *s;
    }
    void predicate(const Operand& o, bool write) {
        if (o.kind == Operand::INTEGER && !write) return push(o.bits != 0 ? 1 : 0);
        uint32_t index;
        const Symbol& s = symbol_of(o, &index);
        if (s.kind != Symbol::REGISTER || s.width != PREDICATE) refuse(std::string(o.name) + " is no predicate");
        push(int32_t(s.first + index));
    }
    static bool fits(Width width, char letter) {
        switch (letter) {
            case 'w': return width == SINGLE;
            case 'l': return width == WIDE;
            case 'h': return width == HALF;
            default: return width == SINGLE || width == HALF; // x
        }
    }
    void value(const Operand& o, char letter, bool write) {
        const Width width = letter == 'l' ? WIDE : SINGLE;
        if (!write && (o.kind == Operand::INTEGER || o.kind == Operand::FLOAT || o.kind == Operand::DOUBLE)) {
            if (o.kind == Operand::FLOAT && width == WIDE) refuse("a number of 32 bits where 64 are expected");
            if (o.kind == Operand::DOUBLE && width != WIDE) refuse("a number of 64 bits where 32 are expected");
            return push(constant(letter == 'h' ? o.bits & 0xffff : o.bits, width));
        }
        if (write && o.kind == Operand::NAME && o.name == "_") {
            return use(new_registers(letter == 'l' ? WIDE : letter == 'h' ? HALF : SINGLE, 1), true);
        }
        uint32_t index;
        if (!write && o.kind == Operand::NAME && find(o.name, &index) == nullptr) {
            for (const Variable& v : text.dynamic_shared)
                if (v.name == o.name) {
                    k.dynamic_align = std::max(k.dynamic_align, v.align);
                    dynamic_uses.push_back(uint32_t(k.operands.size()));
                    return push(letter == 'l' ? 1 : 0);
                }
            if (depth == 1)
                for (const Variable& v : source.parameters)
                    if (v.name == o.name) return push(constant(reinterpret_cast<uint64_t>(parameter_space()) + v.offset, WIDE));
        }
        const Symbol& s = symbol_of(o, &index);
        if (s.kind == Symbol::SHARED) {
            if (write) refuse("writes the name of a variable");
            return push(constant(s.first, width));
        }
        if (!fits(s.width, letter)) refuse(std::string(o.name) + " is not of the size that " + std::string(now->name) + " takes");
        use(s.first + index, write);
    }
    std::vector<uint32_t> dynamic_uses; // operands that are the beginning of dynamic shared memory

    void operand(const Operand& o, const char*& p) {
        const char c = *p++;
        if (c == 'P' || c == 'p') return predicate(o, c == 'P');
        if (c == 'i') {
            if (o.kind != Operand::INTEGER) refuse("a number is expected as an operand of " + std::string(now->name));
            return push(int32_t(o.bits));
        }
        if (c == 'a') { // [parameter + offset]
            if (o.kind != Operand::ADDRESS) refuse("an address is expected as an operand of " + std::string(now->name));
            for (const Variable& v : source.parameters)
                if (v.name == o.parts[0].name) return push(int32_t(v.offset + uint32_t(o.bits)));
            refuse("no parameter has the name " + std::string(o.parts[0].name));
        }
        if (c == '[') {
            const char letter = *p++;
            if (o.kind != Operand::ADDRESS || o.parts.empty()) refuse("an address is expected as an operand of " + std::string(now->name));
            value(o.parts[0], letter, false);
            push(int32_t(o.bits));
            if (*p >= '1' && *p <= '5') {
                const size_t axes = size_t(*p++ - '0');
                if (o.parts.size() != 2 || o.parts[1].parts.size() != axes) refuse(std::to_string(axes) + " coordinates are expected");
                for (const Operand& x : o.parts[1].parts) value(x, 'w', false);
            } else if (o.parts.size() != 1)
                refuse("an address with coordinates");
            p++; // ]
            return;
        }
        if (c == '{') {
            if (o.kind != Operand::LIST) refuse("a list is expected as an operand of " + std::string(now->name));
            for (const Operand& x : o.parts) {
                if (*p == '}') refuse("a list that is too long");
                operand(x, p);
            }
            if (*p++ != '}') refuse("a list that is too short");
            return;
        }
        const bool write = c >= 'A' && c <= 'Z';
        if (*p == '|') { // W|P
            p += 2;
            value(o, char(c | 32), true);
            if (o.parts.empty())
                push(NONE);
            else
                predicate(o.parts[0], true);
            return;
        }
        if (!o.parts.empty()) refuse("a second result of " + std::string(now->name));
        value(o, char(c | 32), write);
    }

    // ---- statements

    void emit(const Form& form, const std::vector<Operand>& operands) {
        Instruction i{};
        i.run = form.run, i.kind = form.kind, i.mask_at = form.mask_at, i.number = form.number;
        i.line = now->line, i.place = now->place, i.name = now->name;
        i.guard = -1;
        if (!now->guard.empty()) {
            uint32_t index;
            const Symbol* s = find(now->guard, &index);
            if (s == nullptr || s->width != PREDICATE || s->kind != Symbol::REGISTER) refuse(std::string(now->guard) + " is no predicate");
            i.guard = int32_t(s->first + index), i.guard_negated = now->guard_negated;
        }
        starts.push_back(uint32_t(k.operands.size()));
        use_starts.push_back(uint32_t(uses.size()));
        const char* p = form.pattern.c_str();
        size_t at = 0;
        bool optional = false;
        while (*p != 0) {
            if (*p == '?') {
                optional = true, p++;
                continue;
            }
            if (at == operands.size()) {
                if (!optional) refuse(std::string(now->name) + " with too few operands");
                push(NONE), p++;
                continue;
            }
            operand(operands[at++], p);
        }
        if (at < operands.size()) refuse(std::string(now->name) + " with too many operands");
        k.code.push_back(i);
    }

    void branch(uint64_t scope, std::string_view label) {
        static const Form form{"", nullptr, Kind::BRANCH};
        branches[k.code.size()] = {scope, label};
        emit(form, {});
    }

    // The scope, from here outwards, that has the label.
    uint64_t scope_of_label(std::string_view label) {
        for (size_t s = scope_numbers.size(); s-- > function_base;)
            if (body_labels.count({scope_numbers[s], label}) > 0) return scope_numbers[s];
        refuse("no label has the name " + std::string(label));
    }
    std::set<std::pair<uint64_t, std::string_view>> body_labels; // with the braces that hold them

    void function(const Source& f, const std::vector<std::pair<std::string_view, Symbol>>& bound) {
        if (++depth > 8) refuse("functions that call each other too deeply");
        const size_t outer_base = function_base;
        const Statement* outer = now;
        function_base = scopes.size();
        const uint64_t top = next_scope;
        { // which labels lie in which braces, in the order in which the braces will be numbered
            uint64_t number = next_scope;
            std::vector<uint64_t> open{number++};
            for (const Statement& s : f.body) {
                if (s.kind == Statement::OPEN)
                    open.push_back(number++);
                else if (s.kind == Statement::CLOSE)
                    open.pop_back();
                else if (s.kind == Statement::LABEL)
                    body_labels.insert({open.back(), s.name});
            }
            next_scope = number;
        }
        uint64_t number = top;
        auto open = [&] {
            scopes.emplace_back();
            scope_numbers.push_back(number++);
        };
        open();
        for (const auto& [name, symbol] : bound) scopes.back()[name] = symbol;
        const std::string_view end = "the end";
        for (const Statement& s : f.body) {
            now = &s;
            switch (s.kind) {
                case Statement::OPEN: open(); break;
                case Statement::CLOSE: scopes.pop_back(), scope_numbers.pop_back(); break;
                case Statement::LABEL: labels[{scope_numbers.back(), s.name}] = uint32_t(k.code.size()); break;
                case Statement::REGISTERS:
                case Statement::SHARED:
                case Statement::PARAMETER: declare(s); break;
                case Statement::INSTRUCTION: instruction(top, end); break;
            }
        }
        labels[{top, end}] = uint32_t(k.code.size());
        scopes.pop_back(), scope_numbers.pop_back();
        function_base = outer_base;
        now = outer;
        depth--;
    }

    void instruction(uint64_t top, std::string_view end) {
        const Statement& s = *now;
        if (s.name == "bra" || s.name == "bra.uni") {
            if (s.operands.size() != 1 || s.operands[0].kind != Operand::NAME) refuse("a branch to no label");
            return branch(scope_of_label(s.operands[0].name), s.operands[0].name);
        }
        if (s.name == "ret" || s.name == "exit") {
            if (depth > 1 && s.name == "ret") return branch(top, end);
            static const Form form{"", nullptr, Kind::EXIT};
            return emit(form, {});
        }
        if (s.name == "call.uni" || s.name == "call") return call(s);
        std::string key(s.name);
        // Parameters of calls are registers: moves.
        if (key.compare(0, 9, "ld.param.") == 0 || key.compare(0, 9, "st.param.") == 0) {
            const bool load = key[0] == 'l';
            if (s.operands.size() != 2) refuse(key + " without two operands");
            const Operand& address = s.operands[load ? 1 : 0];
            uint32_t index;
            const Symbol* local =
                address.kind == Operand::ADDRESS && address.parts[0].kind == Operand::NAME ? find(address.parts[0].name, &index) : nullptr;
            if (local != nullptr) {
                if (address.bits != 0) refuse("a part of a parameter of a call");
                key = "mov." + key.substr(9);
                return emit(form(key), load ? std::vector<Operand>{s.operands[0], address.parts[0]}
                                            : std::vector<Operand>{address.parts[0], s.operands[1]});
            }
        }
        if (key.compare(0, 4, "mov.") == 0 && s.operands.size() == 2) {
            const Operand& from = s.operands[1];
            if (from.kind == Operand::LIST)
                key += ".pack";
            else if (s.operands[0].kind == Operand::LIST)
                key += ".unpack";
            else if (from.kind == Operand::NAME) {
                auto special = specials().find(from.name);
                if (special != specials().end()) {
                    Form reads = form(bytes_of(key.substr(4)) == 8 ? "mov special 64" : "mov special 32");
                    reads.number = special->second;
                    return emit(reads, {s.operands[0]});
                }
            }
        }
        if (key.compare(0, 3, "ld.") == 0 && !s.operands.empty() && s.operands[0].kind == Operand::NAME &&
            bytes_of(key.substr(key.rfind('.') + 1)) < 8) {
            uint32_t index;
            const Symbol* to = find(s.operands[0].name, &index);
            if (to != nullptr && to->width == WIDE) key += " wide";
        }
        if (key.compare(0, 15, "wgmma.mma_async") == 0 && s.operands.size() > 1 && s.operands[1].kind == Operand::LIST) key += " registers";
        emit(form(key), s.operands);
        if (key.compare(0, 15, "wgmma.mma_async") == 0)
            k.asynchronous = true, products.push_back(uint32_t(k.code.size() - 1));
        else if (key.find(".async.bulk") != std::string::npos)
            k.asynchronous = true;
    }
    const Form& form(const std::string& key) const {
        auto found = forms().find(key);
        if (found == forms().end()) refuse("the instruction " + key + " is not known to the simulator");
        return found->second;
    }
    std::vector<uint32_t> products; // instructions that are wgmma

    void call(const Statement& s) {
        if (!s.guard.empty()) refuse("a call under a condition");
        if (s.operands.size() != 3 || s.operands[0].kind != Operand::LIST || s.operands[2].kind != Operand::LIST)
            refuse("a call of another form than (result), function, (parameters)");
        const Source* callee = nullptr;
        for (const Source& f : text.sources)
            if (!f.entry && f.name == s.operands[1].name && !f.body.empty()) callee = &f;
        if (callee == nullptr) refuse("the function " + std::string(s.operands[1].name) + " has no body");
        std::vector<std::pair<std::string_view, Symbol>> bound;
        auto bind = [&](const std::vector<Variable>& formal, const std::vector<Operand>& actual) {
            if (formal.size() != actual.size()) refuse("a call with the wrong number of parameters");
            for (size_t i = 0; i < formal.size(); i++) {
                uint32_t index;
                const Symbol& symbol = symbol_of(actual[i], &index);
                bound.emplace_back(formal[i].name, symbol);
            }
        };
        bind(callee->results, s.operands[0].parts);
        bind(callee->parameters, s.operands[2].parts);
        function(*callee, bound);
    }

    // ---- registers

    // Each register gets words of a warp's memory from its first to its last life; those of products are nobody else's.
    void place_registers() {
        const uint32_t dynamic_begin = (SHARED_BEGIN + k.static_shared + k.dynamic_align - 1) / k.dynamic_align * k.dynamic_align;
        for (uint32_t at : dynamic_uses) k.operands[at] = constant(dynamic_begin, k.operands[at] == 1 ? WIDE : SINGLE);
        const size_t n = k.code.size(), registers = widths.size();
        use_starts.resize(n + 1, uint32_t(uses.size()));
        starts.push_back(uint32_t(k.operands.size()));
        // blocks
        std::vector<uint32_t> begins;
        std::vector<bool> leads(n + 1, false);
        leads[0] = true;
        for (size_t i = 0; i < n; i++)
            if (k.code[i].kind == Kind::BRANCH)
                leads[k.code[i].target] = leads[i + 1] = true;
            else if (k.code[i].kind == Kind::EXIT)
                leads[i + 1] = true;
        std::vector<uint32_t> block_of(n);
        for (size_t i = 0; i < n; i++) {
            if (leads[i]) begins.push_back(uint32_t(i));
            block_of[i] = uint32_t(begins.size() - 1);
        }
        const size_t blocks = begins.size(), words = (registers + 63) / 64;
        begins.push_back(uint32_t(n));
        using Bits = std::vector<uint64_t>;
        std::vector<Bits> reads(blocks, Bits(words)), writes(blocks, Bits(words)), live_in(blocks, Bits(words)),
            live_out(blocks, Bits(words));
        auto has = [](const Bits& b, uint32_t r) { return (b[r / 64] >> r % 64 & 1) != 0; };
        auto add = [](Bits& b, uint32_t r) { b[r / 64] |= uint64_t(1) << r % 64; };
        for (size_t b = 0; b < blocks; b++)
            for (uint32_t i = begins[b]; i < begins[b + 1]; i++) {
                for (uint32_t u = use_starts[i]; u < use_starts[i + 1]; u++)
                    if (!uses[u].write && !has(writes[b], uses[u].reg)) add(reads[b], uses[u].reg);
                if (k.code[i].guard >= 0) continue; // perhaps it does not write
                for (uint32_t u = use_starts[i]; u < use_starts[i + 1]; u++)
                    if (uses[u].write && !has(reads[b], uses[u].reg)) add(writes[b], uses[u].reg);
            }
        for (bool changed = true; changed;) {
            changed = false;
            for (size_t b = blocks; b-- > 0;) {
                const Instruction& last = k.code[begins[b + 1] - 1];
                auto join = [&](size_t next) {
                    for (size_t w = 0; w < words; w++) live_out[b][w] |= live_in[next][w];
                };
                if (last.kind == Kind::BRANCH) join(block_of[last.target]);
                const bool falls = (last.kind != Kind::BRANCH && last.kind != Kind::EXIT) || last.guard >= 0;
                if (falls && begins[b + 1] < n) join(block_of[begins[b + 1]]);
                for (size_t w = 0; w < words; w++) {
                    const uint64_t live = reads[b][w] | (live_out[b][w] & ~writes[b][w]);
                    if (live != live_in[b][w]) live_in[b][w] = live, changed = true;
                }
            }
        }
        std::vector<uint32_t> from(registers, UINT32_MAX), to(registers, 0);
        auto lives = [&](uint32_t r, uint32_t at) { from[r] = std::min(from[r], at), to[r] = std::max(to[r], at); };
        for (size_t b = 0; b < blocks; b++)
            for (size_t w = 0; w < words; w++) {
                for (uint64_t bits = live_in[b][w]; bits != 0; bits &= bits - 1)
                    lives(uint32_t(w * 64) + unsigned(__builtin_ctzll(bits)), begins[b]);
                for (uint64_t bits = live_out[b][w]; bits != 0; bits &= bits - 1)
                    lives(uint32_t(w * 64) + unsigned(__builtin_ctzll(bits)), begins[b + 1] - 1);
            }
        for (size_t i = 0; i < n; i++)
            for (uint32_t u = use_starts[i]; u < use_starts[i + 1]; u++) lives(uses[u].reg, uint32_t(i));

        std::vector<int32_t> place(registers, -1);
        std::vector<bool> own(registers, false);
        for (uint32_t i : products)
            for (uint32_t u = use_starts[i]; u < use_starts[i + 1]; u++)
                if (widths[uses[u].reg] == SINGLE) own[uses[u].reg] = true;
        std::vector<uint32_t> order;
        for (uint32_t r = 0; r < registers; r++)
            if (from[r] != UINT32_MAX && !own[r]) order.push_back(r);
        std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return from[a] < from[b]; });
        uint32_t next = 0; // of words
        for (bool wide : {true, false}) {
            std::vector<std::pair<uint32_t, int32_t>> ends_at; // a heap: when a place becomes free
            std::vector<int32_t> free;
            const auto later = [](const auto& a, const auto& b) { return a.first > b.first; };
            for (uint32_t r : order) {
                if ((widths[r] == WIDE) != wide) continue;
                while (!ends_at.empty() && ends_at.front().first < from[r]) {
                    free.push_back(ends_at.front().second);
                    std::pop_heap(ends_at.begin(), ends_at.end(), later);
                    ends_at.pop_back();
                }
                if (free.empty()) free.push_back(int32_t(next)), next += wide ? 2 * LANES : LANES;
                place[r] = free.back();
                free.pop_back();
                ends_at.emplace_back(to[r], place[r]);
                std::push_heap(ends_at.begin(), ends_at.end(), later);
            }
        }
        k.wgmma_begin = next;
        for (uint32_t r = 0; r < registers; r++)
            if (own[r]) place[r] = int32_t(next), next += LANES, k.wgmma_rows++;
        k.words = next;
        for (const Use& u : uses) k.operands[u.at] = place[u.reg];
        if (k.wgmma_rows == 0) return;
        for (size_t i = 0; i < n; i++) {
            if (std::find(products.begin(), products.end(), i) != products.end()) continue;
            k.code[i].references = uint32_t(k.references.size());
            for (uint32_t u = use_starts[i]; u < use_starts[i + 1]; u++)
                if (own[uses[u].reg]) k.references.push_back({uses[u].at - starts[i], uses[u].write});
            k.code[i].reference_count = uint32_t(k.references.size()) - k.code[i].references;
            k.code[i].touches = k.code[i].reference_count > 0;
        }
    }
};

} // namespace

Kernel compile(const Text& text, const Source& source) { return Compiler(text, source).run(); }

} // namespace sim::ptx
