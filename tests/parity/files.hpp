// SPDX-License-Identifier: GPL-3.0-only
// Test helpers for checkpoint files: .npy arrays, scratch folders, and a safetensors checkpoint
// that can be changed before it is written again.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace rlx::test {

// A new empty folder, removed at the end.
class scratch_dir {
public:
    scratch_dir();
    scratch_dir(const scratch_dir&) = delete;
    scratch_dir& operator=(const scratch_dir&) = delete;
    ~scratch_dir();

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

template <class T>
struct npy {
    std::vector<std::size_t> shape;
    std::vector<T> data;
};

// Throw std::runtime_error on anything unexpected: a broken fixture is a failed test.
npy<float> read_npy_f32(const std::filesystem::path& file);
npy<std::int32_t> read_npy_i32(const std::filesystem::path& file);

// A Hugging Face folder in memory; all tensors F32.
struct hf_checkpoint {
    struct tensor {
        std::vector<std::int64_t> shape;
        std::vector<float> data;
    };

    nlohmann::json config;
    std::map<std::string, tensor> tensors;

    static hf_checkpoint read(const std::filesystem::path& folder);
    void write(const std::filesystem::path& folder) const;
};

} // namespace rlx::test
