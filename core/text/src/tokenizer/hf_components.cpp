// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/hf.hpp"
#include "unicode/categories.hpp"

namespace rlx::text {
namespace {

error unsupported(const char* what, const std::string& type) {
    return {RLX_UNSUPPORTED, std::string(what) + " \"" + type + "\" is not supported"};
}

// {"String": ".."} or {"Regex": ".."}
struct pattern_spec {
    std::string text;
    bool is_regex;
};

result<pattern_spec> read_pattern(const json& owner) {
    const json* p = get(owner, "pattern");
    if (!p) return error{RLX_CORRUPT_DATA, "\"pattern\" is missing"};
    if (auto text = RLX_TRY(get_string(*p, "String"))) return pattern_spec{std::move(*text), false};
    if (auto text = RLX_TRY(get_string(*p, "Regex"))) return pattern_spec{std::move(*text), true};
    return error{RLX_CORRUPT_DATA, "\"pattern\" is neither a String nor a Regex"};
}

// The reference's regex dialect has constructs that PCRE2 reads as something else; those are
// refused.
result<regex> compile_dialect(const std::string& pattern) {
    bool in_class = false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const std::string_view rest = std::string_view(pattern).substr(i);
        const bool odd =
            rest.starts_with("\\h") || rest.starts_with("\\H") || rest.starts_with("\\K") ||
            rest.starts_with("\\G") ||
            (in_class && (rest.starts_with("&&") || (rest[0] == '[' && !rest.starts_with("[:"))));
        if (odd)
            return error{
                RLX_UNSUPPORTED,
                "regular expression \"" + pattern + "\": \"" + std::string(rest.substr(0, 2)) +
                    "\" at offset " + std::to_string(i) + " is not supported"};
        if (pattern[i] == '\\')
            ++i;
        else if (pattern[i] == '[' && !in_class)
            in_class = true;
        else if (pattern[i] == ']')
            in_class = false;
    }
    return regex::compile("(?m)" + pattern); // ^ and $ match at lines in the reference's dialect
}

result<split_behavior> read_behavior(const json& j, split_behavior fallback) {
    const auto name = RLX_TRY(get_string(j, "behavior"));
    if (!name) return fallback;
    if (*name == "Removed") return split_behavior::removed;
    if (*name == "Isolated") return split_behavior::isolated;
    if (*name == "MergedWithPrevious") return split_behavior::merged_with_previous;
    if (*name == "MergedWithNext") return split_behavior::merged_with_next;
    if (*name == "Contiguous") return split_behavior::contiguous;
    return unsupported("split behavior", *name);
}

result<void> add_split(const json& j, pre_tokenizer& out) {
    pattern_spec pattern = RLX_TRY(read_pattern(j));
    const split_behavior behavior = RLX_TRY(read_behavior(j, split_behavior::isolated));
    const bool invert = RLX_TRY(get_bool(j, "invert", false));
    if (!pattern.is_regex) {
        if (pattern.text.empty()) return error{RLX_CORRUPT_DATA, "split on an empty string"};
        out.steps.emplace_back(split_literal{std::move(pattern.text), behavior, invert});
        return {};
    }
    // Known patterns match everything, so isolating matches and removing what is between them are
    // the same.
    const auto known = known_pattern(pattern.text);
    if (known &&
        (behavior == split_behavior::isolated || (behavior == split_behavior::removed && invert))) {
        out.steps.emplace_back(split_known{*known});
        return {};
    }
    out.steps.emplace_back(split_regex{RLX_TRY(compile_dialect(pattern.text)), behavior, invert});
    return {};
}

result<void> add_metaspace(const json& j, pre_tokenizer& out) {
    metaspace m;
    m.replacement = RLX_TRY(need_string(j, "replacement"));
    if (m.replacement.empty())
        return error{RLX_CORRUPT_DATA, "metaspace with an empty replacement"};
    const auto scheme = RLX_TRY(get_string(j, "prepend_scheme"));
    if (!scheme)
        m.prepend = RLX_TRY(get_bool(j, "add_prefix_space", true)) ? prepend_scheme::always
                                                                   : prepend_scheme::never;
    else if (*scheme == "always")
        m.prepend = prepend_scheme::always;
    else if (*scheme == "first")
        m.prepend = prepend_scheme::first;
    else if (*scheme == "never")
        m.prepend = prepend_scheme::never;
    else
        return unsupported("prepend scheme", *scheme);
    m.split = RLX_TRY(get_bool(j, "split", true));
    out.steps.emplace_back(std::move(m));
    return {};
}

} // namespace

