// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/hf.hpp"

#include "tokenizer/byte_level.hpp"
#include "tokenizer/hf_tables.hpp"

#include <algorithm>

namespace rlx::text {
namespace {

// A token of tokenizer.json's "added_tokens".
result<void> add_token(
    const json& j,
    pipeline& p,
    bool byte_level,
    std::vector<added_token>& raw,
    std::vector<added_token>& normalized
) {
    added_token t;
    t.content = RLX_TRY(need_string(j, "content"));
    const std::int64_t id = RLX_TRY(get_int(j, "id")).value_or(-1);
    if (id < 0 || id >= static_cast<std::int64_t>(max_vocab_size))
        return error{
            RLX_CORRUPT_DATA, "added token \"" + t.content + "\" has the id " + std::to_string(id)};
    t.id = static_cast<token_id>(id);
    t.special = RLX_TRY(get_bool(j, "special", false));
    t.single_word = RLX_TRY(get_bool(j, "single_word", false));
    t.lstrip = RLX_TRY(get_bool(j, "lstrip", false));
    t.rstrip = RLX_TRY(get_bool(j, "rstrip", false));
    const bool after_normalizer = RLX_TRY(get_bool(j, "normalized", !t.special));
    const auto in_model = byte_level ? chars_to_bytes(t.content) : std::optional(t.content);
    token_id known = in_model ? p.tokens.find(*in_model) : no_token;
    if (known == no_token) known = p.tokens.find(t.content, true);
    if (known != no_token && known != t.id)
        return error{
            RLX_CORRUPT_DATA,
            "added token \"" + t.content + "\" has the id " + std::to_string(id) +
                ", the vocabulary says " + std::to_string(known)};
    if (known == no_token && p.tokens.contains(t.id))
        return error{
            RLX_CORRUPT_DATA,
            "added token \"" + t.content + "\" has the id " + std::to_string(id) +
                ", which is another token's"};
    const token_type type = t.special ? token_type::control : token_type::user_defined;
    if (known == no_token)
        RLX_CHECK(p.tokens.set(t.id, t.content, {type, true}));
    else
        p.tokens.set_type(t.id, type);
    if (after_normalizer) {
        t.content = RLX_TRY(p.norm(t.content));
        normalized.push_back(std::move(t));
    } else {
        raw.push_back(std::move(t));
    }
    return {};
}

result<void> read_added_tokens(const json& root, bool byte_level, pipeline& p) {
    const json* list = get(root, "added_tokens");
    std::vector<added_token> raw, normalized;
    if (list && !list->is_array()) return error{RLX_CORRUPT_DATA, "\"added_tokens\" is no array"};
    if (list)
        for (const json& j : *list)
            RLX_CHECK(add_token(j, p, byte_level, raw, normalized));
    p.tokens.index();
    p.raw_added = RLX_TRY(added_matcher::make(std::move(raw)));
    p.normalized_added = RLX_TRY(added_matcher::make(std::move(normalized)));
    return {};
}

result<token_id> need_id(const pipeline& p, std::int64_t id, const char* where) {
    if (!p.tokens.contains(id))
        return error{
            RLX_CORRUPT_DATA,
            std::string(where) + " names the token id " + std::to_string(id) +
                ", which is not in the vocabulary"};
    return static_cast<token_id>(id);
}

// Ids of an item {"SpecialToken": {"id": "[SEP]"}} of a template.
result<std::vector<token_id>>
special_ids(const json& j, const json& item, const char* list, const pipeline& p) {
    const json* special = get(item, "SpecialToken");
    if (!special)
        return error{
            RLX_CORRUPT_DATA,
            std::string("an item of \"") + list + "\" is neither Sequence nor SpecialToken"};
    const std::string name = RLX_TRY(need_string(*special, "id"));
    const json* tokens = get(j, "special_tokens");
    const json* entry = tokens ? get(*tokens, name.c_str()) : nullptr;
    const json* ids = entry ? get(*entry, "ids") : nullptr;
    if (!ids || !ids->is_array())
        return error{RLX_CORRUPT_DATA, "special token \"" + name + "\" has no ids"};
    std::vector<token_id> out;
    for (const json& id : *ids) {
        if (!id.is_number_integer())
            return error{
                RLX_CORRUPT_DATA, "special token \"" + name + "\" has an id that is no number"};
        out.push_back(RLX_TRY(need_id(p, id.get<std::int64_t>(), "post-processor")));
    }
    return out;
}

result<std::int32_t> segment_of(const json& item) {
    constexpr std::int64_t most = 1 << 16;
    const std::int64_t type = RLX_TRY(get_int(item, "type_id")).value_or(0);
    if (type < 0 || type > most)
        return error{
            RLX_CORRUPT_DATA, "type_id " + std::to_string(type) + " of the post-processor"};
    return static_cast<std::int32_t>(type);
}

// "pair" is for join(); files without it are read all the same.
result<void> read_pair_template(const json& j, pipeline& p) {
    const json* pair = get(j, "pair");
    if (!pair || !pair->is_array()) return {};
    for (const json& item : *pair) {
        if (const json* text = get(item, "Sequence")) {
            const bool second = RLX_TRY(need_string(*text, "id")) == "B";
            using kind = pair_item::kind;
            p.pair.push_back(
                {second ? kind::second : kind::first, no_token, RLX_TRY(segment_of(*text))}
            );
            continue;
        }
        const auto ids = RLX_TRY(special_ids(j, item, "pair", p));
        const std::int32_t type = RLX_TRY(segment_of(*get(item, "SpecialToken")));
        for (const token_id id : ids)
            p.pair.push_back({pair_item::kind::token, id, type});
    }
    return {};
}

result<void> read_template(const json& j, pipeline& p) {
    const json* single = get(j, "single");
    if (!single || !single->is_array()) return error{RLX_CORRUPT_DATA, "\"single\" is missing"};
    bool after_text = false;
    for (const json& item : *single) {
        if (get(item, "Sequence")) {
            after_text = true;
            continue;
        }
        for (const token_id id : RLX_TRY(special_ids(j, item, "single", p)))
            (after_text ? p.suffix : p.prefix).push_back(id);
    }
    return read_pair_template(j, p);
}

// BertProcessing and RobertaProcessing: ["[SEP]", 102].
result<token_id> read_pair(const json& j, const char* key, const pipeline& p) {
    const json* pair = get(j, key);
    if (!pair || !pair->is_array() || pair->size() != 2 || !(*pair)[1].is_number_integer())
        return error{RLX_CORRUPT_DATA, std::string("\"") + key + "\" is no pair of token and id"};
    return need_id(p, (*pair)[1].get<std::int64_t>(), key);
}

result<void> read_post_processor(const json& j, pipeline& p) {
    const std::string type = RLX_TRY(need_string(j, "type"));
    if (type == "Sequence") {
        const json* list = get(j, "processors");
        if (!list || !list->is_array())
            return error{RLX_CORRUPT_DATA, "sequence without \"processors\""};
        for (const json& item : *list)
            RLX_CHECK(read_post_processor(item, p));
        return {};
    }
    if (type == "TemplateProcessing") return read_template(j, p);
    if (type == "BertProcessing" || type == "RobertaProcessing") {
        const token_id cls = RLX_TRY(read_pair(j, "cls", p)), sep = RLX_TRY(read_pair(j, "sep", p));
        p.prefix.push_back(cls);
        p.suffix.insert(p.suffix.begin(), sep);
        using enum pair_item::kind;
        if (type == "RobertaProcessing") // two separators between the texts, one segment
            p.pair = {{token, cls}, {first}, {token, sep}, {token, sep}, {second}, {token, sep}};
        return {};
    }
    if (type == "ByteLevel") return {}; // offsets only
    return error{RLX_UNSUPPORTED, "\"" + type + "\" is not supported"};
}

// "bos_token": "<s>" or {"content": "<s>", ...}.
result<std::optional<std::string>> token_text(const json& j, const char* key) {
    const json* v = get(j, key);
    if (!v) return std::optional<std::string>();
    if (v->is_object()) return get_string(*v, "content");
    return get_string(j, key);
}

result<void> read_special_names(const json& j, pipeline& p) {
    for (const char* key :
         {"bos_token",
          "eos_token",
          "unk_token",
          "sep_token",
          "pad_token",
          "cls_token",
          "mask_token"}) {
        auto text = RLX_TRY(token_text(j, key));
        const bool seen =
            std::any_of(p.special_tokens.begin(), p.special_tokens.end(), [&](auto& t) {
                return t.first == key;
            });
        if (text && !seen) p.special_tokens.emplace_back(key, std::move(*text));
    }
    return {};
}

void add_stop(pipeline& p, std::int64_t id) {
    if (!p.tokens.contains(id)) return; // e.g. the padding of a model's own vocabulary
    const auto t = static_cast<token_id>(id);
    if (std::find(p.stops.begin(), p.stops.end(), t) == p.stops.end()) p.stops.push_back(t);
}

result<void> read_generation_config(const json& j, pipeline& p) {
    const json* eos = get(j, "eos_token_id");
    if (!eos) return {};
    const json list = eos->is_array() ? *eos : json::array({*eos});
    for (const json& id : list) {
        if (!id.is_number_integer())
            return error{RLX_CORRUPT_DATA, "\"eos_token_id\" holds something that is no number"};
        add_stop(p, id.get<std::int64_t>());
    }
    return {};
}

// add_bos_token and add_eos_token, where tokenizer_config.json states one of them, replace the
// post-processor.
result<void> read_add_flags(const json& config, pipeline& p) {
    if (!config.contains("add_bos_token") && !config.contains("add_eos_token")) return {};
    p.prefix.clear();
    p.suffix.clear();
    if (RLX_TRY(get_bool(config, "add_bos_token", false)) && p.bos) p.prefix.push_back(*p.bos);
    if (RLX_TRY(get_bool(config, "add_eos_token", false)) && p.eos) p.suffix.push_back(*p.eos);
    return {};
}

result<json> parse_object(const std::string& text) {
    json j = RLX_TRY(parse_json(text));
    if (!j.is_object()) return error{RLX_CORRUPT_DATA, "not an object"};
    return j;
}

result<void> read_side_files(const hf_files& files, pipeline& p) {
    json config = json::object();
    if (files.config) {
        config = RLX_TRY(parse_object(*files.config).within("tokenizer_config.json"));
        RLX_CHECK(read_special_names(config, p).within("tokenizer_config.json"));
    }
    if (files.special_tokens_map) {
        const json map =
            RLX_TRY(parse_object(*files.special_tokens_map).within("special_tokens_map.json"));
        RLX_CHECK(read_special_names(map, p).within("special_tokens_map.json"));
    }
    for (const auto& [key, text] : p.special_tokens) {
        if (key != "bos_token" && key != "eos_token") continue;
        token_id id = p.tokens.find(text, true);
        if (id == no_token)
            if (const auto bytes =
                    p.decoder.byte_level ? chars_to_bytes(text) : std::optional(text))
                id = p.tokens.find(*bytes);
        if (id == no_token)
            return error{
                RLX_CORRUPT_DATA, "the " + key + " \"" + text + "\" is not in the vocabulary"};
        (key == "bos_token" ? p.bos : p.eos) = id;
    }
    if (p.eos) add_stop(p, *p.eos);
    RLX_CHECK(read_add_flags(config, p).within("tokenizer_config.json"));
    if (files.generation_config) {
        const json generation =
            RLX_TRY(parse_object(*files.generation_config).within("generation_config.json"));
        RLX_CHECK(read_generation_config(generation, p).within("generation_config.json"));
    }
    return {};
}

result<void> load_into(const hf_files& files, pipeline& p) {
    RLX_CHECK(check_json_depth(files.tokenizer));
    const hf_tables tables = RLX_TRY(cut_tables(files.tokenizer));
    const json root = RLX_TRY(parse_json(tables.rest));
    if (!root.is_object()) return error{RLX_CORRUPT_DATA, "not an object"};
    const json* model = get(root, "model");
    if (!model || !model->is_object()) return error{RLX_CORRUPT_DATA, "\"model\" is missing"};
    bool byte_level = false;
    if (const json* n = get(root, "normalizer"))
        RLX_CHECK(add_normalizer(*n, p.norm).within("normalizer"));
    if (const json* n = get(root, "pre_tokenizer"))
        RLX_CHECK(add_pre_tokenizer(*n, p.pre, byte_level).within("pre_tokenizer"));
    if (const json* n = get(root, "decoder"))
        RLX_CHECK(add_decoder(*n, p.decoder).within("decoder"));
    else
        p.decoder.join_with_space = true;
    if (byte_level != p.decoder.byte_level)
        return error{
            RLX_UNSUPPORTED,
            byte_level ? "a ByteLevel pre-tokenizer without a ByteLevel decoder is not supported"
                       : "a ByteLevel decoder without a ByteLevel pre-tokenizer is not supported"};
    auto unigram = RLX_TRY(read_model(*model, tables, byte_level, p).within("model"));
    RLX_CHECK(read_added_tokens(root, byte_level, p).within("added_tokens"));
    if (unigram) RLX_CHECK(make_unigram(std::move(*unigram), p).within("model"));
    if (const json* n = get(root, "post_processor"))
        RLX_CHECK(read_post_processor(*n, p).within("post_processor"));
    return {};
}

} // namespace

result<std::unique_ptr<pipeline>> load_hf(const hf_files& files) {
    auto p = std::make_unique<pipeline>();
    p->source = "tokenizer.json";
    RLX_CHECK(load_into(files, *p).within("tokenizer.json"));
    RLX_CHECK(read_side_files(files, *p));
    return p;
}

} // namespace rlx::text
