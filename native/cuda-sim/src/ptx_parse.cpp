// ptx_parse.cpp: PTX text to statements. What it does not know it refuses, with the line.
#include "ptx.hpp"

namespace sim::ptx {

unsigned bytes_of(std::string_view type) {
    if (type == "b8" || type == "u8" || type == "s8") return 1;
    if (type == "b16" || type == "u16" || type == "s16" || type == "f16" || type == "bf16") return 2;
    if (type == "b32" || type == "u32" || type == "s32" || type == "f32") return 4;
    if (type == "b64" || type == "u64" || type == "s64" || type == "f64") return 8;
    return 0;
}

namespace {

bool in_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '%';
}

class Parser {
public:
    explicit Parser(Text& text) : out(text), p(text.text.data()), end(p + text.text.size()) {}

    void run() {
        for (skip(); p < end; skip()) {
            const std::string_view d = directive();
            if (d == ".version")
                until_line_end();
            else if (d == ".target")
                target();
            else if (d == ".address_size") {
                if (integer() != 64) refuse(".address_size that is not 64");
            } else if (d == ".file")
                file();
            else if (d == ".section") {
                while (p < end && *p != '{') advance();
                block();
            } else if (d == ".visible" || d == ".weak")
                continue;
            else if (d == ".extern")
                external();
            else if (d == ".entry" || d == ".func")
                function(d == ".entry");
            else
                refuse("the directive " + std::string(d));
        }
        for (Source& s : out.sources)
            if (s.entry && s.body.empty()) throw Refusal{s.line, "the kernel " + std::string(s.name) + " has no body"};
    }

private:
    Text& out;
    const char* p;
    const char* end;
    uint32_t line = 1;
    Place place{0, 0};

    [[noreturn]] void refuse(const std::string& what) { throw Refusal{line, what + " is not known to the simulator"}; }
    [[noreturn]] void expected(const std::string& what) {
        throw Refusal{line, "expected " + what + " at \"" + std::string(p, std::min<size_t>(size_t(end - p), 20)) + "\""};
    }
    void advance() { line += *p++ == '\n'; }
    void skip() { // blanks and comments
        for (; p < end; advance()) {
            if (*p == '/' && p + 1 < end && p[1] == '/') {
                while (p < end && *p != '\n') p++;
                if (p == end) return;
            } else if (*p == '/' && p + 1 < end && p[1] == '*') {
                for (p += 2; p + 1 < end && !(*p == '*' && p[1] == '/');) advance();
                p++;
            } else if (*p != ' ' && *p != '\t' && *p != '\n' && *p != '\r' && *p != 0)
                return;
        }
    }
    void until_line_end() {
        while (p < end && *p != '\n') p++;
    }
    bool take(char c) {
        skip();
        if (p == end || *p != c) return false;
        p++;
        return true;
    }
    void need(char c) {
        if (!take(c)) expected(std::string(1, c));
    }
    std::string_view word() {
        skip();
        const char* from = p;
        while (p < end && in_word(*p)) p++;
        if (from == p) expected("a name");
        return {from, size_t(p - from)};
    }
    std::string_view directive() {
        skip();
        const char* from = p;
        if (p == end || *p != '.') expected("a directive");
        for (p++; p < end && in_word(*p);) p++;
        return {from, size_t(p - from)};
    }
    std::string_view dotted() { // an opcode with its modifiers, which may hold "::"
        skip();
        const char* from = p;
        while (p < end && (in_word(*p) || *p == '.' || (*p == ':' && p + 1 < end && p[1] == ':'))) p += *p == ':' ? 2 : 1;
        return {from, size_t(p - from)};
    }
    int64_t integer() {
        const bool negative = take('-');
        const std::string_view w = word();
        uint64_t x = 0;
        const bool hex = w.size() > 2 && w[0] == '0' && (w[1] == 'x' || w[1] == 'X');
        for (size_t i = hex ? 2 : 0; i < w.size(); i++) {
            const char c = w[i];
            if (c == 'U' && i + 1 == w.size()) break;
            const int digit = c >= '0' && c <= '9'          ? c - '0'
                              : hex && c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : hex && c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                            : -1;
            if (digit < 0) expected("a number, not " + std::string(w));
            x = x * (hex ? 16 : 10) + uint64_t(digit);
        }
        return negative ? -int64_t(x) : int64_t(x);
    }
    void target() {
        skip();
        const char* from = p;
        while (p < end && (in_word(*p))) p++;
        out.target.assign(from, p);
        until_line_end();
    }
    void file() {
        const uint32_t number = uint32_t(integer());
        need('"');
        const char* from = p;
        while (p < end && *p != '"') p++;
        const std::string path(from, p);
        out.files[number] = path.substr(path.rfind('/') + 1);
        until_line_end();
    }
    void block() { // over braces
        need('{');
        for (unsigned depth = 1; depth > 0; advance()) {
            if (p == end) expected("}");
            depth += *p == '{' ? 1 : *p == '}' ? -1 : 0;
        }
    }
    // .align 4 .b8 name[100], or .u64 name
    Variable variable() {
        Variable v{{}, 0, 0, 0};
        std::string_view d = directive();
        if (d == ".align") v.align = uint32_t(integer()), d = directive();
        const unsigned bytes = bytes_of(d.substr(1));
        if (bytes == 0) refuse("the type " + std::string(d));
        if (v.align == 0) v.align = bytes;
        v.name = word();
        v.bytes = bytes;
        if (take('[')) {
            skip();
            v.bytes = *p == ']' ? 0 : bytes * uint32_t(integer());
            need(']');
        }
        return v;
    }
    void external() {
        const std::string_view d = directive();
        if (d != ".shared") refuse("the directive .extern " + std::string(d));
        out.dynamic_shared.push_back(variable());
        need(';');
    }
    std::vector<Variable> parameters() {
        std::vector<Variable> list;
        need('(');
        uint32_t offset = 0;
        while (!take(')')) {
            if (!list.empty()) need(',');
            if (directive() != ".param") expected(".param");
            list.push_back(variable());
            Variable& v = list.back();
            offset = (offset + v.align - 1) / v.align * v.align;
            v.offset = offset;
            offset += v.bytes;
        }
        return list;
    }
    void function(bool entry) {
        Source s;
        s.entry = entry;
        skip();
        if (!entry && *p == '(') s.results = parameters();
        s.name = word();
        s.line = line;
        skip();
        if (*p == '(') s.parameters = parameters();
        for (skip(); p < end && *p == '.'; skip()) {
            const std::string_view d = directive();
            if (d == ".maxntid" || d == ".reqntid") {
                s.max_threads = 1;
                do s.max_threads *= uint32_t(integer());
                while (take(','));
            } else if (d == ".minnctapersm" || d == ".maxnreg")
                integer();
            else
                refuse("the directive " + std::string(d));
        }
        if (take(';')) return; // it is declared; its body comes
        need('{');
        place = {0, 0};
        for (unsigned depth = 1; depth > 0;) {
            skip();
            if (p == end) expected("}");
            if (*p == '{')
                p++, depth++, s.body.push_back(statement(Statement::OPEN));
            else if (*p == '}') {
                p++;
                if (--depth > 0) s.body.push_back(statement(Statement::CLOSE));
            } else if (*p == '.')
                declaration(s);
            else
                instruction(s);
        }
        out.sources.push_back(std::move(s));
    }
    Statement statement(Statement::Kind kind) { return Statement{kind, line, place, {}, {}, false, {}, {}, 1, 0}; }

