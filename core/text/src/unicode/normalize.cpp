// SPDX-License-Identifier: GPL-3.0-only
#include "unicode/normalize.hpp"

#include "unicode/categories.hpp"
#include "unicode/utf8.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>

namespace rlx::text {
namespace {

constexpr std::uint32_t opaque_list[] = {
#include "unicode/opaque.inc"
};

bool is_listed(std::uint32_t cp, std::uint32_t bit) {
    if (cp < opaque_list[0] >> 8) return false;
    const auto* it = std::lower_bound(std::begin(opaque_list), std::end(opaque_list), cp << 8);
    return it != std::end(opaque_list) && (*it >> 8) == cp && (*it & bit);
}

// Normalisation is cut at these: the reference neither moves, composes nor decomposes them.
bool is_opaque(std::uint32_t cp, normal_form form) {
    return is_listed(cp, form == normal_form::nfc || form == normal_form::nfd ? 1 : 2);
}

// Below this no character decomposes, composes or moves in the form.
std::uint32_t first_affected(normal_form form) {
    switch (form) {
    case normal_form::nfc: return 0x300;
    case normal_form::nfd: return 0xC0;
    default: return 0xA0;
    }
}

utf8proc_option_t options_of(normal_form form) {
    const int base = UTF8PROC_STABLE;
    switch (form) {
    case normal_form::nfc: return static_cast<utf8proc_option_t>(base | UTF8PROC_COMPOSE);
    case normal_form::nfd: return static_cast<utf8proc_option_t>(base | UTF8PROC_DECOMPOSE);
    case normal_form::nfkc:
        return static_cast<utf8proc_option_t>(base | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    case normal_form::nfkd:
        return static_cast<utf8proc_option_t>(base | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
    }
    return UTF8PROC_STABLE;
}

result<void> append_run(std::string& out, std::string_view run, normal_form form) {
    if (run.empty()) return {};
    utf8proc_uint8_t* mapped = nullptr;
    const utf8proc_ssize_t n = utf8proc_map(
        reinterpret_cast<const utf8proc_uint8_t*>(run.data()),
        static_cast<utf8proc_ssize_t>(run.size()),
        &mapped,
        options_of(form)
    );
    if (n < 0)
        return error{
            RLX_INTERNAL, std::string("unicode normalisation failed: ") + utf8proc_errmsg(n)};
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
    out.append(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(n));
    return {};
}

template <class F>
std::string map_code_points(std::string_view text, F f) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const code_point c = decode_at(text, i);
        if (c.valid)
            f(out, c.value);
        else
            out += text.substr(i, c.size);
        i += c.size;
    }
    return out;
}

} // namespace

result<std::string> normalize(std::string_view text, normal_form form) {
    const std::uint32_t threshold = first_affected(form);
    std::size_t run = 0;
    bool affected = false;
    std::string out;
    out.reserve(text.size());
    auto flush = [&](std::size_t end) -> result<void> {
        const std::string_view part = text.substr(run, end - run);
        if (affected) return append_run(out, part, form);
        out += part;
        return {};
    };
    for (std::size_t i = 0; i < text.size();) {
        const code_point c = decode_at(text, i);
        if (!c.valid || is_opaque(c.value, form)) {
            RLX_CHECK(flush(i));
            out += text.substr(i, c.size);
            run = i + c.size;
            affected = false;
        } else if (c.value >= threshold) {
            affected = true;
        } else if (c.value < 0x80 && affected) {
            // ASCII starts a new run (nothing composes or moves across the start of it), so that a
            // long text is not held twice. The character itself may still take marks that follow.
            RLX_CHECK(flush(i));
            run = i;
            affected = false;
        }
        i += c.size;
    }
    RLX_CHECK(flush(text.size()));
    return out;
}

std::size_t grapheme_size(std::string_view text) {
    const code_point start = decode_at(text, 0);
    std::size_t end = start.size;
    std::uint32_t last = start.value;
    utf8proc_int32_t state = 0;
    while (start.valid && end < text.size()) {
        const code_point c = decode_at(text, end);
        if (!c.valid ||
            utf8proc_grapheme_break_stateful(
                static_cast<utf8proc_int32_t>(last), static_cast<utf8proc_int32_t>(c.value), &state
            ))
            break;
        last = c.value;
        end += c.size;
    }
    return end;
}

std::string strip_marks(std::string_view text) {
    return map_code_points(text, [](std::string& out, std::uint32_t cp) {
        const bool mark = classes_of(cp) & cls_mark;
        if (mark == is_listed(cp, 4)) append_utf8(out, cp);
    });
}

std::string to_lower(std::string_view text) {
    return map_code_points(text, [](std::string& out, std::uint32_t cp) {
        if (cp == 0x130)
            out += "i\xCC\x87"; // the only lower-case mapping to two characters
        else
            append_utf8(
                out, static_cast<std::uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(cp)))
            );
    });
}

std::string to_upper(std::string_view text) {
    return map_code_points(text, [](std::string& out, std::uint32_t cp) {
        if (cp == 0xDF)
            out += "SS";
        else
            append_utf8(
                out, static_cast<std::uint32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(cp)))
            );
    });
}

std::string to_title(std::string_view text) {
    return map_code_points(text, [](std::string& out, std::uint32_t cp) {
        if (cp == 0xDF)
            out += "Ss";
        else
            append_utf8(
                out, static_cast<std::uint32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(cp)))
            );
    });
}

} // namespace rlx::text
