// SPDX-License-Identifier: GPL-3.0-only
#include "embed_files.hpp"

#include "rlx/base/mmap.hpp"
#include "rlx/base/utf8.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace rlx {

namespace fs = std::filesystem;
using json = nlohmann::json;

result<std::optional<json>> read_json_object(const fs::path& file) {
    constexpr std::uint64_t largest = 1 << 20;
    std::error_code ignored;
    if (!fs::exists(file, ignored)) return std::optional<json>();
    const std::string text = RLX_TRY(read_text_file(file, largest));
    json config = json::parse(text, nullptr, false);
    if (!config.is_object())
        return error{RLX_CORRUPT_DATA, fmt::format("{}: expected a JSON object", file.string())};
    return std::optional(std::move(config));
}

namespace {

error wrong(const fs::path& file, std::string_view key, std::string_view expected) {
    return {
        RLX_CORRUPT_DATA, fmt::format("{}: {} is not {}", file.string(), printable(key), expected)};
}

result<std::optional<std::int64_t>>
positive(const json& config, const char* key, const fs::path& file) {
    const auto at = config.find(key);
    if (at == config.end() || at->is_null()) return std::optional<std::int64_t>();
    if (!at->is_number_integer() || at->get<std::int64_t>() < 1)
        return wrong(file, key, "a number above 0");
    return std::optional(at->get<std::int64_t>());
}

// sentence-transformers writes one flag per kind; newer files name the kinds.
result<std::vector<std::string>> modes_of(const json& config, const fs::path& file) {
    std::vector<std::string> chosen;
    if (const auto mode = config.find("pooling_mode"); mode != config.end()) {
        const json list = mode->is_string() ? json::array({*mode}) : *mode;
        if (!list.is_array()) return wrong(file, "pooling_mode", "a name or a list of names");
        for (const json& name : list) {
            if (!name.is_string()) return wrong(file, "pooling_mode", "a list of names");
            chosen.push_back(name.get<std::string>());
        }
        return chosen;
    }
    // The order in which several are put together; what else is asked for comes last.
    constexpr std::string_view prefix = "pooling_mode_";
    constexpr std::string_view order[] = {
        "cls_token",
        "max_tokens",
        "mean_tokens",
        "mean_sqrt_len_tokens",
        "weightedmean_tokens",
        "lasttoken"};
    for (const auto& [key, value] : config.items())
        if (key.starts_with(prefix) && value.is_boolean() && value.get<bool>())
            chosen.push_back(key.substr(prefix.size()));
    std::ranges::stable_sort(chosen, {}, [&](const std::string& mode) {
        return std::ranges::find(order, mode) - order;
    });
    return chosen;
}

std::optional<pooling> pooling_of_mode(std::string_view mode) {
    constexpr std::pair<std::string_view, pooling> names[] = {
        {"cls_token", pooling::cls},
        {"cls", pooling::cls},
        {"mean_tokens", pooling::mean},
        {"mean", pooling::mean},
        {"max_tokens", pooling::max},
        {"max", pooling::max},
        {"lasttoken", pooling::last},
        {"weightedmean_tokens", pooling::weighted_mean},
        {"weightedmean", pooling::weighted_mean},
        {"mean_sqrt_len_tokens", pooling::mean_sqrt_len}};
    for (const auto& [name, kind] : names)
        if (name == mode) return kind;
    return std::nullopt;
}

result<void> read_pooling(const fs::path& file, sentence_files& out) {
    const auto config = RLX_TRY(read_json_object(file));
    if (!config && out.has_modules)
        return error{
            RLX_CORRUPT_DATA, fmt::format("{}: missing, and modules.json names it", file.string())};
    if (!config) return {};
    const auto modes = RLX_TRY(modes_of(*config, file));
    out.pooling_file = file.string();
    for (const std::string& mode : modes)
        if (const auto kind = pooling_of_mode(mode)) out.pooling.push_back(*kind);
    if (modes.empty() || out.pooling.size() < modes.size())
        out.unsupported_pooling = fmt::format(
            "{}: the checkpoint was trained for pooling '{}', which is not done; choose cls, mean, "
            "max, last, weighted-mean, mean-sqrt-len or none to use it nevertheless",
            file.string(),
            printable(fmt::format("{}", fmt::join(modes, " + ")))
        );
    if (const auto at = config->find("include_prompt"); at != config->end()) {
        if (!at->is_boolean()) return wrong(file, "include_prompt", "true or false");
        out.include_prompt = at->get<bool>();
    }
    return {};
}

struct module_entry {
    std::string kind, path; // "Pooling", "1_Pooling"
};

result<std::vector<module_entry>> read_modules(const fs::path& file) {
    constexpr std::uint64_t largest = 1 << 20;
    const json list = json::parse(RLX_TRY(read_text_file(file, largest)), nullptr, false);
    if (!list.is_array())
        return error{RLX_CORRUPT_DATA, fmt::format("{}: expected a JSON array", file.string())};
    std::vector<module_entry> out;
    for (const json& m : list) {
        const bool whole = m.is_object() && m.contains("type") && m["type"].is_string() &&
                           m.contains("path") && m["path"].is_string();
        if (!whole) return wrong(file, "a module", "an object with type and path");
        module_entry entry{m["type"].get<std::string>(), m["path"].get<std::string>()};
        const fs::path inside(entry.path);
        if (inside.is_absolute() || std::ranges::find(inside, fs::path("..")) != inside.end())
            return wrong(file, entry.path, "a folder below the checkpoint's");
        entry.kind = entry.kind.substr(entry.kind.rfind('.') + 1);
        out.push_back(std::move(entry));
    }
    return out;
}

// Newer files say which of several results a module reads; here there is one.
result<void> check_names(const fs::path& file) {
    const auto config = RLX_TRY(read_json_object(file));
    for (const char* key : {"module_input_name", "module_output_name"}) {
        const auto at = config ? config->find(key) : json::const_iterator();
        if (!config || at == config->end() || at->is_null() || *at == "sentence_embedding")
            continue;
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: {} is {}, done is \"sentence_embedding\"",
                file.string(),
                key,
                printable(at->dump())
            )};
    }
    return {};
}

