// SPDX-License-Identifier: GPL-3.0-only
// Text encoders on the host's side: plan, load, and read texts (token ids) to hidden states or to
// what a head makes of them. Works on any family that offers the "encode" graphs and any backend;
// knows neither.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"
#include "rlx/graph/graph.hpp"
#include "rlx/runtime/parts.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace rlx {

// What a step gives: rows per token (hidden, vocab) or per text (pooled, classes). See the graphs
// of rlx/abi/family.h.
enum class encoder_head {
    hidden,  // the last hidden state
    pooled,  // the pooler: tanh of a dense layer over the first token's state
    classes, // scores of the sequence classification head, raw; rerankers
    vocab,   // logits of the masked language model head
};

struct encoder_options {
    encoder_head head = encoder_head::hidden;
    std::int64_t max_tokens = 4096; // of all texts of one step; what scratch memory is planned for
    std::int64_t max_texts = 256;   // per step
    std::int64_t max_length = 0;    // tokens of one text; 0 = what the checkpoint takes
    std::string compute = "auto";   // "auto" | "f32" (exact) | "f16" | "bf16"
    bool fuse = true;
    finish_options finish = {};
    double max_memory_gb = 0; // (1e9 bytes) refuse before loading when the plan is larger; 0 = no
                              // limit but what the machine has
    std::function<void(std::uint64_t done, std::uint64_t total)> progress = {}; // bytes of weights
    const std::atomic<std::uint32_t>* cancel = nullptr; // nonzero stops open() and every run
};

// Exact bytes, known before anything is loaded.
struct encoder_plan {
    std::uint64_t weights = 0;               // resident after loading
    std::uint64_t mapped = 0;                // read in place from the file
    std::uint64_t scratch = 0;               // activations, workspaces, results
    std::vector<device_memory> devices = {}; // the same bytes, device by device
    partition_report partition = {};         // plan() only
    std::string refused = {}; // plan() only: why open() would be RLX_OUT_OF_MEMORY; empty = it fits

    std::uint64_t total() const { return weights + mapped + scratch; }
};

struct encoder_text {
    std::span<const std::int32_t> ids;
    std::span<const std::int32_t> types = {}; // segment of each token; empty = all 0
};

// [one thread per model]
class RLX_API encoder_model {
public:
    static result<encoder_plan> plan(const model_parts&, const encoder_options&);
    // RLX_OUT_OF_MEMORY, before any weight is read, when the plan is over a limit. RLX_UNSUPPORTED
    // when the family or the checkpoint has no such head.
    static result<std::unique_ptr<encoder_model>> open(const model_parts&, const encoder_options&);
    virtual ~encoder_model() = default;

    virtual encoder_head head() const = 0;
    virtual std::int64_t width() const = 0; // floats per row of what encode() returns
    virtual std::int64_t hidden_size() const = 0;
    virtual std::int64_t vocab_size() const = 0;
    virtual std::int64_t max_length() const = 0; // tokens of one text
    virtual std::int64_t max_tokens() const = 0; // of one step
    virtual std::int64_t max_texts() const = 0;
    virtual const encoder_plan& memory() const = 0;
    virtual std::string tier() const = 0;
    virtual std::string compute() const = 0; // what actually ran
    // Which device runs which node, and what each device runs.
    virtual const partition_report& partition() const = 0;
    virtual std::vector<device_facts> devices() const = 0;
    virtual std::span<const std::string> warnings() const = 0;

    // How many of the texts, from the first on, fit one step: at least 1 when there is one.
    virtual std::size_t fits(std::span<const encoder_text> texts) const = 0;
    // One step, text after text: [tokens, width()] for the heads hidden and vocab, [texts, width()]
    // for pooled and classes; valid until the next call. RLX_INVALID_ARGUMENT, naming text and
    // numbers: an empty text, one longer than max_length, an id outside the vocabulary, more than
    // fits() allows. A text's rows do not depend on what else is in the step, to the last bit.
    virtual result<std::span<const float>> encode(std::span<const encoder_text> texts) = 0;
};

} // namespace rlx
