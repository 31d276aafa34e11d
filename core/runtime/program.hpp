// SPDX-License-Identifier: GPL-3.0-only
// A family's graph as programs on one device or two: finished, placed and cut (program_plan), then
// loaded and run (graph_program). What lm_model, encoder_model and the others are built on. With
// one program a run is the backend's run and nothing else.
#pragma once

#include "family_graph.hpp"
#include "partition.hpp"

#include "rlx/base/options.hpp"

namespace rlx {

struct program_options {
    std::string compute = "auto"; // see rlx_compile_args.options
    std::string kv = "f32";       // of the states
    bool kv_may_be_f32 = false;   // where a device lacks `kv`
    bool fuse = true;
    std::uint32_t page_tokens = 0; // graphs with states
    finish_options finish = {};
};

// A value one program makes and another one reads.
struct crossing {
    rlx_value value = 0;
    bool output = false; // of the graph, too: the caller's memory is its place on the host
    side made = side_device;
    bool copied = false;     // read on the other side
    std::uint32_t first = 0; // programs between which it is needed
    std::uint32_t last = 0;
    std::uint64_t bytes = 0;                          // at the upper bounds
    std::size_t slot[n_sides] = {SIZE_MAX, SIZE_MAX}; // of program_plan::slots
};

// The nodes of one program and the values it is bound to.
struct program_part {
    side where = side_device;
    std::vector<std::uint32_t> nodes;    // with the views its nodes read
    std::vector<rlx_value> bound;        // inputs, outputs, states of the graph
    std::vector<std::size_t> crossings;  // read or written, indices
    std::vector<std::size_t> copied_in;  // copied from the other side before it runs
    std::vector<std::size_t> copied_out; // outputs of the graph it makes in device memory
};

// A finished graph and its sizes; nothing is loaded yet.
class program_plan {
public:
    // Finishes g (graph::finish) with the devices' claims, places and cuts its nodes. With
    // fallback_policy::deny, RLX_UNSUPPORTED listing what would not run on the device.
    static result<program_plan>
    make(graph& g, const model_parts& p, const program_options& options);

    // Bytes of one page of a state on the device where it lives.
    result<std::uint64_t> page_bytes(const model_parts& p, rlx_value state) const;
    side side_of(rlx_value state) const;

    // Element type of the states on that device, as it was asked for.
    const std::string& kv(side s) const { return kv_[s]; }

    bool uses(side s) const { return used_[s]; }

    // Of the devices that run something: weights, mapped bytes, and scratch, which is the arena,
    // the backend's workspaces and the values that cross.
    std::vector<device_memory> memory() const;

    const partition_report& report() const { return report_; }

private:
    friend class graph_program;

    result<void> finish(const model_parts& p);
    result<void> deny(const model_parts& p) const;
    result<void> read_parts(const model_parts& p);
    result<void> read_node(std::uint32_t index);
    result<void> add_views(program_part& part, rlx_value v) const;
    result<void> read_value(program_part& part, std::uint32_t number, rlx_value v);
    void copies();
    void assign_slots();
    result<void> measure(const model_parts& p);
    result<rlx_memory> measure_part(const model_parts& p, const program_part& part) const;
    result<rlx_memory> settle_part(const model_parts& p, const program_part& part);
    result<void> write_report(const model_parts& p);
    options compile_options(side s) const;
    rlx_compile_args compile_args(const program_part& part, const options& o) const;

    struct slot {
        side where;
        std::uint64_t bytes;
        std::uint32_t last; // program that needs it last, while slots are given out
    };