// Transformer, Pooling, then any number of Dense, LayerNorm and Normalize.
result<void>
read_module(const fs::path& folder, const module_entry& m, std::size_t index, sentence_files& out) {
    const auto refuse = [&](std::string_view why) {
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: module {} is {} ({}); done are Transformer, then Pooling, then Dense, "
                "LayerNorm and Normalize",
                (folder / "modules.json").string(),
                index,
                printable(m.kind),
                why
            )};
    };
    if (m.kind == "Transformer") {
        if (index != 0) return refuse("not the first");
        return {};
    }
    if (index == 0) return refuse("no text encoder");
    if (m.kind == "Pooling") {
        if (index != 1) return refuse("not the second");
        return read_pooling(folder / m.path / "config.json", out);
    }
    if (index == 1) return refuse("before the pooling");
    if (m.kind == "Dropout") return {}; // of training
    if (m.kind != "Dense" && m.kind != "LayerNorm" && m.kind != "Normalize")
        return refuse("not known");
    RLX_CHECK(check_names(folder / m.path / "config.json"));
    if (m.kind == "Normalize")
        out.modules.push_back({.what = vector_module::kind::normalise});
    else
        out.modules.push_back(RLX_TRY(
            m.kind == "Dense" ? read_dense(folder / m.path) : read_layer_norm(folder / m.path)
        ));
    return {};
}

