// SPDX-License-Identifier: GPL-3.0-only
// The weights of a program on the device. Layout first (exact bytes, nothing read), then one load
// that streams the checkpoint through a staging ring.
#pragma once

#include "rlx/sdk/backend.hpp"
#include "vk/gpu.hpp"

#include <deque>

namespace rlx::vulkan {

// How shaders see a stored matrix. Rows lie in groups of 32; a group is a run of blocks, a block
// has `words` 32-bit words for `elements` columns, word w of row r at [w * 32 + r]: neighbouring
// invocations read neighbouring words. Columns behind the last are zeros.
struct matrix_format {
    std::uint16_t dtype;
    const char* name; // in shader names
    std::uint32_t elements, words;
    std::uint32_t file_elements, file_bytes; // of a block in the file
};

std::span<const matrix_format> matrix_formats();
const matrix_format* find_format(std::uint16_t dtype); // null: no shader reads it
constexpr std::int64_t group_rows = 32;

struct matrix_part {
    std::int64_t first_row = 0, rows = 0; // of the matrix; first_row is a multiple of group_rows
    std::uint32_t block = 0;              // memory of the store
    std::uint64_t at = 0, bytes = 0;
};

// Rows of one tensor, split where a buffer or a binding would be too large.
struct matrix_weight {
    const matrix_format* format = nullptr;
    rlx_value root = 0;
    rlx_str name = {nullptr, 0};
    const char* constant = nullptr; // source of a graph constant instead of a checkpoint tensor
    std::int64_t first_row = 0;     // in the tensor
    std::int64_t rows = 0, cols = 0;
    std::vector<matrix_part> parts;

    std::uint64_t blocks() const { // of a row
        return static_cast<std::uint64_t>((cols + format->elements - 1) / format->elements);
    }

    std::uint64_t group_bytes() const { return blocks() * format->words * 4 * group_rows; }
};

// A weight or constant as a plain array; float weights become f32.
struct plain_weight {
    rlx_value root = 0;
    rlx_str name = {nullptr, 0};
    rlx_bytes constant = {nullptr, 0};
    std::int64_t rows = 0, cols = 0;
    std::uint64_t bytes = 0;
    std::uint32_t block = 0;
    std::uint64_t at = 0;
};

class weight_store {
public:
    explicit weight_store(const gpu& g) : gpu_(g) {}

    // The same rows of the same root again return the same object. Pointers stay valid.
    matrix_weight* add(const matrix_weight& w);
    plain_weight* add(const plain_weight& w);

    std::uint64_t bytes() const;

    status load(const rlx_weights* checkpoint, const rlx_compile_args& args);

    VkBuffer buffer(std::uint32_t block) const { return blocks_[block]->handle(); }

private:
    struct place {
        std::uint32_t block;
        std::uint64_t at;
    };

    place reserve(std::uint64_t bytes);
    status load_matrix(const rlx_weights* w, const matrix_weight& m, class upload_ring& ring);
    status load_plain(const rlx_weights* w, const plain_weight& p, class upload_ring& ring);

    const gpu& gpu_;
    std::deque<matrix_weight> matrices_;
    std::deque<plain_weight> plains_;
    std::vector<std::uint64_t> sizes_; // of the blocks
    std::vector<std::unique_ptr<memory_block>> blocks_;
};

} // namespace rlx::vulkan