    graph* g_ = nullptr;
    program_options options_;
    std::array<std::string, n_sides> compute_, kv_; // asked of each device
    std::array<bool, n_sides> used_{};
    std::vector<placed_node> placed_;
    std::vector<std::uint32_t> programs_; // by node
    std::vector<program_part> parts_;
    std::vector<crossing> crossings_;
    std::vector<slot> slots_;
    std::vector<std::pair<rlx_value, side>> states_;
    std::array<device_memory, n_sides> memory_;
    std::array<std::uint64_t, n_sides> workspace_{}; // of the backends, beside the arena
    std::vector<std::uint64_t> part_weights_;        // by part
    partition_report report_;
};

// What fallback_policy::warn says about nodes that run on the second device; empty when none does.
std::string away_warning(const program_plan& plan, const model_parts& p);

// [one thread per program, and per device]
class graph_program {
public:
    graph_program() = default;
    graph_program(graph_program&&) noexcept = default;
    graph_program& operator=(graph_program&&) noexcept = default;

    // Compiles, which reads the weights, and takes the memory a run needs. plan and the graph
    // behind it stay where they are as long as this object lives.
    static result<graph_program> load(
        const program_plan& plan,
        const model_parts& p,
        const progress_function& progress,
        const std::atomic<std::uint32_t>* cancel
    );

    // io: the graph's inputs and outputs in host memory, its states in buffers of the device where
    // they live (make_state). extents: in symbol order, checked. Allocates nothing.
    result<void>
    run(std::span<const rlx_binding> io,
        std::span<const std::int64_t> extents,
        const std::atomic<std::uint32_t>* cancel);

    result<device_buffer> make_state(rlx_value state, std::uint64_t bytes) const;
    // Copies n bytes inside the buffer of a state.
    result<void> copy_state(
        rlx_value state, rlx_buffer* buffer, std::uint64_t to, std::uint64_t from, std::uint64_t n
    ) const;

    // "tier", "compute", "kv" of the program with the most weights, or of one on the device where
    // `state` lives; empty when it does not say.
    std::string fact(std::string_view key, rlx_value state = 0) const;

    std::string
    fact_or(std::string_view key, std::string_view otherwise, rlx_value state = 0) const {
        std::string out = fact(key, state);
        return out.empty() ? std::string(otherwise) : out;
    }

    // Those that run something.
    std::vector<device_facts> facts() const;

    // Between the devices in the last run.
    std::uint64_t copied_bytes() const { return copied_; }

private:
    struct loaded {
        void* program = nullptr;
        compute_device device;
        options facts;
        std::vector<rlx_binding> bind; // graph values, then crossings
        std::vector<std::size_t> io;   // where each graph value stands in run()'s io
        loaded() = default;
        loaded(loaded&&) noexcept;
        loaded& operator=(loaded&&) noexcept;
        ~loaded();
    };

    struct host_memory {
        void operator()(std::byte* p) const;
    };

    using host_slot = std::unique_ptr<std::byte[], host_memory>;

    result<void>
    compile(const progress_function& progress, const std::atomic<std::uint32_t>* cancel);
    result<void> allocate();
    result<void> resize(std::span<const std::int64_t> extents);
    result<void> match(std::span<const rlx_binding> io);
    result<void> run_part(std::size_t i, rlx_run_args& args, std::span<const rlx_binding> io);
    result<void> transfer(std::size_t c, side to, std::span<const rlx_binding> io);
    void* host_place(std::size_t c, std::span<const rlx_binding> io) const;

    const program_plan* plan_ = nullptr;
    std::array<compute_device, n_sides> devices_;
    std::array<device_buffer, n_sides> scratch_;
    std::vector<loaded> parts_;
    std::vector<device_buffer> device_slots_; // by slot
    std::vector<host_slot> host_slots_;
    std::vector<std::size_t> output_at_; // by crossing: its place in io, when it is an output
    std::vector<rlx_value> io_;          // what `io` of loaded is for
    std::vector<std::int64_t> extents_;  // of bytes_
    std::vector<std::int64_t> handles_, numbers_; // dims of all crossings, one after the other
    std::vector<std::uint32_t> ranks_, sizes_;    // by crossing; bytes of an element
    std::vector<std::uint64_t> bytes_;            // by crossing, in this run
    std::uint64_t copied_ = 0;
};

} // namespace rlx
