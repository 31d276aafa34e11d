// SPDX-License-Identifier: GPL-3.0-only
// A compiled program: tensors whose sizes follow the extents of a run, and a flat list of steps
// that all threads walk together. builder.cpp makes it, run.cpp runs it, steps/ holds the steps.
#pragma once

#include "kernels/kernels.hpp"
#include "matmul/matmul.hpp"
#include "rlx/sdk/host.hpp"
#include "store.hpp"

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace rlx::cpu {

using sdk::check;
using sdk::fail;
using sdk::result;
using sdk::status;

constexpr std::uint64_t align64(std::uint64_t n) {
    return (n + 63) & ~std::uint64_t{63};
}

// Where the memory of a root value comes from.
enum class memory : std::uint8_t {
    none,    // packed weights (a step holds them), values nobody computes
    scratch, // the graph's arena
    bound,   // bindings of a run: inputs, outputs, states
    owned    // the program: constants and small weights
};

struct root {
    memory where = memory::none;
    bool output = false;
    bool packed = false;    // rows of blocks, no element strides
    std::uint16_t kind = 0; // RLX_VALUE_*, of views too
    rlx_str name = {nullptr, 0};
    rlx_bytes data = {nullptr, 0}; // constants
    rlx_state_slot slot = {};      // states
    bool loaded = false;           // held by the program as a plain array ...
    bool widened = false;          // ... of f32, whatever the file stores
    std::uint16_t stored = 0;      // the file's type
    std::uint64_t offset = 0;      // in the arena
    std::uint64_t bytes = 0;       // in the arena, at the upper bounds
    char* base = nullptr;          // valid during a run; owned: always
    std::uint64_t bound_bytes = 0;
};

// A value as steps see it. dim, stride, offset and data are those of the current extents.
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
    char* data = nullptr;

    std::int64_t last() const { return rank ? dim[rank - 1] : 1; }

    // Product of all dims but the last.
    std::int64_t rows() const;

    float* f32() const { return reinterpret_cast<float*>(data); }

    std::int32_t* i32() const { return reinterpret_cast<std::int32_t*>(data); }
};

std::uint32_t element_size(std::uint16_t dtype); // 0 for packed types

// Memory a step touches. rows > 0: thread i of n only touches rows [rows i/n, rows (i+1)/n) of the
// range, so two steps with the same rows on the same range need no barrier between them.
struct range {
    std::uint32_t space;
    std::uint64_t lo;
    std::uint64_t hi;
    std::int64_t rows;
};

enum : std::uint32_t { space_scratch = 0, space_workspace = 1, space_root = 2 /* + root id */ };

class program;
class worker;

// One launch record. resize() runs when extents change, alone; run() on every thread of the region.
class step {
public:
    virtual ~step() = default;

    virtual status resize(program&) { return {}; }

    virtual void run(worker& w) = 0;
    // Ranges for the hazard analysis, at the current extents. The default: all of in, all of out.
    virtual void
    touches(const program& p, std::vector<range>& reads, std::vector<range>& writes) const;

    // Bytes a thread needs while this step runs, and shared bytes, at the upper bounds.
    std::uint64_t local_bytes = 0;

    std::vector<const tensor*> in;
    std::vector<const tensor*> out;
    bool barrier = false;       // wait for the team before this step
    std::int64_t row_units = 0; // row-wise step: see range::rows; set by resize
    std::atomic<std::int64_t> ticket[2] = {
        0, 0}; // next unit of work of dynamic steps, zeroed per run
    rlx_str origin = {nullptr, 0};
    std::uint16_t op = RLX_OP_NONE; // that it is made for, alone or with others
    std::int64_t ns = 0;            // of all runs, with program_config.time_ops
    std::int64_t calls = 0;

protected:
    range whole(const program& p, const tensor& t) const;
};

// Conversion of a matmul's input, made once for all products that read it.
struct activation {
    const tensor* x = nullptr; // rows of activations, or of the norm's input
    act_form form = act_form::f32;
    std::int64_t cols = 0;
    std::int64_t rows = 0;     // current
    std::uint64_t stride = 0;  // bytes between rows
    bool in_place = false;     // the tensor's own rows serve
    bool local = false;        // every thread makes its own copy: cheaper than a barrier
    bool from_product = false; // a product's tiles are stored in this form; x is never written
    std::uint32_t slot = 0;
};

// Activations up to this size are made by each thread for itself: that takes about as long as a
// barrier.
constexpr std::uint64_t local_activation_bytes = 32 * 1024;
constexpr std::int64_t local_activation_elements = 8192;

// Pairs (token, choice) sorted by expert, made once for all products with the same ids.
struct expert_lists {
    const tensor* ids = nullptr; // [T, K]
    std::int64_t n_experts = 0;
    std::uint64_t workspace =
        0; // offset in the shared workspace: start [E + 1], pair [P], token [P]
    std::int64_t max_pairs = 0;