result<void> add_normalizer(const json& j, normalizer& out) {
    const std::string type = RLX_TRY(need_string(j, "type"));
    if (type == "Sequence") {
        const json* list = get(j, "normalizers");
        if (!list || !list->is_array())
            return error{RLX_CORRUPT_DATA, "sequence without \"normalizers\""};
        for (const json& n : *list)
            RLX_CHECK(add_normalizer(n, out));
        return {};
    }
    if (type == "NFC")
        out.steps.emplace_back(normal_form::nfc);
    else if (type == "NFD")
        out.steps.emplace_back(normal_form::nfd);
    else if (type == "NFKC")
        out.steps.emplace_back(normal_form::nfkc);
    else if (type == "NFKD")
        out.steps.emplace_back(normal_form::nfkd);
    else if (type == "Lowercase")
        out.steps.emplace_back(lowercase{});
    else if (type == "BertNormalizer") {
        bert_clean b;
        b.clean_text = RLX_TRY(get_bool(j, "clean_text", true));
        b.space_ideographs = RLX_TRY(get_bool(j, "handle_chinese_chars", true));
        b.lowercase = RLX_TRY(get_bool(j, "lowercase", true));
        b.strip_accents = RLX_TRY(get_bool(j, "strip_accents", b.lowercase));
        out.steps.emplace_back(b);
    } else if (type == "Precompiled") {
        const auto blob = decode_base64(RLX_TRY(need_string(j, "precompiled_charsmap")));
        if (!blob) return error{RLX_CORRUPT_DATA, "\"precompiled_charsmap\" is no base64"};
        if (!blob->empty()) // no rules at all is legal
            out.steps.emplace_back(RLX_TRY(charsmap::parse(*blob, charsmap::unit::graphemes)));
    } else if (type == "StripAccents")
        out.steps.emplace_back(strip_accents{});
    else if (type == "Prepend")
        out.steps.emplace_back(prepend{RLX_TRY(need_string(j, "prepend"))});
    else if (type == "Strip")
        out.steps.emplace_back(strip_space{
            RLX_TRY(get_bool(j, "strip_left", true)), RLX_TRY(get_bool(j, "strip_right", true))});
    else if (type == "Replace") {
        pattern_spec pattern = RLX_TRY(read_pattern(j));
        std::string content = RLX_TRY(need_string(j, "content"));
        if (pattern.is_regex)
            out.steps.emplace_back(replace_regex{
                RLX_TRY(compile_dialect(pattern.text)), std::move(content)});
        else
            out.steps.emplace_back(replace_literal{std::move(pattern.text), std::move(content)});
    } else {
        return unsupported("normalizer", type);
    }
    return {};
}

