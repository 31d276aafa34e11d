// SPDX-License-Identifier: GPL-3.0-only
// Python's string functions that filters and methods share.
#include "jinja/interpreter.hpp"
#include "unicode/categories.hpp"
#include "unicode/normalize.hpp"
#include "unicode/utf8.hpp"

namespace rlx::text::jinja {
namespace {

// One character before `end`.
std::size_t step_back(std::string_view s, std::size_t end) {
    do
        --end;
    while (end > 0 && (static_cast<unsigned char>(s[end]) & 0xC0) == 0x80);
    return end;
}

bool ends_line(std::uint32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

} // namespace

bool is_python_space(std::uint32_t cp) {
    return (cp >= 0x1C && cp <= 0x1F) || is_white_space(cp);
}

std::string strip_text(std::string_view s, const std::string* chars, bool left, bool right) {
    const auto stripped = [&](std::size_t pos) {
        const code_point c = decode_at(s, pos);
        return chars ? chars->find(s.substr(pos, c.size)) != chars->npos : is_python_space(c.value);
    };
    std::size_t begin = 0, end = s.size();
    while (left && begin < end && stripped(begin))
        begin += decode_at(s, begin).size;
    while (right && end > begin) {
        const std::size_t last = step_back(s, end);
        if (!stripped(last)) break;
        end = last;
    }
    return std::string(s.substr(begin, end - begin));
}

std::string capitalize_text(std::string_view s) {
    if (s.empty()) return {};
    const std::size_t first = decode_at(s, 0).size;
    return to_title(s.substr(0, first)) + to_lower(s.substr(first));
}

std::vector<std::string> split_lines(std::string_view s, bool keep_ends) {
    std::vector<std::string> out;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < s.size();) {
        const code_point c = decode_at(s, i);
        std::size_t next = i + c.size;
        if (ends_line(c.value)) {
            if (c.value == '\r' && next < s.size() && s[next] == '\n') ++next;
            out.emplace_back(s.substr(begin, (keep_ends ? next : i) - begin));
            begin = next;
        }
        i = next;
    }
    if (begin < s.size()) out.emplace_back(s.substr(begin));
    return out;
}

std::string
replace_text(std::string_view s, std::string_view from, std::string_view to, std::int64_t count) {
    std::string out;
    std::size_t done = 0;
    for (std::size_t at = s.find(from); at != s.npos && count != 0;
         at = s.find(from, done), --count) {
        out += s.substr(done, at - done);
        out += to;
        done = at + from.size();
    }
    out += s.substr(done);
    return out;
}

} // namespace rlx::text::jinja