    static std::uint64_t bytes(std::int64_t experts, std::int64_t pairs) {
        return align64(static_cast<std::uint64_t>(experts + 1 + 2 * pairs) * 4);
    }
};

// One run as all its threads see it.
struct control {
    const program* prog = nullptr;
    const volatile std::uint32_t* cancel = nullptr;
    char* workspace = nullptr; // shared part of the backend's scratch
    char* locals = nullptr;    // one block per thread
    std::atomic<std::uint32_t> failed{0};
    std::atomic<std::uint32_t> stop[2] = {0, 0};
    std::uint32_t code = 0; // of the first failure
    char message[512] = {};
};

// A thread inside a run.
class worker {
public:
    worker(control& c, std::uint32_t thread, std::uint32_t n, void* team);

    const std::uint32_t thread;
    const std::uint32_t n; // threads that share the work

    const program& prog() const { return *c_.prog; }

    const kernels& k() const;

    char* workspace() const { return c_.workspace; }

    // This thread's memory for the current step.
    char* local() const { return local_; }

    const char* rows(const activation& a) const;
    char* rows(const activation& a);

    // Waits for all threads of the region; all threads call it the same number of times.
    void barrier();

    bool stopped() const { return stopped_; }

    // Records the first failure of the run; the run goes on to the next barrier.
    __attribute__((format(printf, 3, 4))) void fail(std::uint32_t code, const char* format, ...);

    // This thread's share of n units, contiguous.
    struct share {
        std::int64_t begin, end;
    };

    share split(std::int64_t units) const {
        if (!active()) return {0, 0};
        return {units * thread / n, units * (thread + 1) / n};
    }

    // The next unit of dynamic work.
    std::int64_t take(std::atomic<std::int64_t>& ticket) const {
        return active() ? ticket.fetch_add(1, std::memory_order_relaxed) : INT64_MAX;
    }

    // False on threads beyond the number the scratch was planned for: they only keep the barriers.
    bool active() const { return thread < n; }

private:
    control& c_;
    void* team_;
    std::uint32_t team_n_;
    char* slots_;
    char* local_;
    std::uint32_t barriers_ = 0;
    bool stopped_ = false;
};

struct program_config {
    mm_config mm;
    const kernels* k = nullptr;
    bool kv_f16 = true;
    bool bf16 = false; // products of float weights in bf16, rounded when they are packed
    std::int64_t page_tokens = 0;
    std::uint32_t max_threads = 1;
    bool time_ops = false;
};

class program {
public:
    program_config cfg;
    const rlx_graph* graph = nullptr;
    std::vector<std::int64_t> handles; // dim handles of all tensors
    std::vector<std::int64_t> numbers; // their values at the current extents
    std::vector<std::int64_t> extents;
    bool sized = false;          // everything below fits extents
    std::vector<tensor> tensors; // by value id
    std::vector<root> roots;     // by value id
    std::vector<std::unique_ptr<step>> steps;
    std::vector<std::unique_ptr<activation>> activations;
    std::deque<expert_lists> lists;
    std::vector<rlx_value> bound; // roots of kind memory::bound
    weight_store weights;

    // The backend's scratch: [shared workspace][thread 0][thread 1]...; sizes at the upper bounds.
    std::uint64_t graph_scratch = 0;
    std::uint64_t shared_bytes = 0;
    std::uint32_t n_slots = 0;
    std::vector<std::uint64_t> slot_offset; // of activations, in the shared workspace
    std::uint64_t local_bytes = 0;          // of one thread, without activation slots
    // Pack space, in the shared workspace: operands made at run time, laid out for a kernel by one
    // step and read by the next. Used by one pair of steps at a time; resize() of steps grows it.
    std::uint64_t pack_at = 0;
    std::uint64_t pack_bytes = 0;

    std::uint64_t thread_bytes() const { return n_slots * local_activation_bytes + local_bytes; }

    std::uint64_t scratch_bytes() const {
        return 64 + shared_bytes + cfg.max_threads * thread_bytes();
    }

    status run(const rlx_run_args& args);
    // What the products compute with: "f32", or the activations' types, e.g. "int8 activations".
    const char* compute_name() const;
    // Barriers of one run at the extents of the last one.
    std::int64_t barriers() const;

    struct op_time {
        std::int64_t ns = 0, calls = 0;
    };

    // By the op's name; empty unless cfg.time_ops.
    std::map<std::string, op_time> op_times() const;
    // Numbers of all tensors, per-step sizes and barriers for these extents.
    status resize(const std::int64_t* values, std::uint32_t n);
    // Only the numbers of the tensors.
    status size_tensors(const std::int64_t* values, std::uint32_t n);

private:
    status bind(const rlx_run_args& args);
    void place_barriers();
    void execute(control& c);
    void execute_timed(control& c);
};

} // namespace rlx::cpu
