// SPDX-License-Identifier: GPL-3.0-only
// From what a checkpoint says, and what is known of it, to how its vectors are made.
#include "embed_files.hpp"

#include "rlx/base/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace rlx {
namespace {

namespace fs = std::filesystem;

std::string lowered(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return out;
}

std::string bare(std::string_view name) {
    return lowered(name.substr(name.rfind('/') + 1));
}

// The folder of a snapshot in the Hugging Face cache is models--org--name/snapshots/commit.
std::string folder_name(const fs::path& folder) {
    if (folder.parent_path().filename() != "snapshots") return folder.filename().string();
    const std::string repo = folder.parent_path().parent_path().filename().string();
    const std::size_t at = repo.rfind("--");
    return at == repo.npos ? repo : repo.substr(at + 2);
}

// Floats of a hidden state as the metadata have it; 0 = not said.
std::int64_t width_of(const weights& w) {
    const std::string gguf = fmt::format("{}.embedding_length", w.stored_architecture());
    for (const std::string& key :
         {gguf,
          std::string("hidden_size"),
          std::string("n_embd"),
          std::string("dim"),
          std::string("d_model")})
        if (const auto n = w.meta_int(key)) return *n;
    return 0;
}

// A line of the table by any name the checkpoint goes by; only if the size agrees.
const known_embedder* known_as(const weights& w, const fs::path& folder, std::string_view name) {
    std::vector<std::string> names{bare(name)};
    if (w.format() == "gguf") {
        for (const char* key : {"general.name", "general.basename"})
            if (const auto text = w.meta_string(key)) names.push_back(bare(*text));
        std::string file = lowered(w.path().stem().string());
        names.push_back(file);
        // "nomic-embed-text-v1.5.Q8_0": the type of the tensors is no part of the name.
        names.push_back(file.substr(0, file.rfind('.')));
    } else {
        names.push_back(lowered(folder_name(folder)));
    }
    for (std::string& n : names)
        std::ranges::replace(n, ' ', '-');
    const std::int64_t width = width_of(w);
    for (const known_embedder& k : known_embedders())
        if (std::ranges::find(names, bare(k.name)) != names.end())
            return width == 0 || width == k.dimensions ? &k : nullptr;
    return nullptr;
}

class reader {
public:
    reader(const weights& w, std::string_view name, const fs::path& root) : w_(w) {
        std::error_code ignored;
        // A plugin's format is one file; what belongs to it lies beside it.
        transformer_ = fs::is_directory(w.path(), ignored) ? w.path() : w.path().parent_path();
        if (transformer_.empty()) transformer_ = ".";
        folder_ = root.empty() ? transformer_ : root;
        known_ = known_as(w, fs::absolute(folder_, ignored).lexically_normal(), name);
    }

    result<embedding_recipe> read() {
        // The folder of a GGUF file is no checkpoint; the file says all there is.
        if (w_.format() != "gguf") files_ = RLX_TRY(read_sentence_files(folder_, transformer_));
        RLX_CHECK(read_pooling());
        read_normalise();
        read_length();
        read_prompts();
        out_.modules = std::move(files_.modules);
        out_.dimensions = files_.dimensions.value_or(0);
        out_.similarity = files_.similarity.value_or(similarity::cosine);
        if (known_) {
            out_.matryoshka = known_->matryoshka;
            out_.norm_before_cut = known_->norm_before_cut;
        }
        if (files_.lower_case)
            out_.notes.push_back(
                "sentence_bert_config.json asks for lower case; only the tokenizer's own "
                "normaliser changes case here"
            );
        return std::move(out_);
    }

private:
    // Where an item of the recipe came from.
    void note(std::string_view item, std::string source) {
        out_.sources.emplace_back(std::string(item), std::move(source));
    }

    void from_table(std::string_view item) {
        out_.known_as = known_->name;
        note(item, fmt::format("known model {}", known_->name));
    }

    result<void> read_pooling();
    void read_normalise();
    void read_length();
    void read_prompts();

    const weights& w_;
    fs::path folder_, transformer_; // with modules.json, with the weights
    const known_embedder* known_ = nullptr;
    sentence_files files_;
    embedding_recipe out_;
};

// llama.cpp's numbers.
result<void> reader::read_pooling() {
    const std::string key = fmt::format("{}.pooling_type", w_.stored_architecture());
    const auto type = w_.format() == "gguf" ? w_.meta_int(key) : std::nullopt;
    constexpr pooling kinds[] = {pooling::none, pooling::mean, pooling::cls, pooling::last};
    if (type) {
        note("pooling", key);
        if (*type >= 0 && *type < std::ssize(kinds)) {
            out_.pooling = kinds[*type];
        } else {
            out_.unsupported_pooling = fmt::format(
                "{}: {}: the checkpoint was trained for pooling '{}'; {}",
                w_.path().string(),
                key,
                *type == 4 ? std::string("rank") : std::to_string(*type),
                *type == 4 ? "it ranks pairs of texts, or choose a pooling to use it nevertheless"
                           : "choose one to use it nevertheless"
            );
        }
    } else if (!files_.pooling_file.empty()) {
        if (files_.unsupported_pooling.empty()) {
            out_.pooling = files_.pooling[0];
            out_.more_pooling.assign(files_.pooling.begin() + 1, files_.pooling.end());
        }
        out_.unsupported_pooling = files_.unsupported_pooling;
        out_.include_prompt = files_.include_prompt;
        note("pooling", files_.pooling_file);
    } else if (known_) {
        out_.pooling = known_->pooling;
        from_table("pooling");
    } else {
        note("pooling", "default");
    }
    return {};
}

void reader::read_normalise() {
    if (files_.has_modules) {
        out_.normalise = files_.normalise;
        note("normalise", "modules.json");
    } else if (known_) {
        out_.normalise = known_->normalise;
        from_table("normalise");
    } else {
        note("normalise", "default");
    }
}

void reader::read_length() {
    if (files_.max_length) {
        out_.max_length = *files_.max_length;
        note("max_length", files_.max_length_file);
    } else if (known_) {
        out_.max_length = known_->max_length;
        from_table("max_length");
    } else {
        note("max_length", "context of the model");
    }
}

void reader::read_prompts() {
    out_.prompts = std::move(files_.prompts);
    out_.default_prompt = std::move(files_.default_prompt);
    if (!out_.prompts.empty()) {
        note("prompts", "config_sentence_transformers.json");
    } else if (known_ && !(known_->query.empty() && known_->document.empty())) {
        out_.prompts = {
            {"query", std::string(known_->query)}, {"document", std::string(known_->document)}};
        from_table("prompts");
    }
}

} // namespace

result<embedding_recipe>
read_recipe(const weights& w, std::string_view name, const fs::path& folder) {
    return reader(w, name, folder).read();
}

} // namespace rlx
