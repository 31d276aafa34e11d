// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/vocab_txt.hpp"

#include "json_access.hpp"

#include <string_view>
#include <unordered_map>

namespace rlx::text {
namespace {

struct settings {
    bool lowercase = true, chinese = true;
    std::optional<bool> strip_accents;
    std::string unk = "[UNK]", cls = "[CLS]", sep = "[SEP]", pad = "[PAD]", mask = "[MASK]";
};

// A token in tokenizer_config.json is a string or an object with "content".
void read_token(const json& config, const char* key, std::string& out) {
    const json* t = get(config, key);
    if (t && t->is_object()) t = get(*t, "content");
    if (t && t->is_string()) out = t->get<std::string>();
}

result<settings> read_settings(const std::optional<std::string>& text) {
    settings s;
    if (!text) return s;
    RLX_CHECK(check_json_depth(*text));
    const json config = RLX_TRY(parse_json(*text));
    if (!config.is_object()) return error{RLX_CORRUPT_DATA, "not an object"};
    s.lowercase = RLX_TRY(get_bool(config, "do_lower_case", s.lowercase));
    s.chinese = RLX_TRY(get_bool(config, "tokenize_chinese_chars", s.chinese));
    if (const json* strip = get(config, "strip_accents"); strip && strip->is_boolean())
        s.strip_accents = strip->get<bool>();
    read_token(config, "unk_token", s.unk);
    read_token(config, "cls_token", s.cls);
    read_token(config, "sep_token", s.sep);
    read_token(config, "pad_token", s.pad);
    read_token(config, "mask_token", s.mask);
    return s;
}

json template_of(const settings& s, const std::unordered_map<std::string, int>& ids) {
    const auto special = [](const std::string& t, int type) {
        return json{{"SpecialToken", {{"id", t}, {"type_id", type}}}};
    };
    const auto text = [](const char* which, int type) {
        return json{{"Sequence", {{"id", which}, {"type_id", type}}}};
    };
    json tokens = json::object();
    for (const std::string& t : {s.cls, s.sep})
        tokens[t] = {{"id", t}, {"ids", json::array({ids.at(t)})}, {"tokens", json::array({t})}};
    return {
        {"type", "TemplateProcessing"},
        {"single", json::array({special(s.cls, 0), text("A", 0), special(s.sep, 0)})},
        {"pair",
         json::array(
             {special(s.cls, 0), text("A", 0), special(s.sep, 0), text("B", 1), special(s.sep, 1)}
         )},
        {"special_tokens", std::move(tokens)},
    };
}

} // namespace

result<std::string>
tokenizer_of_vocab(const std::string& vocab, const std::optional<std::string>& config) {
    const settings s = RLX_TRY(read_settings(config).within("tokenizer_config.json"));
    json words = json::object();
    std::unordered_map<std::string, int> ids;
    int next = 0;
    std::string_view rest = vocab;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        std::string word(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (word.ends_with('\r')) word.pop_back();
        ids[word] = next; // the last of equal lines counts, as in the reference
        words[word] = next++;
    }
    json added = json::array();
    for (const std::string& t : {s.pad, s.unk, s.cls, s.sep, s.mask}) {
        const auto at = ids.find(t);
        const bool needed = t == s.unk || t == s.cls || t == s.sep;
        if (at == ids.end() && needed)
            return error{
                RLX_UNSUPPORTED,
                "vocab.txt has no line \"" + t +
                    "\": only the vocabularies of BERT are read without a tokenizer.json"};
        if (at == ids.end()) continue;
        added.push_back(
            {{"id", at->second},
             {"content", t},
             {"single_word", false},
             {"lstrip", false},
             {"rstrip", false},
             {"normalized", false},
             {"special", true}}
        );
    }
    const json root{
        {"version", "1.0"},
        {"added_tokens", std::move(added)},
        {"normalizer",
         {{"type", "BertNormalizer"},
          {"clean_text", true},
          {"handle_chinese_chars", s.chinese},
          {"strip_accents", s.strip_accents ? json(*s.strip_accents) : json(nullptr)},
          {"lowercase", s.lowercase}}},
        {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
        {"post_processor", template_of(s, ids)},
        {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
        {"model",
         {{"type", "WordPiece"},
          {"unk_token", s.unk},
          {"continuing_subword_prefix", "##"},
          {"max_input_chars_per_word", 100},
          {"vocab", std::move(words)}}},
    };
    // Bytes that are no UTF-8 become U+FFFD, as a reader of text gives.
    return root.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace rlx::text
