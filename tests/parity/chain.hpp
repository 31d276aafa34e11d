// SPDX-License-Identifier: GPL-3.0-only
// Everything between a checkpoint and its logits, as a program would put it together: catalog, one
// family plugin, the cpu plugin, the language-model loop. For tests.
#pragma once

#include "rlx/formats/weights.hpp"
#include "rlx/loader/loader.hpp"
#include "rlx/runtime/encoder.hpp"
#include "rlx/runtime/image_encoder.hpp"
#include "rlx/runtime/lm.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace rlx::test {

// Tiers of the cpu backend that results are compared in; one the machine lacks is skipped.
inline constexpr const char* cpu_tiers[] = {"baseline", "avx2", "avx512", "avx512_vnni", "amx"};

struct chain_options {
    std::string backend = "cpu";
    std::string tier = {}; // of the cpu backend; empty = its choice
    // max_rows: logits of that many tokens per step, else the whole prompt is fed one by one.
    lm_options lm{.max_seq = 128, .max_rows = 64, .compute = "f32"};
    open_options files = {};
    std::string family_name = {};          // for checkpoints that do not say what they are
    const rlx_family_v1* family = nullptr; // instead of the catalog's plugin; self is NULL
    // "partial:3" = that device of tests/partial with the cpu behind it; empty = the cpu alone.
    std::string device = {};
    std::map<std::string, std::int64_t> device_options = {}; // of `device`
    std::function<void(model_parts&)> adjust = {};           // last
};

class chain {
public:
    static result<std::unique_ptr<chain>>
    open(const std::filesystem::path& checkpoint, const chain_options& = {});
    // Only the plan.
    static result<lm_plan> plan(const std::filesystem::path& checkpoint, const chain_options& = {});
    // A text encoder instead; o.lm is not used.
    static result<std::unique_ptr<chain>> open_encoder(
        const std::filesystem::path& checkpoint, const encoder_options&, const chain_options& o = {}
    );
    // An image encoder; o.lm is not used.
    static result<std::unique_ptr<chain>> open_image_encoder(
        const std::filesystem::path& checkpoint,
        const image_encoder_options&,
        const chain_options& o = {}
    );
    chain(const chain&) = delete;
    chain& operator=(const chain&) = delete;
    ~chain();

    lm_model& model() { return *model_; }

    encoder_model& encoder() { return *encoder_; }

    image_encoder_model& images() { return *images_; }

    const weights& checkpoint() const { return *weights_; }

private:
    chain() = default;
    result<void> open_device(const chain_options& o);
    static result<std::unique_ptr<chain>>
    open_parts(const std::filesystem::path& checkpoint, const chain_options& o);

    std::unique_ptr<plugin_catalog> catalog_;
    std::unique_ptr<weights> weights_;
    lm_model::parts parts_{};
    std::unique_ptr<lm_model> model_;
    std::unique_ptr<encoder_model> encoder_;
    std::unique_ptr<image_encoder_model> images_;
};

// Logits [ids, vocab] of a new sequence that is fed `chunk` tokens at a time (0: all at once).
// Throws std::runtime_error with the error's text.
std::vector<float> prefill(lm_model& m, std::span<const std::int32_t> ids, std::size_t chunk = 0);

// The value or a thrown std::runtime_error with the error's text, which GoogleTest shows.
template <class T>
T must(result<T> r) {
    if (!r.ok()) throw std::runtime_error(r.error().message);
    return std::move(r.value());
}

inline void must(result<void> r) {
    if (!r.ok()) throw std::runtime_error(r.error().message);
}

} // namespace rlx::test
