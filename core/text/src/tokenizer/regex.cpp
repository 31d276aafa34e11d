// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/regex.hpp"

#include "unicode/utf8.hpp"

#include <algorithm>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace rlx::text {
namespace {

constexpr std::size_t max_pattern_bytes = std::size_t{64} << 10;
constexpr std::uint32_t match_limit = 20'000'000;
constexpr std::uint32_t heap_limit_kib = 64 << 10;

std::string message_of(int code) {
    unsigned char text[160];
    pcre2_get_error_message_8(code, text, sizeof text);
    return reinterpret_cast<const char*>(text);
}

struct free_pcre2 {
    void operator()(pcre2_code_8* p) const { pcre2_code_free_8(p); }

    void operator()(pcre2_match_data_8* p) const { pcre2_match_data_free_8(p); }

    void operator()(pcre2_match_context_8* p) const { pcre2_match_context_free_8(p); }
};

} // namespace

struct regex::compiled {
    std::unique_ptr<pcre2_code_8, free_pcre2> code;
    std::unique_ptr<pcre2_match_context_8, free_pcre2> limits;
    std::string pattern;
};

regex::regex(std::unique_ptr<compiled> c) : impl_(std::move(c)) {}

regex::regex(regex&&) noexcept = default;
regex& regex::operator=(regex&&) noexcept = default;
regex::~regex() = default;

result<regex> regex::compile(std::string_view pattern) {
    if (pattern.size() > max_pattern_bytes)
        return error{
            RLX_CORRUPT_DATA,
            "regular expression of " + std::to_string(pattern.size()) + " bytes, at most " +
                std::to_string(max_pattern_bytes) + " are supported"};
    int code = 0;
    std::size_t offset = 0;
    const std::uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
    auto c = std::make_unique<compiled>();
    c->pattern = pattern;
    c->code.reset(pcre2_compile_8(
        reinterpret_cast<PCRE2_SPTR8>(pattern.data()),
        pattern.size(),
        options,
        &code,
        &offset,
        nullptr
    ));
    if (!c->code)
        return error{
            RLX_UNSUPPORTED,
            "regular expression \"" + c->pattern + "\": " + message_of(code) + " at offset " +
                std::to_string(offset)};
    c->limits.reset(pcre2_match_context_create_8(nullptr));
    if (!c->limits) return error{RLX_OUT_OF_MEMORY, "no memory for a regular expression"};
    pcre2_set_match_limit_8(c->limits.get(), match_limit);
    pcre2_set_heap_limit_8(c->limits.get(), heap_limit_kib);
    return regex(std::move(c));
}

result<std::vector<match_range>> regex::matches(std::string_view text) const {
    const std::unique_ptr<pcre2_match_data_8, free_pcre2> data(
        pcre2_match_data_create_from_pattern_8(impl_->code.get(), nullptr)
    );
    if (!data) return error{RLX_OUT_OF_MEMORY, "no memory for a regular expression"};
    const std::size_t* span = pcre2_get_ovector_pointer_8(data.get());
    std::vector<match_range> out;
    for (std::size_t from = 0; from <= text.size();) {
        const int rc = pcre2_match_8(
            impl_->code.get(),
            reinterpret_cast<PCRE2_SPTR8>(text.data()),
            text.size(),
            from,
            PCRE2_NO_UTF_CHECK,
            data.get(),
            impl_->limits.get()
        );
        if (rc == PCRE2_ERROR_NOMATCH) break;
        if (rc < 0)
            return error{
                RLX_UNSUPPORTED,
                "regular expression \"" + impl_->pattern + "\" failed at byte " +
                    std::to_string(from) + ": " + message_of(rc)};
        // A look-around with \K can put the end before the start.
        const match_range m{span[0], std::max(span[0], span[1])};
        if (m.begin < from) break;
        out.push_back(m);
        if (m.end > m.begin)
            from = m.end;
        else
            from = m.end < text.size() ? m.end + decode_at(text, m.end).size : text.size() + 1;
    }
    return out;
}

} // namespace rlx::text
