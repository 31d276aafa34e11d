// SPDX-License-Identifier: GPL-3.0-only
// The weights of a program: packed for products, or held as plain arrays. Layout first (exact
// bytes, nothing read), then one load that streams the checkpoint through all threads.
#pragma once

#include "matmul/matmul.hpp"
#include "rlx/sdk/host.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace rlx::cpu {

// Anonymous memory, committed as it is touched; large ranges ask for huge pages.
class arena {
public:
    arena() = default;
    arena(const arena&) = delete;
    arena& operator=(const arena&) = delete;
    ~arena();
    bool make(std::uint64_t bytes); // false: out of memory

    char* data() const { return data_; }

    std::uint64_t bytes() const { return bytes_; }

private:
    char* data_ = nullptr;
    std::uint64_t bytes_ = 0;
};

// A weight (or rows [first_row, first_row + desc.groups * desc.rows) of it) packed for products.
struct packed_weight {
    mm_packed mm;
    rlx_str name = {nullptr, 0};
    std::int64_t first_row = 0;
    std::uint64_t row_bytes = 0;    // in the file
    std::int64_t file_rows = 1;     // innermost rows of the file's tensor in one of these
    const char* constant = nullptr; // source of a graph constant instead of a checkpoint tensor
    std::uint64_t offset = 0;
    rlx_value root = 0;
    bool round = false; // rows of the float type `from` become f32 or bf16 first, as mm.desc says
    std::uint16_t from = 0;
};

// A weight or constant as a plain array; float weights become f32.
struct plain_weight {
    rlx_str name = {nullptr, 0};
    rlx_bytes constant = {nullptr, 0};
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::uint64_t bytes = 0;
    bool to_f32 = false;
    std::uint64_t offset = 0;
    char** place = nullptr; // receives the address
};

// Rows of a product gathered from a tensor's elements: row r of group g has, at column
// c * taps.size() + t, element g * group_step + r * row_step + c * channel_step + taps[t].
struct gathered_rows {
    std::int64_t group_step = 0, row_step = 0, channel_step = 0;
    std::int64_t channels = 0;
    std::vector<std::int64_t> taps;

    std::int64_t cols() const { return channels * static_cast<std::int64_t>(taps.size()); }

    // Packs rows [first, first + n) of a group of the tensor w; temp holds n * cols() floats.
    void pack(
        const mm_packed& mm,
        const float* w,
        std::int64_t group,
        std::int64_t first,
        std::int64_t n,
        float* temp
    ) const;
};

// A weight packed for products after its elements were put in another order, as f32.
struct arranged_weight {
    mm_packed mm;
    gathered_rows rows;
    rlx_str name = {nullptr, 0};
    rlx_bytes constant = {nullptr, 0};
    std::int64_t count = 0; // elements of the tensor
    std::int64_t last = 1;  // its innermost axis
    std::uint64_t offset = 0;
    rlx_value root = 0;

    // Of the rows, unpacked.
    std::uint64_t bytes() const {
        return static_cast<std::uint64_t>(mm.desc.groups * mm.desc.rows * mm.desc.cols) * 4;
    }
};

class weight_store {
public:
    // The same rows of the same tensor again return the same object.
    packed_weight* add(const packed_weight& w);
    const mm_packed* add(const arranged_weight& w);
    void add(const plain_weight& w);

    void count_mapped(std::uint64_t bytes) { mapped_ += bytes; }

    std::uint64_t resident_bytes() const { return total_; }

    std::uint64_t mapped_bytes() const { return mapped_; }

    sdk::status load(const rlx_weights* w, const rlx_compile_args& args);

private:
    // Bytes of what load_arranged packs, as progress counts them.
    std::uint64_t arranged_bytes() const;
    sdk::status
    load_arranged(const rlx_weights* checkpoint, const rlx_compile_args& args, std::uint64_t total);

    std::deque<packed_weight> packed_;
    std::deque<arranged_weight> arranged_;
    std::vector<plain_weight> plain_;
    std::uint64_t total_ = 0;
    std::uint64_t mapped_ = 0;
    arena memory_;
};

} // namespace rlx::cpu