result<void> add_pre_tokenizer(const json& j, pre_tokenizer& out, bool& byte_level) {
    const std::string type = RLX_TRY(need_string(j, "type"));
    if (byte_level) return unsupported("pre-tokenizer after ByteLevel", type);
    if (type == "Sequence") {
        const json* list = get(j, "pretokenizers");
        if (!list || !list->is_array())
            return error{RLX_CORRUPT_DATA, "sequence without \"pretokenizers\""};
        for (const json& p : *list)
            RLX_CHECK(add_pre_tokenizer(p, out, byte_level));
    } else if (type == "ByteLevel") {
        byte_level = true;
        if (RLX_TRY(get_bool(j, "add_prefix_space", true)))
            out.steps.emplace_back(add_prefix_space{});
        if (RLX_TRY(get_bool(j, "use_regex", true)))
            out.steps.emplace_back(split_known{split_pattern::gpt2});
    } else if (type == "Split") {
        RLX_CHECK(add_split(j, out));
    } else if (type == "Digits") {
        const bool individual = RLX_TRY(get_bool(j, "individual_digits", false));
        out.steps.emplace_back(split_class{
            cls_number, false, individual ? split_behavior::isolated : split_behavior::contiguous});
    } else if (type == "Metaspace") {
        RLX_CHECK(add_metaspace(j, out));
    } else if (type == "Punctuation") {
        out.steps.emplace_back(split_class{
            cls_punct, true, RLX_TRY(read_behavior(j, split_behavior::isolated))});
    } else if (type == "WhitespaceSplit") {
        out.steps.emplace_back(split_class{cls_space, false, split_behavior::removed});
    } else if (type == "Whitespace") {
        out.steps.emplace_back(split_regex{
            RLX_TRY(regex::compile(R"(\w+|[^\w\s]+)")), split_behavior::removed, true});
    } else if (type == "BertPreTokenizer") {
        out.steps.emplace_back(split_bert{});
    } else if (type == "CharDelimiterSplit") {
        const std::string delimiter = RLX_TRY(need_string(j, "delimiter"));
        if (delimiter.empty())
            return error{RLX_CORRUPT_DATA, "CharDelimiterSplit with an empty delimiter"};
        out.steps.emplace_back(split_literal{delimiter, split_behavior::removed});
    } else {
        return unsupported("pre-tokenizer", type);
    }
    return {};
}

result<void> add_decoder(const json& j, decoder_rules& out) {
    const std::string type = RLX_TRY(need_string(j, "type"));
    if (type == "Sequence") {
        const json* list = get(j, "decoders");
        if (!list || !list->is_array())
            return error{RLX_CORRUPT_DATA, "sequence without \"decoders\""};
        for (const json& d : *list)
            RLX_CHECK(add_decoder(d, out));
    } else if (type == "ByteLevel") {
        out.byte_level = true;
    } else if (type == "ByteFallback") {
        out.byte_fallback = true;
    } else if (type == "Fuse") {
        out.fused = true;
    } else if (type == "Replace") {
        pattern_spec pattern = RLX_TRY(read_pattern(j));
        if (pattern.is_regex) return unsupported("decoder", "Replace with a regular expression");
        out.replace.emplace_back(std::move(pattern.text), RLX_TRY(need_string(j, "content")));
    } else if (type == "Strip") {
        const auto start = RLX_TRY(get_int(j, "start")), stop = RLX_TRY(get_int(j, "stop"));
        if (!out.fused || RLX_TRY(need_string(j, "content")) != " " || stop.value_or(0) != 0 ||
            start.value_or(0) < 0)
            return unsupported("decoder", "Strip of anything but spaces at the start, after Fuse");
        out.strip_start = static_cast<std::size_t>(start.value_or(0));
    } else if (type == "Metaspace") {
        pre_tokenizer as_step;
        RLX_CHECK(add_metaspace(j, as_step));
        const auto& m = std::get<metaspace>(as_step.steps.front());
        out.replace.emplace_back(m.replacement, " ");
        out.strip_first_token = m.prepend != prepend_scheme::never;
    } else if (type == "WordPiece") {
        out.continuing = RLX_TRY(get_string(j, "prefix")).value_or("##");
        out.cleanup = RLX_TRY(get_bool(j, "cleanup", true));
        out.join_with_space = true;
    } else if (type == "BPEDecoder") {
        out.end_of_word = RLX_TRY(get_string(j, "suffix")).value_or("</w>");
    } else {
        return unsupported("decoder", type);
    }
    return {};
}

} // namespace rlx::text
