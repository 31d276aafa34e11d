// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/gguf.hpp"

#include "tokenizer/byte_level.hpp"
#include "tokenizer/merge_reader.hpp"
#include "unicode/normalize.hpp"
#include "unicode/utf8.hpp"

#include <algorithm>
#include <cmath>

namespace rlx::text {
namespace {

std::string key_of(std::string_view name) {
    return "tokenizer.ggml." + std::string(name);
}

error missing(std::string_view name) {
    return {RLX_MISSING_METADATA, "the file has no " + key_of(name)};
}

struct raw_vocab {
    std::vector<std::string_view> tokens;
    std::vector<token_type> types;
};

result<raw_vocab> read_vocab(const weights& w) {
    raw_vocab v;
    auto tokens = w.meta_strings(key_of("tokens"));
    if (!tokens || tokens->empty()) return missing("tokens");
    v.tokens = std::move(*tokens);
    if (v.tokens.size() > max_vocab_size)
        return error{
            RLX_CORRUPT_DATA,
            std::to_string(v.tokens.size()) + " tokens, at most " + std::to_string(max_vocab_size) +
                " are supported"};
    v.types.assign(v.tokens.size(), token_type::normal);
    const auto types = w.meta_ints(key_of("token_type"));
    if (!types) return v;
    if (types->size() != v.tokens.size())
        return error{
            RLX_CORRUPT_DATA,
            key_of("token_type") + " has " + std::to_string(types->size()) + " entries for " +
                std::to_string(v.tokens.size()) + " tokens"};
    for (std::size_t i = 0; i < types->size(); ++i) {
        const std::int64_t t = (*types)[i];
        if (t < 1 || t > 6)
            return error{
                RLX_CORRUPT_DATA,
                "token " + std::to_string(i) + " has the type " + std::to_string(t) +
                    ", expected 1 to 6"};
        v.types[i] = static_cast<token_type>(t);
    }
    return v;
}

bool is_name(token_type t) {
    return t == token_type::control || t == token_type::user_defined || t == token_type::unknown;
}

// Control, unknown and user-defined tokens are found in the raw text.
result<added_matcher> match_names(const raw_vocab& v) {
    std::vector<added_token> added;
    for (std::size_t i = 0; i < v.tokens.size(); ++i)
        if (is_name(v.types[i]))
            added.push_back(
                {std::string(v.tokens[i]),
                 static_cast<token_id>(i),
                 v.types[i] != token_type::user_defined}
            );
    return added_matcher::make(std::move(added));
}

result<std::optional<token_id>>
special_id(const weights& w, const pipeline& p, std::string_view name) {
    const auto id = w.meta_int(key_of(name));
    if (!id) return std::optional<token_id>();
    if (!p.tokens.contains(*id))
        return error{
            RLX_CORRUPT_DATA,
            key_of(name) + " is " + std::to_string(*id) + ", the vocabulary has " +
                std::to_string(p.tokens.size()) + " tokens"};
    return std::optional(static_cast<token_id>(*id));
}

result<merge_table> read_merges(const weights& w, const token_table& tokens, bool byte_level) {
    const auto merges = w.meta_strings(key_of("merges"));
    if (!merges) return missing("merges");
    merge_table out;
    out.reserve(merges->size());
    merge_reader reader(tokens, byte_level);
    for (std::size_t i = 0; i < merges->size(); ++i)
        RLX_CHECK(reader.add((*merges)[i], static_cast<std::uint32_t>(i), out));
    return out;
}

result<void> load_byte_level(const weights& w, const raw_vocab& v, pipeline& p) {
    const auto pre = w.meta_string(key_of("pre"));
    if (!pre) return missing("pre").within("the pre-tokenizer is unknown");
    pre_rules rules = RLX_TRY(pre_rules_for(*pre));
    p.kind = "bpe/" + std::string(*pre);
    for (std::size_t i = 0; i < v.tokens.size(); ++i) {
        const auto bytes = is_name(v.types[i]) ? std::nullopt : chars_to_bytes(v.tokens[i]);
        RLX_CHECK(p.tokens.set(
            static_cast<token_id>(i), bytes ? *bytes : v.tokens[i], {v.types[i], !bytes}
        ));
    }
    p.tokens.index();
    p.decoder.byte_level = true;
    if (rules.nfc) p.norm.steps.emplace_back(normal_form::nfc);
    p.pre.steps = std::move(rules.steps);
    bpe_model::options o;
    o.byte_level = true;
    o.ignore_merges = rules.ignore_merges;
    merge_table merges = RLX_TRY(read_merges(w, p.tokens, true));
    p.model = RLX_TRY(bpe_model::make(p.tokens, std::move(merges), std::move(o)));
    if (rules.add_bos && p.bos) p.prefix.push_back(*p.bos);
    return {};
}

// Raw UTF-8 tokens with U+2581 for spaces, as SentencePiece and gemma4 have them.
result<void> set_raw_tokens(const raw_vocab& v, pipeline& p) {
    for (std::size_t i = 0; i < v.tokens.size(); ++i) {
        if (v.types[i] == token_type::byte && !parse_byte_token(v.tokens[i]))
            return error{
                RLX_CORRUPT_DATA,
                "byte token " + std::to_string(i) + " is \"" + std::string(v.tokens[i]) +
                    "\", expected <0x00> to <0xFF>"};
        // Byte tokens are reached by falling back to them, never by their spelling.
        const bool literal = is_name(v.types[i]) || v.types[i] == token_type::byte;
        RLX_CHECK(p.tokens.set(static_cast<token_id>(i), v.tokens[i], {v.types[i], literal}));
    }
    p.tokens.index();
    p.decoder.byte_fallback = true;
    p.decoder.replace.emplace_back(space_mark, " ");
    p.norm.steps.emplace_back(replace_literal{" ", std::string(space_mark)});
    return {};
}

// Scores as doubles, one per token.
result<std::vector<double>> read_scores(const weights& w, const raw_vocab& v) {
    const auto scores = w.meta_floats(key_of("scores"));
    if (!scores) return missing("scores");
    if (scores->size() != v.tokens.size())
        return error{
            RLX_CORRUPT_DATA,
            key_of("scores") + " has " + std::to_string(scores->size()) + " entries for " +
                std::to_string(v.tokens.size()) + " tokens"};
    for (std::size_t i = 0; i < scores->size(); ++i)
        if (!std::isfinite((*scores)[i]))
            return error{
                RLX_CORRUPT_DATA, "the score of token " + std::to_string(i) + " is not finite"};
    return std::vector<double>(scores->begin(), scores->end());
}

result<void> load_sentencepiece(const weights& w, const raw_vocab& v, pipeline& p) {
    p.kind = "spm";
    const std::vector<double> scores = RLX_TRY(read_scores(w, v));
    std::vector<float> priorities(scores.size());
    std::transform(scores.begin(), scores.end(), priorities.begin(), [](double score) {
        return static_cast<float>(score);
    });
    if (w.meta_bool(key_of("remove_extra_whitespaces")).value_or(false))
        return error{RLX_UNSUPPORTED, key_of("remove_extra_whitespaces") + " is not supported"};
    if (w.meta_bool(key_of("add_space_prefix")).value_or(true)) {
        p.norm.steps.emplace_back(prepend{" "});
        p.decoder.strip_start = 1;
    }
    RLX_CHECK(set_raw_tokens(v, p));
    if (may_cut_before(p.tokens, space_mark))
        p.pre.steps.emplace_back(split_before_run{std::string(space_mark)});
    spm_model::options o;
    if (const auto unk = RLX_TRY(special_id(w, p, "unknown_token_id"))) o.unk = *unk;
    p.model = RLX_TRY(spm_model::make(p.tokens, std::move(priorities), o));
    if (p.bos) p.prefix.push_back(*p.bos);
    return {};
}

result<void> load_gemma4(const weights& w, const raw_vocab& v, pipeline& p) {
    p.kind = "bpe/gemma4";
    RLX_CHECK(set_raw_tokens(v, p));
    p.pre.steps.emplace_back(split_literal{"\n", split_behavior::contiguous});
    if (may_cut_before(p.tokens, space_mark))
        p.pre.steps.emplace_back(split_before_run{std::string(space_mark)});
    bpe_model::options o;
    o.byte_fallback = true;
    if (const auto unk = RLX_TRY(special_id(w, p, "unknown_token_id"))) o.unk = *unk;
    merge_table merges = RLX_TRY(read_merges(w, p.tokens, false));
    p.model = RLX_TRY(bpe_model::make(p.tokens, std::move(merges), std::move(o)));
    if (p.bos) p.prefix.push_back(*p.bos);
    return {};
}

// BERT vocabularies: the converter wrote U+2581 before tokens that start a word and took "##" from
// the others; here they are as in vocab.txt again.
result<void> load_wordpiece(const weights& w, const raw_vocab& v, pipeline& p) {
    p.kind = "wordpiece";
    constexpr std::string_view continuing = "##";
    bool cased = false;
    std::string text;
    for (std::size_t i = 0; i < v.tokens.size(); ++i) {
        std::string_view token = v.tokens[i];
        // Names such as [unused7] never occur in a word: brackets are words of their own.
        const bool name = is_name(v.types[i]) ||
                          (token.size() > 2 && token.front() == '[' && token.back() == ']');
        const bool start = token.starts_with(space_mark);
        if (start) token.remove_prefix(space_mark.size());
        text = name || start ? "" : continuing;
        text += token;
        cased |= !name && to_lower(token) != token;
        RLX_CHECK(p.tokens.set(static_cast<token_id>(i), text, {v.types[i], name}));
    }
    p.tokens.index();
    // The file does not say whether text is to be lowered; a vocabulary without capitals does.
    bert_clean clean;
    clean.lowercase = clean.strip_accents = !cased;
    p.norm.steps.emplace_back(clean);
    p.pre.steps.emplace_back(split_bert{});
    p.decoder.continuing = continuing;
    p.decoder.join_with_space = p.decoder.cleanup = true;
    wordpiece_model::options o;
    if (const auto unk = RLX_TRY(special_id(w, p, "unknown_token_id"))) o.unk = *unk;
    p.model = RLX_TRY(wordpiece_model::make(p.tokens, std::move(o)));
    const auto cls = RLX_TRY(special_id(w, p, "cls_token_id"));
    const auto sep = RLX_TRY(special_id(w, p, "seperator_token_id"));
    if (const auto first = cls ? cls : p.bos) p.prefix.push_back(*first);
    if (sep) p.suffix.push_back(*sep);
    return {};
}

// What SentencePiece does to white space, behind its rules: runs become one, the ends go.
result<void> load_unigram(const weights& w, const raw_vocab& v, pipeline& p) {
    p.kind = "unigram";
    std::vector<double> scores = RLX_TRY(read_scores(w, v));
    if (const auto map = w.meta_ints(key_of("precompiled_charsmap")); map && !map->empty()) {
        std::string blob;
        for (const std::int64_t byte : *map)
            blob += static_cast<char>(byte);
        p.norm.steps.emplace_back(RLX_TRY(charsmap::parse(blob, charsmap::unit::longest)));
    }
    const bool prefix = w.meta_bool(key_of("add_space_prefix")).value_or(true);
    if (w.meta_bool(key_of("remove_extra_whitespaces")).value_or(true))
        p.norm.steps.emplace_back(merge_spaces{});
    if (prefix) p.norm.steps.emplace_back(prepend{" "});
    p.decoder.strip_start = prefix ? 1 : 0;
    RLX_CHECK(set_raw_tokens(v, p));
    p.decoder.byte_fallback = false;
    if (may_cut_before(p.tokens, space_mark))
        p.pre.steps.emplace_back(split_before_run{std::string(space_mark)});
    unigram_model::options o;
    double worst = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
        if (v.types[i] == token_type::user_defined) scores[i] = 0;
        if (v.types[i] == token_type::normal) worst = std::min(worst, scores[i]);
    }
    o.unk_score = worst - unknown_penalty;
    if (const auto unk = RLX_TRY(special_id(w, p, "unknown_token_id"))) o.unk = *unk;
    p.model = RLX_TRY(unigram_model::make(p.tokens, std::move(scores), o));
    if (p.eos) p.suffix.push_back(*p.eos);
    return {};
}

// Control tokens that end a turn, by name: files often carry only one end-of-sequence id.
constexpr std::string_view end_of_turn_names[] = {
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
    "<turn|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|role_end|>",
    "[e~[",
    "<|return|>",
    "<EOT>",
    "_<EOT>",
};

void add_stop(pipeline& p, token_id id) {
    if (std::find(p.stops.begin(), p.stops.end(), id) == p.stops.end()) p.stops.push_back(id);
}

result<void> read_special_ids(const weights& w, const raw_vocab& v, pipeline& p) {
    RLX_CHECK(p.tokens.resize(v.tokens.size()));

    struct named {
        std::string_view key, name;
    };

    constexpr named list[] = {
        {"bos_token_id", "bos_token"},
        {"eos_token_id", "eos_token"},
        {"unknown_token_id", "unk_token"},
        {"padding_token_id", "pad_token"},
        {"seperator_token_id", "sep_token"},
        {"cls_token_id", "cls_token"},
        {"mask_token_id", "mask_token"}};
    const auto in_range = [&](std::string_view key) -> result<std::optional<token_id>> {
        const auto id = w.meta_int(key_of(key));
        if (!id) return std::optional<token_id>();
        if (*id < 0 || static_cast<std::uint64_t>(*id) >= v.tokens.size())
            return error{
                RLX_CORRUPT_DATA,
                key_of(key) + " is " + std::to_string(*id) + ", the vocabulary has " +
                    std::to_string(v.tokens.size()) + " tokens"};
        return std::optional(static_cast<token_id>(*id));
    };
    for (const named& n : list) {
        const auto id = RLX_TRY(in_range(n.key));
        if (!id) continue;
        p.special_tokens.emplace_back(n.name, v.tokens[static_cast<std::size_t>(*id)]);
        if (n.key == "bos_token_id") p.bos = *id;
        if (n.key == "eos_token_id") p.eos = *id;
    }
    if (p.eos) add_stop(p, *p.eos);
    for (const char* key : {"eot_token_id", "eom_token_id"})
        if (const auto id = RLX_TRY(in_range(key))) add_stop(p, *id);
    for (std::size_t i = 0; i < v.tokens.size(); ++i)
        if (v.types[i] == token_type::control &&
            std::find(std::begin(end_of_turn_names), std::end(end_of_turn_names), v.tokens[i]) !=
                std::end(end_of_turn_names))
            add_stop(p, static_cast<token_id>(i));
    return {};
}

// add_bos_token and add_eos_token, where present, overrule the kind's habit.
result<void> read_add_flags(const weights& w, pipeline& p) {
    if (const auto add = w.meta_bool(key_of("add_bos_token"))) {
        if (*add && !p.bos)
            return error{
                RLX_MISSING_METADATA,
                key_of("add_bos_token") + " is set, but there is no " + key_of("bos_token_id")};
        p.prefix.clear();
        if (*add) p.prefix.push_back(*p.bos);
    }
    if (const auto add = w.meta_bool(key_of("add_eos_token"))) {
        if (p.eos && !p.suffix.empty() && p.suffix.back() == *p.eos) p.suffix.pop_back();
        if (!*add) return {};
        if (!p.eos)
            return error{
                RLX_MISSING_METADATA,
                key_of("add_eos_token") + " is set, but there is no " + key_of("eos_token_id")};
        p.suffix.push_back(*p.eos);
    }
    return {};
}

result<void> load_into(const weights& w, pipeline& p) {
    const auto model = w.meta_string(key_of("model"));
    if (!model) return missing("model");
    const raw_vocab v = RLX_TRY(read_vocab(w));
    RLX_CHECK(read_special_ids(w, v, p));
    if (*model == "gpt2")
        RLX_CHECK(load_byte_level(w, v, p));
    else if (*model == "llama")
        RLX_CHECK(load_sentencepiece(w, v, p));
    else if (*model == "gemma4")
        RLX_CHECK(load_gemma4(w, v, p));
    else if (*model == "bert")
        RLX_CHECK(load_wordpiece(w, v, p));
    else if (*model == "t5")
        RLX_CHECK(load_unigram(w, v, p));
    else
        return error{
            RLX_UNSUPPORTED,
            "tokenizer model \"" + std::string(*model) +
                "\" (tokenizer.ggml.model) is not supported; known are gpt2, llama, gemma4, bert, "
                "t5"};
    RLX_CHECK(read_add_flags(w, p));
    p.raw_added = RLX_TRY(match_names(v));
    return {};
}

} // namespace

result<std::unique_ptr<pipeline>> load_gguf(const weights& w) {
    auto p = std::make_unique<pipeline>();
    p->source = "gguf";
    RLX_CHECK(load_into(w, *p).within("tokenizer of " + w.path().string()));
    return p;
}

} // namespace rlx::text