// The names that older versions wrote are looked at too.
result<void> read_length(const fs::path& folder, sentence_files& out) {
    for (const char* name :
         {"sentence_bert_config.json",
          "sentence_roberta_config.json",
          "sentence_distilbert_config.json",
          "sentence_camembert_config.json",
          "sentence_albert_config.json",
          "sentence_xlm-roberta_config.json"}) {
        const auto config = RLX_TRY(read_json_object(folder / name));
        if (!config) continue;
        out.max_length = RLX_TRY(positive(*config, "max_seq_length", folder / name));
        out.max_length_file = name;
        const auto lower = config->find("do_lower_case");
        out.lower_case = lower != config->end() && lower->is_boolean() && lower->get<bool>();
        break;
    }
    if (out.max_length) return {};
    const auto config = RLX_TRY(read_json_object(folder / "tokenizer_config.json"));
    const auto at = config ? config->find("model_max_length") : json::const_iterator();
    constexpr std::int64_t no_limit = 1'000'000; // transformers writes 1e30 for none
    if (config && at != config->end() && at->is_number_integer() && at->get<std::int64_t>() > 0 &&
        at->get<std::int64_t>() < no_limit) {
        out.max_length = at->get<std::int64_t>();
        out.max_length_file = "tokenizer_config.json";
    }
    return {};
}

result<void> read_prompts(const fs::path& folder, sentence_files& out) {
    const fs::path file = folder / "config_sentence_transformers.json";
    const auto config = RLX_TRY(read_json_object(file));
    if (!config) return {};
    if (const auto at = config->find("prompts"); at != config->end() && !at->is_null()) {
        if (!at->is_object()) return wrong(file, "prompts", "an object");
        for (const auto& [name, text] : at->items()) {
            if (!text.is_string()) return wrong(file, name, "a text");
            out.prompts.emplace_back(name, text.get<std::string>());
        }
    }
    if (const auto at = config->find("default_prompt_name"); at != config->end() && at->is_string())
        out.default_prompt = at->get<std::string>();
    if (const auto at = config->find("similarity_fn_name");
        at != config->end() && at->is_string()) {
        out.similarity = similarity_named(at->get<std::string>());
        if (!out.similarity)
            return wrong(file, "similarity_fn_name", "cosine, dot, euclidean or manhattan");
    }
    out.dimensions = RLX_TRY(positive(*config, "truncate_dim", file));
    return {};
}

} // namespace

result<fs::path> transformer_folder(const fs::path& folder) {
    const fs::path file = folder / "modules.json";
    std::error_code ignored;
    if (!fs::is_directory(folder, ignored) || !fs::exists(file, ignored)) return folder;
    const auto modules = RLX_TRY(read_modules(file));
    if (modules.empty() || modules[0].kind != "Transformer" || modules[0].path.empty())
        return folder;
    return folder / modules[0].path;
}

result<sentence_files> read_sentence_files(const fs::path& folder, const fs::path& transformer) {
    sentence_files out;
    std::error_code ignored;
    if (fs::exists(folder / "modules.json", ignored)) {
        out.has_modules = true;
        const fs::path list = folder / "modules.json";
        const auto modules = RLX_TRY(read_modules(list));
        if (modules.empty())
            return error{
                RLX_CORRUPT_DATA,
                fmt::format("{}: no modules, expected a Transformer first", list.string())};
        for (std::size_t i = 0; i < modules.size(); ++i)
            RLX_CHECK(read_module(folder, modules[i], i, out));
        if (out.pooling_file.empty()) {
            out.pooling_file = list.string();
            out.unsupported_pooling = fmt::format(
                "{}: no Pooling module, so nothing makes one vector of a text's; choose a pooling "
                "to use it nevertheless",
                list.string()
            );
        }
        out.normalise =
            !out.modules.empty() && out.modules.back().what == vector_module::kind::normalise;
        if (out.normalise) out.modules.pop_back();
    } else {
        RLX_CHECK(read_pooling(folder / "1_Pooling" / "config.json", out));
    }
    RLX_CHECK(read_length(transformer, out));
    RLX_CHECK(read_prompts(folder, out));
    return out;
}

} // namespace rlx
