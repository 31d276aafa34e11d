// SPDX-License-Identifier: GPL-3.0-only
// A model's graph on the device: finished with its claims, compiled, run with guarded memory.
#pragma once

#include "device.hpp"
#include "model.hpp"

#include "rlx/base/options.hpp"

namespace optest {

struct setup {
    std::string compute = "f32"; // of compile, see rlx/abi/backend.h
    std::string kv = "f32";
    bool fuse = true;                 // of compile
    bool composites = true;           // off: finish() takes all of them apart
    unsigned char state_stain = 0x5a; // what every byte of a state is before anything is appended
};

// A node the backend does not take; reason as it gave it.
struct refused {
    std::string why;
};

// The backend did something it must not.
struct broken {
    std::string why;
};

using outputs = std::vector<ref::tensor>; // in the order of model::outputs

class session {
public:
    // Finishes m's graph, once per model. Throws refused, broken or bad_case.
    session(device& d, model& m, const setup& how);
    session(const session&) = delete;
    session& operator=(const session&) = delete;
    ~session();

    // One run. Everything it may write is filled with `stain` before, so that what is left out
    // shows; guards around outputs and behind scratch and state are checked after. Throws broken,
    // or run_failed.
    outputs run(const feed& f, unsigned char stain = 0xff);

    // The call of run() alone with what the last run() was given: for timing.
    void again();

    std::uint64_t scratch_bytes() const { return scratch_bytes_; }

    // Ops the backend refused, with reasons.
    const std::vector<std::pair<std::uint16_t, std::string>>& refusals() const { return refusals_; }

    std::size_t node_count() const { return nodes_.size(); }

    bool has_op(std::uint16_t op) const;
    std::string info(std::string_view key) const;

    struct run_failed {
        std::uint32_t code;
        std::string why;
    };

private:
    struct memory {
        std::vector<unsigned char> bytes; // guard, contents, guard
        std::size_t n = 0;

        void make(std::size_t size, unsigned char stain);
        unsigned char* data();
        bool intact() const;
    };

    void release();
    void finish();
    void compile();
    void allocate();
    void stain_buffer(rlx_buffer* b, std::uint64_t n, unsigned char stain);
    void check_buffer(rlx_buffer* b, std::uint64_t n, const std::string& what);
    void call();
    void bind(const feed& f, unsigned char stain);

    device& device_;
    model& m_;
    setup how_;
    rlx::options options_;
    rlx_compile_args args_{};
    std::vector<std::uint32_t> nodes_;
    std::vector<std::pair<std::uint16_t, std::string>> refusals_;
    void* program_ = nullptr;
    rlx_buffer* scratch_ = nullptr;
    std::uint64_t scratch_bytes_ = 0;
    std::vector<std::pair<rlx_buffer*, std::uint64_t>> states_;
    std::vector<std::int64_t> extents_;
    std::map<rlx_value, memory> host_, out_;
    std::vector<rlx_binding> bindings_;
};

} // namespace optest
