// SPDX-License-Identifier: GPL-3.0-only
// Causal language models on the host's side: plan, load, evaluate tokens of several sequences, sample.
// Works on any family that offers the "lm" graph and any backend; knows neither.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/abi/family.h"
#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"
#include "rlx/formats/weights.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace rlx {

struct lm_options {
    std::int64_t max_seq = 0;       // tokens per sequence; 0 = min(model context, 4096)
    std::int64_t max_batch = 512;   // tokens per step; longer prompts are fed in chunks
    std::int64_t max_sequences = 1; // at the same time
    std::int64_t max_rows = 0;      // rows of logits per step; 0 = max_sequences
    std::string compute = "auto";   // "auto" | "f32" (exact)
    std::string kv = "auto";        // "auto" (f16; f32 in exact mode) | "f16" | "f32"
    double max_memory_gb = 0;       // refuse before loading when the plan is larger; 0 = what the machine has
    std::function<void(std::uint64_t done, std::uint64_t total)> progress;
    const std::atomic<std::uint32_t>* cancel = nullptr;
};

// Exact bytes, known before anything is loaded.
struct lm_plan {
    std::uint64_t weights = 0, mapped = 0, state = 0, scratch = 0;
    std::uint64_t total() const { return weights + mapped + state + scratch; }
};

class lm_sequence; // one sequence's cache: length, block table; made by lm_model::new_sequence

struct lm_batch_item {
    lm_sequence* sequence;
    std::span<const std::int32_t> tokens;
    bool all_rows = false; // logits of every token, not only of the last
};

// [one thread per model]
class RLX_API lm_model {
public:
    struct parts {
        weights* w;                   // must outlive the model
        const rlx_family_v1* family;
        void* family_self;
        const rlx_backend_v1* backend;
        void* backend_self;
        void* device;
    };
    // Builds and verifies the graph and sizes it, reading no weights.
    static result<lm_plan> plan(const parts&, const lm_options&);
    static result<std::unique_ptr<lm_model>> open(const parts&, const lm_options&);
    virtual ~lm_model() = default;

    virtual std::int64_t vocab_size() const = 0;
    virtual std::int64_t max_seq() const = 0;
    virtual std::int64_t context_length() const = 0; // what the checkpoint was trained for
    virtual const lm_plan& memory() const = 0;
    virtual std::string tier() const = 0;    // e.g. "avx512_vnni"
    virtual std::string compute() const = 0; // what actually ran: "f32", "int8 activations", ...

    virtual result<std::unique_ptr<lm_sequence>> new_sequence() = 0;
    virtual result<std::unique_ptr<lm_sequence>> fork(const lm_sequence&) = 0; // shares full pages
    // Feeds tokens to one or more sequences and returns the wanted rows of logits, item by item,
    // [rows, vocab_size]; valid until the next call. An id outside the vocabulary, or a sequence that would
    // outgrow max_seq, is RLX_INVALID_ARGUMENT with the numbers, and nothing was fed.
    virtual result<std::span<const float>> eval(std::span<const lm_batch_item> items) = 0;
    virtual result<void> rollback(lm_sequence&, std::int64_t keep_tokens) = 0;
};

class RLX_API lm_sequence {
public:
    virtual ~lm_sequence() = default;
    virtual std::int64_t length() const = 0;
};

}  // namespace rlx
