// SPDX-License-Identifier: GPL-3.0-only
// A compiled program: tensors whose sizes follow the extents of a run, weights on the device, and a
// list of steps that record commands. reader.cpp reads the graph, run.cpp runs it, ops/ has the
// steps.
#pragma once

#include "rlx/sdk/backend.hpp"
#include "vk/gpu.hpp"
#include "vk/pipelines.hpp"
#include "weights.hpp"

#include <algorithm>

namespace rlx::vulkan {

using sdk::check;
using sdk::node_view;

class recorder;
class program;

// Where the memory of a root value comes from.
enum class memory : std::uint8_t {
    none,    // weights: the store has them
    scratch, // the graph's arena
    bound    // bindings of a run: inputs, outputs, states
};

struct root {
    memory where = memory::none;
    bool output = false;
    bool packed = false;    // rows of blocks, no element strides
    std::uint16_t kind = 0; // RLX_VALUE_*, of views too
    rlx_str name = {nullptr, 0};
    rlx_bytes data = {nullptr, 0}; // constants
    rlx_state_slot slot = {};      // states
    std::uint64_t offset = 0;      // in the arena
    std::uint64_t bytes = 0;       // at the upper bounds
    // Of the current run.
    void* host = nullptr; // bound to host memory
    VkBuffer buffer = VK_NULL_HANDLE;
    std::uint64_t at = 0; // byte in buffer
    std::uint64_t bound_bytes = 0;
    std::uint64_t serial = 0;   // of the device memory it is bound to
    std::uint64_t in_stage = 0; // bound to host memory: byte in the staging buffer
};

// A value as steps see it. dim, stride and offset are those of the current extents.
struct tensor {
    rlx_value id = 0;
    rlx_value root = 0;
    std::uint16_t dtype = 0;
    std::uint32_t rank = 0;
    std::uint32_t first_handle = 0; // program::handles: rank dims, rank strides, offset
    std::int64_t dim[RLX_MAX_RANK] = {};
    std::int64_t stride[RLX_MAX_RANK] = {}; // elements
    std::int64_t offset = 0;                // elements inside root
    std::int64_t count = 0;
    bool contiguous = false;
    plain_weight* plain = nullptr; // a weight or constant held as an array

    std::int64_t last() const { return rank ? dim[rank - 1] : 1; }

    // Product of all dims but the last.
    std::int64_t rows() const;

    // Elements of a row lie side by side.
    bool straight() const { return rank == 0 || last() <= 1 || stride[rank - 1] == 1; }
};

std::uint32_t element_size(std::uint16_t dtype); // 0 for packed types
bool is_float(std::uint16_t dtype);              // f32, f16, bf16, f64

// A node with its tensors; null = optional input not given.
struct node {
    std::uint32_t index = 0;
    node_view view;
    std::vector<tensor*> in, out;

    std::uint16_t op() const { return view.info.op; }

    tensor* input(std::size_t i) const { return i < in.size() ? in[i] : nullptr; }
};

// What one node does on the device.
class step {
public:
    virtual ~step() = default;

    // Asks for weights. Nothing is read yet.
    virtual status prepare(program&) { return {}; }

    // Commands for the current extents.
    virtual status record(recorder& r) = 0;

    node n;
};

struct program_config {
    bool kv_f16 = false;
    std::uint32_t page_tokens = 0;
};

// A part of a buffer that a shader binds. bytes = 0: an operand that is not given.
struct slice {
    VkBuffer buffer = VK_NULL_HANDLE;
    std::uint64_t at = 0;    // byte, aligned as the device wants it
    std::uint64_t bytes = 0; // from `at`
    std::uint32_t first = 0; // element of the operand's first element, counted from `at`
    std::uint32_t element = 4;
};

class program {
public:
    explicit program(gpu& device, pipelines& shaders) : g(device), code(shaders), weights(device) {}

    gpu& g;
    pipelines& code;
    program_config cfg;
    const rlx_graph* graph = nullptr;
    std::vector<std::int64_t> handles; // dim handles of all tensors
    std::vector<std::int64_t> numbers; // their values at the current extents
    std::vector<std::int64_t> extents;
    std::vector<tensor> tensors; // by value id
    std::vector<root> roots;     // by value id
    std::vector<std::unique_ptr<step>> steps;
    std::vector<rlx_value> bound; // roots of kind memory::bound
    weight_store weights;

    status
    read(const rlx_graph* graph, std::span<const std::uint32_t> nodes, std::vector<node>& out);
    status build(const rlx_compile_args& args);
    status run(const rlx_run_args& args);
    // The rest of run(), when sizes and bindings are known.
    status run_bound(const volatile std::uint32_t* cancel);

    // Bytes of staging memory, on both sides, when every value is bound to host memory and as large
    // as it may be.
    std::uint64_t most_io_bytes() const;

    // The memory of a tensor in the current run.
    result<slice> at(const tensor& t) const;
    result<slice>
    at(VkBuffer buffer, std::uint64_t first, std::uint64_t bytes, std::uint32_t element) const;

    // Of a binding's first byte. 16: shaders read four numbers at once, and a binding that is
    // rounded up to 16 bytes ends inside its buffer (memory_block rounds, too).
    std::uint64_t alignment() const {
        return std::max<std::uint64_t>(16, g.facts().limits.minStorageBufferOffsetAlignment);
    }

    // What the last run of a program with profiling took.
    struct timing {
        std::string name;
        double ms = 0;
        std::uint64_t calls = 0;
    };

    std::vector<timing> timings;
    bool profile = false;
    std::size_t barriers = 0;   // of the last recording
    std::size_t dispatches = 0; // of the last recording

private:
    friend class recorder;

    status read_value(rlx_value v);
    status need_value(rlx_value v);
    status size_tensors(const std::int64_t* values, std::uint32_t n);
    status bind(const rlx_run_args& args, bool* moved);
    status place_io();
    status record();
    status execute(const volatile std::uint32_t* cancel);
    status copy_in();
    status copy_out();
    status check_flags();
    status read_timings();
    status add_pool(std::uint32_t sets);
    status make_queries();

    bool recorded_ = false; // batches_ fits extents and bindings

    // Device memory of a binding, none for host memory. A handle alone may be a freed buffer's, and
    // the bytes are in the recorded commands.
    struct binding_key {
        std::uint64_t serial = 0, bytes = 0;

        bool operator==(const binding_key&) const = default;
    };

    std::vector<binding_key> bound_buffers_;
    std::unique_ptr<memory_block> stage_;    // inputs, written by the host
    std::unique_ptr<memory_block> readback_; // outputs and flags, read by the host
    std::unique_ptr<memory_block> io_;       // both, on the device
    std::uint64_t stage_bytes_ = 0, out_bytes_ = 0;
    std::vector<std::unique_ptr<commands>> batches_;
    std::size_t n_batches_ = 0;
    std::vector<VkDescriptorPool> pools_;
    std::uint32_t sets_used_ = 0;
    VkQueryPool queries_ = VK_NULL_HANDLE;
    std::uint32_t queries_capacity_ = 0;
    std::vector<std::string> query_names_;
    std::size_t untimed_ = 0; // dispatches of the last recording that have no timestamps
    bool warned_ = false;     // that some have none

public:
    ~program();
    program(const program&) = delete;
    program& operator=(const program&) = delete;
};

} // namespace rlx::vulkan
