// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/hf_tables.hpp"

#include "unicode/utf8.hpp"

namespace rlx::text {
namespace {

bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// Walks over JSON without understanding more than strings and brackets.
class walker {
public:
    explicit walker(std::string_view s) : s_(s) {}

    // Behind the string whose quote is at `pos`; npos without an end.
    std::size_t string_end(std::size_t pos) const {
        for (++pos; pos < s_.size(); ++pos) {
            if (s_[pos] == '\\')
                ++pos;
            else if (s_[pos] == '"')
                return pos + 1;
        }
        return s_.npos;
    }

    std::size_t skip_space(std::size_t pos) const {
        while (pos < s_.size() && is_space(s_[pos]))
            ++pos;
        return pos;
    }

    // Behind the value at `pos`; npos without an end.
    std::size_t value_end(std::size_t pos) const {
        std::size_t depth = 0;
        while (pos < s_.size()) {
            const char c = s_[pos];
            if (c == '"') {
                pos = string_end(pos);
                if (pos == s_.npos || depth == 0) return pos;
                continue;
            }
            if (c == '{' || c == '[')
                ++depth;
            else if ((c == '}' || c == ']') && depth == 0)
                return pos;
            else if ((c == '}' || c == ']') && --depth == 0)
                return pos + 1;
            else if (c == ',' && depth == 0)
                return pos;
            ++pos;
        }
        return depth == 0 ? pos : s_.npos;
    }

    // The value of `key` in the object at `pos`; an empty range at npos when it is not there.
    result<std::string_view> member(std::size_t pos, std::string_view key) const {
        std::string_view found;
        pos = skip_space(pos);
        if (pos >= s_.size() || s_[pos] != '{') return found;
        pos = skip_space(pos + 1);
        while (pos < s_.size() && s_[pos] == '"') {
            const std::size_t key_end = string_end(pos);
            if (key_end == s_.npos) break;
            const std::string_view name = s_.substr(pos + 1, key_end - pos - 2);
            pos = skip_space(key_end);
            if (pos >= s_.size() || s_[pos] != ':') break;
            const std::size_t begin = skip_space(pos + 1), end = value_end(begin);
            if (end == s_.npos) break;
            if (name == key) {
                if (!found.empty())
                    return error{RLX_CORRUPT_DATA, "\"" + std::string(key) + "\" is there twice"};
                found = s_.substr(begin, end - begin);
            }
            pos = skip_space(end);
            if (pos >= s_.size() || s_[pos] != ',') break;
            pos = skip_space(pos + 1);
        }
        return found; // what is broken behind is found by the real parser
    }

private:
    std::string_view s_;
};

} // namespace

result<hf_tables> cut_tables(std::string_view file) {
    hf_tables out;
    if (!is_valid_utf8(file)) return error{RLX_CORRUPT_DATA, "bad JSON: not valid UTF-8"};
    const walker w(file);
    const std::string_view model = RLX_TRY(w.member(0, "model"));
    std::string_view vocab, merges;
    if (!model.empty()) {
        const auto at = static_cast<std::size_t>(model.data() - file.data());
        vocab = RLX_TRY(w.member(at, "vocab"));
        merges = RLX_TRY(w.member(at, "merges"));
    }
    if (vocab.starts_with('{')) out.vocab = vocab;
    if (vocab.starts_with('[')) out.scored_vocab = vocab;
    if (merges.starts_with('[')) out.merges = merges;
    // Both pieces in the order of the file.
    const std::string_view* pieces[2] = {
        out.vocab || out.scored_vocab ? &vocab : nullptr, out.merges ? &merges : nullptr};
    if (pieces[0] && pieces[1] && pieces[1]->data() < pieces[0]->data())
        std::swap(pieces[0], pieces[1]);
    std::size_t done = 0;
    for (const std::string_view* piece : pieces) {
        if (!piece) continue;
        const auto at = static_cast<std::size_t>(piece->data() - file.data());
        out.rest += file.substr(done, at - done);
        out.rest += piece->front();
        out.rest += piece->back();
        done = at + piece->size();
    }
    out.rest += file.substr(done);
    return out;
}

error table_reader::fail(const std::string& what) const {
    return {
        RLX_CORRUPT_DATA,
        "bad JSON in \"" + std::string(name_) + "\" at its byte " + std::to_string(pos_) + ": " +
            what};
}

void table_reader::skip_space() {
    while (pos_ < s_.size() && is_space(s_[pos_]))
        ++pos_;
}

bool table_reader::take(char c) {
    skip_space();
    if (pos_ >= s_.size() || s_[pos_] != c) return false;
    ++pos_;
    return true;
}

result<void> table_reader::expect(char c) {
    if (!take(c)) return fail(std::string("expected ") + c);
    return {};
}

result<bool> table_reader::at_end(char close, bool first) {
    if (take(close)) return true;
    if (!first) RLX_CHECK(expect(','));
    return false;
}

bool table_reader::at_string() {
    skip_space();
    return pos_ < s_.size() && s_[pos_] == '"';
}

std::string_view table_reader::scalar() {
    skip_space();
    const std::size_t begin = pos_;
    while (pos_ < s_.size() && s_[pos_] != ',' && s_[pos_] != '}' && s_[pos_] != ']' &&
           !is_space(s_[pos_]))
        ++pos_;
    return s_.substr(begin, pos_ - begin);
}

result<void> table_reader::string(std::string& out) {
    RLX_CHECK(expect('"'));
    out.clear();
    for (;;) {
        const std::size_t begin = pos_;
        while (pos_ < s_.size() && s_[pos_] != '"' && s_[pos_] != '\\' &&
               static_cast<unsigned char>(s_[pos_]) >= 0x20)
            ++pos_;
        out += s_.substr(begin, pos_ - begin);
        if (pos_ >= s_.size()) return fail("a string without an end");
        const char c = s_[pos_++];
        if (c == '"') return {};
        if (c != '\\') return fail("a control character in a string");
        RLX_CHECK(escape(out));
    }
}

std::optional<std::uint32_t> table_reader::hex4() {
    std::uint32_t v = 0;
    for (int i = 0; i < 4; ++i, ++pos_) {
        const char c = pos_ < s_.size() ? s_[pos_] : '\0';
        if (c >= '0' && c <= '9')
            v = v * 16 + static_cast<std::uint32_t>(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v * 16 + static_cast<std::uint32_t>(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            v = v * 16 + static_cast<std::uint32_t>(c - 'A' + 10);
        else
            return std::nullopt;
    }
    return v;
}

result<void> table_reader::escape(std::string& out) {
    static constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    const char c = pos_ < s_.size() ? s_[pos_++] : '\0';
    if (const std::size_t known = letters.find(c); known != letters.npos) {
        out += meanings[known];
        return {};
    }
    if (c != 'u') return fail("an unknown escape in a string");
    auto code = hex4();
    if (code && *code >= 0xD800 && *code < 0xDC00 && s_.substr(pos_, 2) == "\\u") {
        pos_ += 2;
        const auto low = hex4();
        if (!low || *low < 0xDC00 || *low > 0xDFFF) return fail("half of a surrogate pair");
        code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
    }
    if (!code || (*code >= 0xD800 && *code < 0xE000)) return fail("a bad \\u escape");
    append_utf8(out, *code);
    return {};
}

} // namespace rlx::text
