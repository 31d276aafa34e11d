// SPDX-License-Identifier: GPL-3.0-only
// A checkpoint in memory, beside real ones: the program offers an rlx.weights/1 that knows both.
#pragma once

#include "rlx/formats/weights.hpp"

#include <map>
#include <set>
#include <string>

namespace optest {

struct stored_tensor {
    std::uint16_t dtype = RLX_F32;
    std::vector<std::int64_t> dims;
    std::vector<char> bytes;
};

class memory_weights final : public rlx::weights {
public:
    memory_weights();
    memory_weights(const memory_weights&) = delete;
    memory_weights& operator=(const memory_weights&) = delete;
    ~memory_weights() override;

    std::map<std::string, stored_tensor, std::less<>> stored;

    std::string_view format() const override { return "memory"; }

    std::string_view architecture() const override { return {}; }

    const std::filesystem::path& path() const override { return path_; }

    std::span<const rlx::tensor_info> tensors() const override { return {}; }

    std::uint64_t file_bytes() const override { return 0; }

    std::optional<std::string_view> meta_string(std::string_view) const override { return {}; }

    std::optional<std::int64_t> meta_int(std::string_view) const override { return {}; }

    std::optional<double> meta_float(std::string_view) const override { return {}; }

    std::optional<bool> meta_bool(std::string_view) const override { return {}; }

    std::optional<std::vector<std::string_view>> meta_strings(std::string_view) const override {
        return {};
    }

    std::optional<std::vector<double>> meta_floats(std::string_view) const override { return {}; }

    std::optional<std::vector<std::int64_t>> meta_ints(std::string_view) const override {
        return {};
    }

    std::vector<std::string> meta_keys() const override { return {}; }

    rlx::result<std::optional<std::string>> sidecar(std::string_view) const override {
        return std::optional<std::string>();
    }

    std::vector<std::string> unused() const override { return {}; }

    rlx_weights* handle() override { return reinterpret_cast<rlx_weights*>(this); }

private:
    std::filesystem::path path_;
};

// Offers rlx.weights/1 for both kinds of checkpoint; before anything else of the host is used.
void offer_weights();

} // namespace optest
