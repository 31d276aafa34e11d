// SPDX-License-Identifier: GPL-3.0-only
// The goldens of tests/goldens/images: pixels, hidden states and scores of tiny image encoders.
#pragma once

#include "chain.hpp"
#include "rlx/formats/safetensors.hpp"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

namespace rlx::test {

// Every checkpoint there is.
inline const std::vector<const char*> image_names = {
    "dinov2",
    "dinov2-giant",
    "dinov2-plain",
    "dinov2-registers",
    "dinov2-registers-classes",
    "meta",
    "meta-bare",
    "meta-bare-gguf",
    "meta-gguf",
    "meta-registers-gguf",
    "vision",
    "vision-free",
    "vision-learned",
    "vision-norms",
    "vision-registers",
    "vision-sinusoidal",
};

struct array {
    std::vector<std::int64_t> dims;
    std::vector<float> values;
};

struct image_case {
    array pixels, hidden, scores; // scores: none without a classification head

    image_batch batch() const {
        return {pixels.values, pixels.dims[0], pixels.dims[2], pixels.dims[3]};
    }
};

inline std::filesystem::path image_folder(const std::string& name) {
    return std::filesystem::path(RLX_GOLDENS_DIR) / "images" / name;
}

inline std::filesystem::path image_checkpoint(const std::string& name) {
    const auto folder = image_folder(name);
    for (const char* file : {"model.gguf", "config.json"})
        if (std::filesystem::exists(folder / file))
            return file == std::string("model.gguf") ? folder / file : folder;
    return folder / "model.safetensors";
}

inline chain_options image_chain(const std::string& name, std::string tier = {}) {
    chain_options o{.tier = std::move(tier)};
    if (name == "meta-bare") o.family_name = "dinov2";
    return o;
}

inline std::vector<image_case> image_cases(const std::string& name) {
    const auto file = image_folder(name) / "expected.safetensors";
    std::ifstream in(file, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    const auto header = must(safetensors_parse(
        {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, file.string()
    ));
    std::map<std::string, image_case> found;
    for (const safetensors_tensor& t : header.tensors) {
        const std::size_t dot = t.name.find('.');
        const std::string what = t.name.substr(0, dot);
        image_case& c = found[t.name.substr(dot + 1)];
        array& a = what == "pixels" ? c.pixels : what == "hidden" ? c.hidden : c.scores;
        a.dims.assign(t.dims.begin(), t.dims.end());
        a.values.resize(t.n_bytes / sizeof(float));
        std::memcpy(a.values.data(), bytes.data() + t.offset, t.n_bytes);
    }
    std::vector<image_case> out;
    for (auto& [key, c] : found)
        if (!c.pixels.values.empty()) out.push_back(std::move(c));
    return out;
}

// Largest difference over the RMS of what is expected.
inline double image_error(std::span<const float> got, std::span<const float> want) {
    double worst = 0, squares = 0;
    if (got.size() != want.size() || want.empty()) return INFINITY;
    for (std::size_t i = 0; i < want.size(); ++i) {
        const double difference = std::abs(double{got[i]} - double{want[i]});
        worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
        squares += double{want[i]} * double{want[i]};
    }
    return worst / std::sqrt(squares / static_cast<double>(want.size()));
}

// The first token of each image, [B, D].
inline std::vector<float> first_tokens(const array& hidden) {
    const auto tokens = static_cast<std::size_t>(hidden.dims[1]);
    const auto width = static_cast<std::size_t>(hidden.dims[2]);
    std::vector<float> out;
    for (std::size_t at = 0; at < hidden.values.size(); at += tokens * width)
        out.insert(
            out.end(),
            hidden.values.begin() + static_cast<std::ptrdiff_t>(at),
            hidden.values.begin() + static_cast<std::ptrdiff_t>(at + width)
        );
    return out;
}

} // namespace rlx::test
