// SPDX-License-Identifier: GPL-3.0-only
// A family and a backend in C tables that need no kernels: the "model" is a formula of the whole
// token history, read back from the KV pages through the block table, so every mistake in feeding
// shows in the logits.
#pragma once

#include "rlx/runtime/lm.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rlx::test {

inline constexpr std::int64_t fake_vocab = 32;

// What one run() was given.
struct fake_step {
    std::vector<std::int32_t> tokens, positions, lengths, rows;
    std::int64_t sequences = 0, pages = 0;
};

struct fake_lm {
    // -- knobs --
    std::int64_t vocab = fake_vocab, reported_vocab = fake_vocab, context = 1000;
    std::uint64_t weight_bytes = 1000000, mapped_bytes = 500, scratch_bytes = 64;
    std::vector<std::int32_t>
        script; // logits are one-hot at script[history length - 1] when not empty
    std::uint32_t devices = 1;
    std::vector<std::int64_t> software; // answers of device_info, the last one first
    std::int64_t min_step = 0; // > 0: the graph has a slice that needs this many tokens in a step
    std::string lacks_kv;      // measure() refuses it
    int fail_at_run = -1;      // this run() fails
    int cancel_at_run = -1;    // this run() raises `cancel` and obeys it
    std::atomic<std::uint32_t> cancel{0};
    // -- what happened --
    std::vector<fake_step> steps;
    bool record = true;
    int runs = 0, open_devices = 0, compiles = 0, copies = 0, open_models = 0, programs = 0,
        buffers = 0;
    std::string compute, kv; // options of the last compile
    std::int64_t fuse = 1;
    std::string asked; // options of the last family open: "compute kv max_seq infer.mode profile"

    lm_model::parts parts();
};

// The logits the fake computes for a history, straight from the formula.
std::vector<float>
fake_logits(std::span<const std::int32_t> history, std::int64_t vocab = fake_vocab);

} // namespace rlx::test
