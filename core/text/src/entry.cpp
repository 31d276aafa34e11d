// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/text/text.hpp"

#include "jinja/chat_template.hpp"
#include "tokenizer/gguf.hpp"
#include "tokenizer/hf.hpp"
#include "tokenizer/vocab_txt.hpp"

#include <fstream>
#include <new>
#include <sstream>

namespace rlx::text {
namespace {

result<std::string> read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return error{RLX_NOT_FOUND, "cannot open " + path};
    std::ostringstream out;
    out << in.rdbuf();
    if (in.bad()) return error{RLX_IO, "cannot read " + path};
    return std::move(out).str();
}

// Nothing thrown below (no memory, a regular expression library's refusal) may leave the library.
template <class T, class F>
result<T> guarded(F f) {
    try {
        return f();
    } catch (const std::bad_alloc&) {
        return error{RLX_OUT_OF_MEMORY, "out of memory in the text library"};
    } catch (const std::exception& e) {
        return error{RLX_INTERNAL, std::string("text library: ") + e.what()};
    }
}

result<std::unique_ptr<pipeline>> load_tokenizer(const weights& w, const std::string& file) {
    const bool own = w.format() == "gguf" && w.meta_string("tokenizer.ggml.model");
    if (file.empty() && own) return load_gguf(w);
    hf_files files;
    if (!file.empty()) {
        files.tokenizer = RLX_TRY(read_text(file));
        const std::string folder = file.substr(0, file.find_last_of('/') + 1);
        const auto beside = [&](const char* name) -> std::optional<std::string> {
            auto text = read_text(folder + name);
            return text.ok() ? std::optional(std::move(*text)) : std::nullopt;
        };
        files.config = beside("tokenizer_config.json");
        files.special_tokens_map = beside("special_tokens_map.json");
        files.generation_config = beside("generation_config.json");
    } else {
        files.config = RLX_TRY(w.sidecar("tokenizer_config.json"));
        auto text = RLX_TRY(w.sidecar("tokenizer.json"));
        const auto vocab = text ? std::nullopt : RLX_TRY(w.sidecar("vocab.txt"));
        if (vocab) text = RLX_TRY(tokenizer_of_vocab(*vocab, files.config));
        if (!text)
            return error{
                RLX_MISSING_METADATA,
                w.path().string() +
                    " holds no vocabulary, and there is no tokenizer.json beside it"};
        files.tokenizer = std::move(*text);
        files.special_tokens_map = RLX_TRY(w.sidecar("special_tokens_map.json"));
        files.generation_config = RLX_TRY(w.sidecar("generation_config.json"));
    }
    return load_hf(files);
}

// tokenizer_config.json: a string, or a list of {"name", "template"} of which "default" is taken.
result<std::optional<std::string>> template_of_config(const std::string& text) {
    const json root = RLX_TRY(parse_json(text));
    const json* t = get(root, "chat_template");
    if (!t) return std::optional<std::string>();
    if (t->is_string()) return std::optional(t->get<std::string>());
    if (!t->is_array())
        return error{RLX_CORRUPT_DATA, "\"chat_template\" is neither a string nor a list"};
    std::string names;
    for (const json& item : *t) {
        const std::string name = RLX_TRY(need_string(item, "name"));
        if (name == "default") return std::optional(RLX_TRY(need_string(item, "template")));
        names += " " + name;
    }
    return error{RLX_MISSING_METADATA, "\"chat_template\" has no entry \"default\", only" + names};
}

result<std::string> find_template(const weights& w) {
    if (w.format() == "gguf")
        if (const auto text = w.meta_string("tokenizer.chat_template")) return std::string(*text);
    if (auto text = RLX_TRY(w.sidecar("chat_template.jinja"))) return std::move(*text);
    if (const auto config = RLX_TRY(w.sidecar("tokenizer_config.json")))
        if (auto text = RLX_TRY(template_of_config(*config).within("tokenizer_config.json")))
            return std::move(*text);
    return error{
        RLX_MISSING_METADATA,
        w.path().string() + " has no chat template; give plain text with --prompt, or a template"};
}

class library final : public text_library {
public:
    result<std::unique_ptr<tokenizer>>
    open_tokenizer(const weights& w, const std::string& file) const override {
        return guarded<std::unique_ptr<tokenizer>>([&]() -> result<std::unique_ptr<tokenizer>> {
            return std::unique_ptr<tokenizer>(
                std::make_unique<pipeline_tokenizer>(RLX_TRY(load_tokenizer(w, file)))
            );
        });
    }

    std::unique_ptr<stream_decoder> stream(const tokenizer& t) const override { return t.stream(); }

    result<std::unique_ptr<chat_template>>
    open_template(const weights& w, const tokenizer& t) const override {
        return guarded<std::unique_ptr<chat_template>>(
            [&]() -> result<std::unique_ptr<chat_template>> {
                return jinja::compile_chat_template(RLX_TRY(find_template(w)), t.special_tokens());
            }
        );
    }

    result<std::unique_ptr<chat_template>> parse_template(
        std::string_view source, std::string_view bos, std::string_view eos
    ) const override {
        return guarded<std::unique_ptr<chat_template>>(
            [&]() -> result<std::unique_ptr<chat_template>> {
                std::vector<std::pair<std::string, std::string>> names;
                if (!bos.empty()) names.emplace_back("bos_token", bos);
                if (!eos.empty()) names.emplace_back("eos_token", eos);
                return jinja::compile_chat_template(std::string(source), std::move(names));
            }
        );
    }
};

} // namespace
} // namespace rlx::text

extern "C" __attribute__((visibility("default"))) const rlx::text_library* rlx_text_entry_v1() {
    static const rlx::text::library library;
    return &library;
}
