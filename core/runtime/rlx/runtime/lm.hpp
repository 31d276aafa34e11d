// SPDX-License-Identifier: GPL-3.0-only
// Causal language models on the host's side: plan, load, evaluate tokens of several sequences,
// sample. Works on any family that offers the "lm" graph and any backend; knows neither.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/abi/family.h"
#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"
#include "rlx/runtime/parts.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace rlx {

struct lm_options {
    std::string graph = RLX_GRAPH_LM; // or RLX_GRAPH_EMBED: rows are hidden states then
    std::int64_t max_seq = 0;         // tokens per sequence; 0 = min(model context, 4096)
    std::int64_t max_batch = 512;     // tokens per step; longer prompts are fed in chunks
    std::int64_t max_sequences = 1;   // at the same time
    std::int64_t max_rows = 0;        // rows of results per step; 0 = max_sequences (graph "embed":
                                      // max_batch); all_rows items are fed this many at a time
    std::string compute = "auto"; // "auto" | "f32" (exact) | "f16" | "bf16" if the backend has it
    std::string kv = "auto";      // "auto" (f32 if exact or all there is) | "f16" | "f32"
    double max_memory_gb =
        0; // (1e9 bytes) refuse before loading when the plan is larger; 0 = no limit of one's own.
           // More than the machine has available is refused in any case.
    std::function<void(std::uint64_t done, std::uint64_t total)> progress =
        {};                                             // bytes of weights read
    const std::atomic<std::uint32_t>* cancel = nullptr; // nonzero stops open() and every eval()
    // From a compile profile (rlx/profile.hpp); the defaults are the preset's.
    finish_options finish = {};
    bool fuse = true;                       // the backend's own fusions
    std::string infer_mode = "production";  // "production" | "parity"; told to the family
    std::string profile = "preset default"; // where it came from; told to the family
};

// Exact bytes, known before anything is loaded.
struct lm_plan {
    std::uint64_t weights = 0; // resident after loading
    std::uint64_t mapped = 0;  // read in place from the file
    std::uint64_t state = 0;   // KV pages of max_sequences full sequences; committed as they fill
    std::uint64_t scratch = 0; // activations, workspaces, rows of results
    std::int64_t max_seq = 0, max_sequences = 0; // what state is for
    std::uint64_t state_per_token = 0;
    std::string refused =
        {}; // plan() only: why open() would say RLX_OUT_OF_MEMORY; empty = it fits
    std::string profile = {};                // the compile profile it is for
    std::vector<device_memory> devices = {}; // the same bytes, device by device
    partition_report partition = {};         // plan() only

    std::uint64_t total() const { return weights + mapped + state + scratch; }
};

class lm_sequence; // one sequence's cache: length, block table; made by lm_model::new_sequence

struct lm_batch_item {
    lm_sequence* sequence;
    std::span<const std::int32_t> tokens;
    bool all_rows = false; // a row for every token, not only for the last
};

struct eval_options {
    const std::atomic<std::uint32_t>* cancel = nullptr; // beside lm_options.cancel
    const std::function<void(std::int64_t done, std::int64_t total)>* progress =
        nullptr; // tokens, after every step
};

// [one thread per model]
class RLX_API lm_model {
public:
    using parts = model_parts;

    // Builds and verifies the graph and sizes it, reading no weights. A size over a limit is no
    // error here: see lm_plan::refused.
    static result<lm_plan> plan(const parts&, const lm_options&);
    // RLX_OUT_OF_MEMORY, before any weight is read, when the plan is over a limit; the message has
    // the plan, the limit and the largest max_seq that would fit.
    static result<std::unique_ptr<lm_model>> open(const parts&, const lm_options&);
    virtual ~lm_model() = default;

    virtual std::string_view graph() const = 0; // RLX_GRAPH_LM or RLX_GRAPH_EMBED
    virtual std::int64_t vocab_size() const = 0;
    virtual std::int64_t hidden_size() const = 0; // 0 when the family does not say
    // Floats per row that eval() returns: vocab_size for "lm", hidden_size for "embed".
    virtual std::int64_t row_size() const = 0;
    virtual std::int64_t max_seq() const = 0;
    virtual std::int64_t context_length() const = 0; // what the checkpoint was trained for
    virtual const lm_plan& memory() const = 0;
    virtual std::string tier() const = 0;    // e.g. "avx512_vnni"
    virtual std::string compute() const = 0; // what actually ran: "f32", "int8 activations", ...
    virtual std::string kv() const = 0;      // element type of the cache: "f16", "f32"
    // Which device runs which node, and what each device runs.
    virtual const partition_report& partition() const = 0;
    virtual std::vector<device_facts> devices() const = 0;
    // What a person should know about this model ("3 tensors of the file are not used: ...");
    // logged as well.
    virtual std::span<const std::string> warnings() const = 0;

    // At most max_sequences at a time. A sequence that outlives the model is empty and must not be
    // fed.
    virtual result<std::unique_ptr<lm_sequence>> new_sequence() = 0;
    // A sequence with the same history; the pages are shared until one of the two writes to them.
    virtual result<std::unique_ptr<lm_sequence>> fork(const lm_sequence&) = 0;
    // Feeds tokens to one or more sequences and returns the wanted rows of logits (or of hidden
    // states), item by item, [rows, row_size]; valid until the next call. More than max_batch
    // tokens are fed in several steps with the same result ("lengths" is the length after the whole
    // call in all of them). An id outside the vocabulary, or a sequence that would outgrow max_seq,
    // is RLX_INVALID_ARGUMENT with the numbers. After any error nothing was fed. Allocates nothing
    // once sizes have been seen.
    virtual result<std::span<const float>>
    eval(std::span<const lm_batch_item> items, const eval_options& options) = 0;

    result<std::span<const float>> eval(std::span<const lm_batch_item> items) {
        return eval(items, {});
    }

    // Forgets all but the first keep_tokens; their pages are free at once.
    virtual result<void> rollback(lm_sequence&, std::int64_t keep_tokens) = 0;
};

class RLX_API lm_sequence {
public:
    virtual ~lm_sequence() = default;
    virtual std::int64_t length() const = 0;
};

} // namespace rlx
