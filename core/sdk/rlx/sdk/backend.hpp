// SPDX-License-Identifier: GPL-3.0-only
// What backends need: a finished graph as nodes and values, the memory of a run, buffers in host
// memory. Part of the header-only SDK that is compiled into every plugin.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/sdk/table.hpp"

#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

namespace rlx::sdk {
inline namespace sdk_v1 {

// A node with its attributes; borrowed from the graph.
struct node_view {
    rlx_node_info info{};

    std::span<const rlx_value> in() const { return {info.in, info.n_in}; }

    std::span<const rlx_value> out() const { return {info.out, info.n_out}; }

    // Input i, 0 when it is not given.
    rlx_value input(std::size_t i) const { return i < info.n_in ? info.in[i] : 0; }

    const rlx_attr* find(std::uint16_t key) const {
        for (std::uint32_t i = 0; i < info.n_attr; ++i)
            if (info.attr[i].key == key) return &info.attr[i];
        return nullptr;
    }

    std::int64_t i64(std::uint16_t key, std::int64_t otherwise = 0) const {
        const rlx_attr* a = find(key);
        return a ? a->i : otherwise;
    }

    double real(std::uint16_t key, double otherwise = 0) const {
        const rlx_attr* a = find(key);
        return a ? a->f : otherwise;
    }
};

// The reading half of rlx.graph/1. A view: valid as long as the graph, which outlives the programs
// compiled from it. [any thread]
class graph_reader {
public:
    explicit graph_reader(const rlx_graph* g) : table_(service<rlx_graph_v1>()), g_(g) {}

    const rlx_graph* raw() const { return g_; }

    // The checkpoint behind the graph's weights; null for a graph without weights.
    rlx_weights* weights() const { return table_->weights(g_); }

    std::uint32_t node_count() const { return table_->node_count(g_); }

    std::uint32_t value_count() const { return table_->value_count(g_); } // ids are 1..count

    result<node_view> node(std::uint32_t index) const {
        node_view n;
        n.info.size = sizeof n.info;
        RLX_CHECK(check(table_->node(g_, index, &n.info)));
        return n;
    }

    result<rlx_value_info> value(rlx_value v) const {
        rlx_value_info info{};
        info.size = sizeof info;
        RLX_CHECK(check(table_->value(g_, v, &info)));
        return info;
    }

    // The largest extent of every symbol, in symbol order: what a program is planned for.
    result<std::vector<std::int64_t>> upper_bounds() const {
        std::vector<std::int64_t> out(table_->symbol_count(g_));
        for (std::uint32_t i = 0; i < out.size(); ++i) {
            rlx_str name{};
            std::int64_t min = 0;
            RLX_CHECK(check(table_->symbol_at(g_, i, &name, &min, &out[i])));
        }
        return out;
    }

    // Numbers for dim handles at these extents. extents: one per symbol; out.size() == dims.size().
    status eval(
        std::span<const std::int64_t> extents,
        std::span<const std::int64_t> dims,
        std::span<std::int64_t> out
    ) const {
        return check(table_->eval_dims(
            g_,
            extents.data(),
            static_cast<std::uint32_t>(extents.size()),
            dims.data(),
            static_cast<std::uint32_t>(dims.size()),
            out.data()
        ));
    }

private:
    const rlx_graph_v1* table_;
    const rlx_graph* g_;
};

// The i-th binding of a run, whatever size the caller's struct has.
inline rlx_binding binding_at(const rlx_run_args& args, std::uint64_t i) {
    return read_element(args.bind, args.bind_stride, i);
}

inline bool cancelled(const volatile std::uint32_t* flag) {
    return flag && *flag != 0;
}

// Zeroed memory from the C heap; large ranges are committed as they are touched.
class heap_memory {
public:
    heap_memory() = default;
    heap_memory(const heap_memory&) = delete;
    heap_memory& operator=(const heap_memory&) = delete;

    ~heap_memory() { std::free(data_); }

    bool make(std::uint64_t bytes) { // false: out of memory
        data_ = static_cast<char*>(std::calloc(static_cast<std::size_t>(bytes), 1));
        return data_ != nullptr;
    }

    char* data() const { return data_; }

private:
    char* data_ = nullptr;
};

// What rlx_buffer is for a backend that computes in host memory. Memory: like heap_memory.
template <class Memory = heap_memory>
struct host_buffer {
    Memory memory;
    std::uint64_t bytes = 0;

    // b came from host_buffers<Memory>::alloc.
    static host_buffer& of(rlx_buffer* b) { return *reinterpret_cast<host_buffer*>(b); }

    char* data() const { return memory.data(); }
};

// The five memory members of a device, to inherit from: struct my_device : sdk::host_buffers<>.
// [one thread per device]
template <class Memory = heap_memory>
class host_buffers {
public:
    using buffer = host_buffer<Memory>;

    // The caller owns the buffer and gives it back with free().
    result<rlx_buffer*> alloc(std::uint64_t bytes) {
        auto b = std::make_unique<buffer>();
        b->bytes = bytes;
        if (!b->memory.make(bytes ? bytes : 1))
            return fail(RLX_OUT_OF_MEMORY, "no memory for a buffer of {} bytes", bytes);
        return reinterpret_cast<rlx_buffer*>(b.release());
    }

    void free(rlx_buffer* b) { delete &buffer::of(b); }

    status copy(
        rlx_buffer* dst,
        std::uint64_t dst_off,
        rlx_buffer* src,
        std::uint64_t src_off,
        std::uint64_t n
    ) {
        char* to = RLX_TRY(range(dst, dst_off, n));
        const char* from = RLX_TRY(range(src, src_off, n));
        std::memmove(to, from, n);
        return {};
    }

    status upload(rlx_buffer* dst, std::uint64_t off, rlx_bytes src) {
        char* to = RLX_TRY(range(dst, off, src.n));
        if (src.n) std::memcpy(to, src.p, src.n);
        return {};
    }

    status download(rlx_buffer* src, std::uint64_t off, void* dst, std::uint64_t n) {
        const char* from = RLX_TRY(range(src, off, n));
        if (n) std::memcpy(dst, from, n);
        return {};
    }

    // Bytes [off, off + n) of b, or an error with the numbers.
    static result<char*> range(rlx_buffer* b, std::uint64_t off, std::uint64_t n) {
        buffer& have = buffer::of(b);
        if (off > have.bytes || n > have.bytes - off) {
            return fail(
                RLX_INVALID_ARGUMENT, "{} bytes at {} of a buffer of {}", n, off, have.bytes
            );
        }
        return have.data() + off;
    }
};

} // namespace sdk_v1
} // namespace rlx::sdk
