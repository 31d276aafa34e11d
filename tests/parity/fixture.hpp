// SPDX-License-Identifier: GPL-3.0-only
// The goldens of tests/goldens/lm and how logits are compared with them.
#pragma once

#include "chain.hpp"
#include "files.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace rlx::test {

inline const std::vector<std::string>& lm_cases() {
    static const std::vector<std::string> names = {
        "llama-bias",
        "llama-default",
        "llama-dynamic",
        "llama-gelu",
        "llama-linear",
        "llama-llama3",
        "llama-yarn",
        "qwen2-tied",
        "qwen2-untied",
        "qwen3-dense",
        "qwen3-sliding",
        "qwen3-tied",
        "qwen3-yarn",
        "qwen3moe-normalised",
        "qwen3moe-raw",
    };
    return names;
}

// A test name may hold letters, digits and _ only.
inline std::string test_name(std::string name) {
    for (char& c : name) {
        if (c == '-' || c == '/') c = '_';
    }
    return name;
}

struct fixture {
    std::filesystem::path folder;
    std::vector<std::int32_t> ids;
    std::vector<float> logits; // [ids, vocab]

    explicit fixture(const std::string& name)
        : folder(std::filesystem::path(RLX_GOLDENS_DIR) / "lm" / name),
          ids(read_npy_i32(folder / "ids.npy").data),
          logits(read_npy_f32(folder / "logits.npy").data) {}

    std::filesystem::path hf() const { return folder / "hf"; }

    std::filesystem::path gguf() const { return folder / "gguf" / "model.gguf"; }

    std::size_t vocab() const { return logits.size() / ids.size(); }

    // Tokens up to which the model has one meaning however it is fed: dynamic RoPE rotates
    // differently once a sequence is longer than max_position_embeddings.
    std::span<const std::int32_t> chunkable() const {
        const bool dynamic = folder.filename() == "llama-dynamic";
        return std::span(ids).first(dynamic ? 32 : ids.size());
    }
};

inline double rms(std::span<const float> x) {
    double sum = 0;
    for (const float v : x)
        sum += double(v) * double(v);
    return std::sqrt(sum / static_cast<double>(x.size()));
}

// Largest difference in units of want's RMS; infinite when the sizes differ or a number is not
// finite.
inline double distance(std::span<const float> got, std::span<const float> want) {
    if (got.size() != want.size() || want.empty()) return INFINITY;
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double d = std::fabs(double(got[i]) - double(want[i]));
        if (!std::isfinite(d)) return INFINITY;
        worst = std::max(worst, d);
    }
    return worst / rms(want);
}

inline std::vector<std::size_t> best_of_rows(std::span<const float> x, std::size_t width) {
    std::vector<std::size_t> best;
    for (std::size_t at = 0; at + width <= x.size(); at += width) {
        const auto row = x.subspan(at, width);
        best.push_back(
            static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin())
        );
    }
    return best;
}

// exp(a) / sum exp(a) against exp(b): mean over rows of the Kullback-Leibler divergence of b from
// a, in nats.
inline double mean_kl(std::span<const float> a, std::span<const float> b, std::size_t width) {
    double total = 0;
    const std::size_t rows = a.size() / width;
    const auto log_sum = [&](std::span<const float> row) {
        const double top = *std::max_element(row.begin(), row.end());
        double sum = 0;
        for (const float v : row)
            sum += std::exp(double(v) - top);
        return top + std::log(sum);
    };
    for (std::size_t r = 0; r < rows; ++r) {
        const auto p = a.subspan(r * width, width);
        const auto q = b.subspan(r * width, width);
        const double lp = log_sum(p);
        const double lq = log_sum(q);
        for (std::size_t i = 0; i < width; ++i) {
            const double log_p = double(p[i]) - lp;
            total += std::exp(log_p) * (log_p - (double(q[i]) - lq));
        }
    }
    return total / static_cast<double>(rows);
}

} // namespace rlx::test
