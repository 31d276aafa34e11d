// SPDX-License-Identifier: GPL-3.0-only
// The goldens of tests/goldens/encoders: texts as ids, and what every head of tiny encoders gives.
#pragma once

#include "chain.hpp"
#include "rlx/formats/safetensors.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

namespace rlx::test {

// Every checkpoint there is.
inline const std::vector<const char*> text_encoders = {
    "bert",
    "bert-heads",
    "bert-gamma",
    "bert-classes",
    "bert-untied",
    "bert-pretraining",
    "roberta",
    "roberta-classes",
    "roberta-mlm",
    "xlm-roberta-reranker",
    "mpnet",
    "mpnet-classes",
    "mpnet-mlm",
    "distilbert",
    "distilbert-classes",
    "distilbert-mlm",
    "nomic",
    "nomic-mlm",
    "nomic-classes",
    "nomic-hub",
    "nomic-options",
    "nomic-moe",
    "bert/gguf",
    "roberta/gguf",
    "roberta-classes/gguf",
    "distilbert/gguf",
    "nomic/gguf",
    "nomic-hub/gguf",
    "nomic-moe/gguf",
};

struct text_case {
    std::vector<std::int32_t> ids, types;
    std::map<encoder_head, std::vector<float>> expected;
};

inline const std::map<std::string, encoder_head> text_heads = {
    {"hidden", encoder_head::hidden},
    {"pooled", encoder_head::pooled},
    {"scores", encoder_head::classes},
    {"logits", encoder_head::vocab},
};

template <class T>
std::vector<T> text_elements(const std::string& bytes, const safetensors_tensor& t) {
    std::vector<T> out(t.n_bytes / sizeof(T));
    std::memcpy(out.data(), bytes.data() + t.offset, t.n_bytes);
    return out;
}

inline std::filesystem::path text_folder(const std::string& name) {
    return std::filesystem::path(RLX_GOLDENS_DIR) / "encoders" / name;
}

// A GGUF file (NAME/gguf) has the values of its twin, or its own where a converter left something
// out. Poolers are always left out.
inline std::vector<text_case>
text_cases(const std::string& name, const std::string& leaf = "expected.safetensors") {
    const bool gguf = name.ends_with("/gguf");
    auto file = text_folder(name) / leaf;
    if (gguf && !exists(file)) file = text_folder(name).parent_path() / leaf;
    std::ifstream in(file, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    const auto header = must(safetensors_parse(
        {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, file.string()
    ));
    std::map<std::string, text_case> texts;
    for (const safetensors_tensor& t : header.tensors) {
        const std::size_t dot = t.name.find('.');
        text_case& c = texts[t.name.substr(dot + 1)];
        const std::string what = t.name.substr(0, dot);
        if (what == "ids") c.ids = text_elements<std::int32_t>(bytes, t);
        if (what == "types") c.types = text_elements<std::int32_t>(bytes, t);
        if (gguf && what == "pooled") continue;
        if (text_heads.contains(what))
            c.expected[text_heads.at(what)] = text_elements<float>(bytes, t);
    }
    std::vector<text_case> out;
    for (auto& [key, c] : texts)
        out.push_back(std::move(c));
    return out;
}

inline double text_error(std::span<const float> got, std::span<const float> want) {
    double worst = 0;
    if (got.size() != want.size()) return INFINITY;
    for (std::size_t i = 0; i < want.size(); ++i) {
        const double d = std::abs(double{got[i]} - double{want[i]});
        worst = std::isnan(d) ? INFINITY : std::max(worst, d);
    }
    return worst;
}

// RMS of what is expected, over all texts: one score may lie next to 0.
inline double text_scale(const std::vector<text_case>& texts, encoder_head head) {
    double squares = 0, n = 0;
    for (const text_case& t : texts) {
        for (const float x : t.expected.at(head)) {
            squares += double{x} * double{x};
            n += 1;
        }
    }
    return std::sqrt(squares / n);
}

} // namespace rlx::test
