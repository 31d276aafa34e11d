// SPDX-License-Identifier: GPL-3.0-only
#include "jinja/lexer.hpp"

#include "unicode/categories.hpp"
#include "unicode/utf8.hpp"

#include <algorithm>
#include <array>

namespace rlx::text::jinja {
namespace {

std::string normalize_newlines(std::string_view source) {
    std::string out;
    out.reserve(source.size());
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] != '\r') {
            out += source[i];
        } else {
            out += '\n';
            if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
        }
    }
    if (out.ends_with('\n')) out.pop_back(); // one newline at the end of the file is not text
    return out;
}

bool is_space_at(std::string_view s, std::size_t pos, std::size_t& size) {
    const code_point c = decode_at(s, pos);
    size = c.size;
    return c.valid && (is_white_space(c.value) || (c.value >= 0x1C && c.value <= 0x1F));
}

bool is_name_char(char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || u == '_' ||
           u >= 0x80;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

class lexer {
public:
    explicit lexer(std::string_view source) : s_(source) {}

    result<std::vector<token>> run() {
        while (pos_ < s_.size())
            RLX_CHECK(text_until_tag());
        add(token_kind::end, "");
        return std::move(out_);
    }

private:
    void add(token_kind kind, std::string text) { out_.push_back({kind, std::move(text), line_}); }

    void advance(std::size_t to) {
        line_ += static_cast<int>(std::count(
            s_.begin() + static_cast<std::ptrdiff_t>(pos_),
            s_.begin() + static_cast<std::ptrdiff_t>(to),
            '\n'
        ));
        pos_ = to;
    }

    error fail(const std::string& what) const { return at_line(line_, RLX_CORRUPT_DATA, what); }

    std::size_t skip_space(std::size_t pos) const {
        for (std::size_t size = 0; pos < s_.size() && is_space_at(s_, pos, size);)
            pos += size;
        return pos;
    }

    // Text up to the next delimiter, stripped as the delimiter's sign and lstrip_blocks ask.
    result<void> text_until_tag() {
        std::size_t tag = s_.find('{', pos_);
        while (tag != s_.npos && (tag + 1 >= s_.size() ||
                                  (s_[tag + 1] != '{' && s_[tag + 1] != '%' && s_[tag + 1] != '#')))
            tag = s_.find('{', tag + 1);
        std::string_view text = s_.substr(pos_, tag == s_.npos ? s_.npos : tag - pos_);
        if (tag == s_.npos) {
            if (!text.empty()) add(token_kind::data, std::string(text));
            advance(s_.size());
            return {};
        }
        const char kind = s_[tag + 1];
        const char sign = tag + 2 < s_.size() ? s_[tag + 2] : '\0';
        if (sign == '-')
            text = right_stripped(text);
        else if (sign != '+' && kind != '{')
            text = line_start_stripped(text);
        if (!text.empty()) add(token_kind::data, std::string(text));
        advance(tag);
        const std::size_t inside = tag + 2 + (sign == '-' || sign == '+');
        if (kind == '#') return comment(inside);
        if (kind == '%' && is_raw(inside)) return raw(inside);
        return code(inside, kind == '{');
    }

    static std::string_view right_stripped(std::string_view text) {
        while (!text.empty()) {
            std::size_t last = text.size() - 1;
            while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0) == 0x80)
                --last;
            std::size_t size = 0;
            if (!is_space_at(text, last, size)) break;
            text.remove_suffix(text.size() - last);
        }
        return text;
    }

    // Drops white space between the start of the line and the tag.
    std::string_view line_start_stripped(std::string_view text) const {
        const std::size_t newline = text.rfind('\n');
        if (newline == text.npos && !line_starting_) return text;
        const std::size_t start = newline == text.npos ? 0 : newline + 1;
        for (std::size_t i = start, size = 0; i < text.size(); i += size)
            if (!is_space_at(text, i, size)) return text;
        return text.substr(0, start);
    }

    // Behind a closing delimiter at `end`: "-" strips all white space, a tag takes one newline
    // (trim_blocks).
    void close(std::size_t end, char sign, bool takes_newline) {
        if (sign == '-')
            end = skip_space(end);
        else if (takes_newline && sign != '+' && end < s_.size() && s_[end] == '\n')
            ++end;
        advance(end);
        line_starting_ = end > 0 && s_[end - 1] == '\n';
    }

    result<void> comment(std::size_t inside) {
        const std::size_t end = s_.find("#}", inside);
        if (end == s_.npos) return fail("comment without an end");
        const char sign = end > inside ? s_[end - 1] : '\0';
        close(end + 2, sign, true);
        return {};
    }

    // The end of "raw %}" when the tag at `inside` is that; npos otherwise.
    std::size_t word_tag_end(std::size_t inside, std::string_view word, char& sign) const {
        std::size_t p = skip_space(inside);
        if (s_.substr(p, word.size()) != word) return s_.npos;
        p = skip_space(p + word.size());
        sign = p < s_.size() ? s_[p] : '\0';
        if (sign == '-' || sign == '+') ++p;
        return s_.substr(p, 2) == "%}" ? p + 2 : s_.npos;
    }

    bool is_raw(std::size_t inside) const {
        char sign = 0;
        return word_tag_end(inside, "raw", sign) != s_.npos;
    }

    result<void> raw(std::size_t inside) {
        char sign = 0;
        std::size_t begin = word_tag_end(inside, "raw", sign);
        if (sign == '-') begin = skip_space(begin); // a raw tag takes no newline
        for (std::size_t tag = s_.find("{%", begin); tag != s_.npos; tag = s_.find("{%", tag + 1)) {
            const char open_sign = tag + 2 < s_.size() ? s_[tag + 2] : '\0';
            char close_sign = 0;
            const std::size_t end = word_tag_end(
                tag + 2 + (open_sign == '-' || open_sign == '+'), "endraw", close_sign
            );
            if (end == s_.npos) continue;
            advance(begin);
            line_starting_ = begin > 0 && s_[begin - 1] == '\n';
            std::string_view text = s_.substr(begin, tag - begin);
            if (open_sign == '-')
                text = right_stripped(text);
            else if (open_sign != '+')
                text = line_start_stripped(text);
            if (!text.empty()) add(token_kind::data, std::string(text));
            close(end, close_sign, true);
            return {};
        }
        return fail("raw block without endraw");
    }

    // The inside of {{ }} or {% %}.
    result<void> code(std::size_t inside, bool print) {
        add(print ? token_kind::print_begin : token_kind::tag_begin, "");
        advance(inside);
        std::string nesting;
        for (;;) {
            advance(skip_space(pos_));
            if (pos_ >= s_.size()) return fail(print ? "{{ without }}" : "{% without %}");
            const std::string_view closer = print ? "}}" : "%}";
            if (nesting.empty()) {
                const char sign = s_[pos_];
                const std::size_t at = pos_ + (sign == '-' || (sign == '+' && !print));
                if (s_.substr(at, 2) == closer) {
                    add(print ? token_kind::print_end : token_kind::tag_end, "");
                    close(at + 2, at > pos_ ? sign : '\0', !print);
                    return {};
                }
            }
            RLX_CHECK(one_token(nesting));
        }
    }

    result<void> one_token(std::string& nesting) {
        const char c = s_[pos_];
        if (is_digit(c)) return number();
        if (c == '\'' || c == '"') return string_literal();
        if (is_name_char(c)) {
            std::size_t end = pos_;
            while (end < s_.size() && is_name_char(s_[end]))
                ++end;
            add(token_kind::name, std::string(s_.substr(pos_, end - pos_)));
            advance(end);
            return {};
        }
        static constexpr std::array<std::string_view, 28> ops = {
            "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]",
            "(",  ")",  "{",  "}",  ">",  "<",  "=", ".", ":", "|", ",", ";", "!", "@"};
        const std::string_view rest = s_.substr(pos_);
        for (const std::string_view op : ops) {
            if (!rest.starts_with(op) || op == "!" || op == "@") continue;
            if (op == "(" || op == "[" || op == "{") {
                nesting += op[0] == '(' ? ')' : op[0] == '[' ? ']' : '}';
            } else if (op == ")" || op == "]" || op == "}") {
                if (nesting.empty() || nesting.back() != op[0])
                    return fail("unexpected \"" + std::string(op) + "\"");
                nesting.pop_back();
            }
            add(token_kind::op, std::string(op));
            advance(pos_ + op.size());
            return {};
        }
        return fail(
            "unexpected character \"" + std::string(s_.substr(pos_, decode_at(s_, pos_).size)) +
            "\""
        );
    }

    // 1_000, 0x1f, 0o7, 0b1, 1.5, 1e3
    result<void> number() {
        std::size_t end = pos_;
        bool real = false;
        const auto digits = [&](auto accept) {
            while (end < s_.size() && (accept(s_[end]) || (s_[end] == '_' && end + 1 < s_.size() &&
                                                           accept(s_[end + 1]))))
                ++end;
        };
        const char base =
            s_[pos_] == '0' && pos_ + 1 < s_.size() ? static_cast<char>(s_[pos_ + 1] | 0x20) : '\0';
        if (base == 'x' || base == 'o' || base == 'b') {
            end += 2;
            digits([](char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); });
        } else {
            digits(is_digit);
            const bool after_dot = pos_ > 0 && s_[pos_ - 1] == '.';
            if (!after_dot && end + 1 < s_.size() && s_[end] == '.' && is_digit(s_[end + 1])) {
                real = true;
                ++end;
                digits(is_digit);
            }
            std::size_t exponent = end + 1;
            if (exponent < s_.size() && (s_[exponent] == '+' || s_[exponent] == '-')) ++exponent;
            if (!after_dot && end < s_.size() && (s_[end] | 0x20) == 'e' && exponent < s_.size() &&
                is_digit(s_[exponent])) {
                real = true;
                end = exponent;
                digits(is_digit);
            }
        }
        std::string text(s_.substr(pos_, end - pos_));
        std::erase(text, '_');
        add(real ? token_kind::real : token_kind::integer, std::move(text));
        advance(end);
        return {};
    }

    result<void> string_literal() {
        const char quote = s_[pos_];
        std::string text;
        std::size_t i = pos_ + 1;
        for (; i < s_.size() && s_[i] != quote; ++i) {
            if (s_[i] != '\\') {
                text += s_[i];
                continue;
            }
            if (++i >= s_.size()) break;
            RLX_CHECK(escape(i, text));
        }
        if (i >= s_.size()) return fail("string without an end");
        add(token_kind::string, std::move(text));
        advance(i + 1);
        return {};
    }

    // The escape whose letter is at `i`; leaves `i` on its last character.
    result<void> escape(std::size_t& i, std::string& text) const {
        static constexpr std::string_view letters = "nrtabfv\\'\"",
                                          meanings = "\n\r\t\a\b\f\v\\'\"";
        const char c = s_[i];
        if (c == '\n') return {}; // a continued line
        if (const std::size_t known = letters.find(c); known != letters.npos) {
            text += meanings[known];
            return {};
        }
        if (c >= '0' && c <= '7') {
            std::uint32_t code = 0;
            std::size_t n = 0;
            for (; n < 3 && i + n < s_.size() && s_[i + n] >= '0' && s_[i + n] <= '7'; ++n)
                code = code * 8 + static_cast<std::uint32_t>(s_[i + n] - '0');
            append_utf8(text, code);
            i += n - 1;
            return {};
        }
        const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (digits == 0) {
            if (c == 'N') return at_line(line_, RLX_UNSUPPORTED, "the escape \\N is not supported");
            text += '\\';
            text += c;
            return {};
        }
        std::uint32_t code = 0;
        for (std::size_t k = 1; k <= digits; ++k) {
            const char h = i + k < s_.size() ? static_cast<char>(s_[i + k] | 0x20) : '\0';
            if (!is_digit(h) && (h < 'a' || h > 'f')) return fail("bad escape in a string");
            code = code * 16 + static_cast<std::uint32_t>(is_digit(h) ? h - '0' : h - 'a' + 10);
        }
        if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
            return fail("bad code point in a string");
        append_utf8(text, code);
        i += digits;
        return {};
    }

    std::string_view s_;
    std::size_t pos_ = 0;
    int line_ = 1;
    bool line_starting_ = true;
    std::vector<token> out_;
};

} // namespace

error at_line(int line, std::uint32_t code, const std::string& what) {
    return {code, "line " + std::to_string(line) + ": " + what};
}

result<std::vector<token>> tokenize(std::string_view source) {
    const std::string text = normalize_newlines(source);
    return lexer(text).run();
}

} // namespace rlx::text::jinja