    void declaration(Source& s) {
        const std::string_view d = directive();
        if (d == ".loc") {
            const uint32_t file = uint32_t(integer()), at = uint32_t(integer());
            if (at != 0) place = {file, at}; // 0: no line of its own
            until_line_end();
        } else if (d == ".pragma") {
            skip();
            const char* from = p;
            while (p < end && *p != ';') advance();
            if (std::string_view(from, size_t(p - from)).substr(0, 10) != "\"nounroll\"") refuse("the pragma " + std::string(from, p));
            need(';');
        } else if (d == ".reg") {
            const std::string_view type = directive().substr(1);
            if (type != "pred" && bytes_of(type) < 2) refuse("the register type " + std::string(type));
            do {
                Statement r = statement(Statement::REGISTERS);
                r.type = type;
                r.name = word();
                r.count = 0;
                if (take('<')) {
                    r.count = uint32_t(integer());
                    need('>');
                }
                s.body.push_back(std::move(r));
            } while (take(','));
            need(';');
        } else if (d == ".shared" || d == ".param") {
            Statement v = statement(d == ".shared" ? Statement::SHARED : Statement::PARAMETER);
            const Variable x = variable();
            v.name = x.name, v.count = x.bytes, v.align = x.align;
            s.body.push_back(std::move(v));
            need(';');
        } else
            refuse("the directive " + std::string(d));
    }
    void instruction(Source& s) {
        Statement i = statement(Statement::INSTRUCTION);
        if (take('@')) {
            i.guard_negated = take('!');
            i.guard = word();
        } else {
            const char* from = p;
            const std::string_view name = word();
            if (take(':') && *p != ':') {
                i.kind = Statement::LABEL, i.name = name;
                s.body.push_back(std::move(i));
                return;
            }
            p = from;
        }
        i.name = dotted();
        if (i.name.empty()) expected("an instruction");
        skip();
        if (*p != ';') do
                i.operands.push_back(operand());
            while (take(','));
        need(';');
        s.body.push_back(std::move(i));
    }
    Operand list(char close) {
        Operand o{Operand::LIST, {}, 0, {}};
        while (!take(close)) {
            if (!o.parts.empty()) need(',');
            o.parts.push_back(operand());
        }
        return o;
    }
    Operand operand() {
        skip();
        if (p == end) expected("an operand");
        if (take('{')) return list('}');
        if (take('(')) return list(')');
        if (take('[')) {
            Operand o{Operand::ADDRESS, {}, 0, {}};
            o.parts.push_back(operand());
            if (take('+')) o.bits = uint64_t(integer());
            if (take(',')) o.parts.push_back(operand());
            need(']');
            return o;
        }
        if (*p == '-' || (*p >= '0' && *p <= '9')) {
            if (*p == '0' && p + 1 < end && (p[1] == 'f' || p[1] == 'F' || p[1] == 'd' || p[1] == 'D')) {
                const bool single = p[1] == 'f' || p[1] == 'F';
                p += 2;
                const std::string_view digits = word();
                if (digits.size() != (single ? 8 : 16)) expected("a number in hexadecimal digits");
                return Operand{single ? Operand::FLOAT : Operand::DOUBLE, {}, std::stoull(std::string(digits), nullptr, 16), {}};
            }
            return Operand{Operand::INTEGER, {}, uint64_t(integer()), {}};
        }
        const char* from = p;
        word();
        while (p < end && *p == '.') { // %tid.x
            p++;
            word();
        }
        Operand o{Operand::NAME, {from, size_t(p - from)}, 0, {}};
        if (take('|')) o.parts.push_back(operand());
        return o;
    }
};

} // namespace

void parse(Text& text) { Parser(text).run(); }

} // namespace sim::ptx
