// SPDX-License-Identifier: GPL-3.0-only
// The loaded model: program, page pool, state buffers and the arrays of one step.
#pragma once

#include "family_graph.hpp"
#include "lm_graph.hpp"
#include "page_pool.hpp"

namespace rlx {

class loaded_lm;

class lm_sequence_impl final : public lm_sequence {
public:
    explicit lm_sequence_impl(loaded_lm* owner) : model(owner) {}

    ~lm_sequence_impl() override;
    lm_sequence_impl(const lm_sequence_impl&) = delete;
    lm_sequence_impl& operator=(const lm_sequence_impl&) = delete;

    std::int64_t length() const override { return tokens; }

    loaded_lm* model; // null once the model is gone
    std::int64_t tokens = 0;
    std::vector<std::uint32_t> pages; // [ceil(tokens / page_tokens)], reserved to the maximum
};

// What one run reads, sized for the largest step at open() so that the bindings' addresses never
// change.
struct step_arrays {
    std::array<std::vector<std::int32_t>, n_inputs> in;
    std::int64_t n_tokens = 0, n_sequences = 0, n_rows = 0, n_pages = 0;
    std::vector<const lm_sequence_impl*> sequences; // [n_sequences]
};

class loaded_lm final : public lm_model {
public:
    static result<std::unique_ptr<lm_model>> load(lm_graph&& built, const parts& p);
    ~loaded_lm() override;

    std::string_view graph() const override { return lm_.options.graph; }

    std::int64_t vocab_size() const override { return lm_.vocab_size; }

    std::int64_t hidden_size() const override { return lm_.hidden_size; }

    std::int64_t row_size() const override { return lm_.row_size; }

    std::int64_t max_seq() const override { return lm_.options.max_seq; }

    std::int64_t context_length() const override { return lm_.context_length; }

    const lm_plan& memory() const override { return lm_.plan; }

    std::string tier() const override { return program_.fact("tier"); }

    std::string compute() const override {
        return program_.fact_or("compute", lm_.options.compute);
    }

    std::string kv() const override {
        return program_.fact_or("kv", lm_.options.kv, lm_.states.empty() ? 0 : lm_.states[0]);
    }

    const partition_report& partition() const override { return lm_.program.report(); }

    std::vector<device_facts> devices() const override { return program_.facts(); }

    std::span<const std::string> warnings() const override { return lm_.warnings; }

    result<std::unique_ptr<lm_sequence>> new_sequence() override;
    result<std::unique_ptr<lm_sequence>> fork(const lm_sequence& source) override;
    result<std::span<const float>>
    eval(std::span<const lm_batch_item> items, const eval_options& options) override;
    result<void> rollback(lm_sequence& sequence, std::int64_t keep_tokens) override;

    void forget(lm_sequence_impl& sequence); // called by its destructor

private:
    // Where the next step continues.
    struct cursor {
        std::size_t item = 0;
        std::int64_t offset = 0; // tokens of the item that were fed
    };

    explicit loaded_lm(lm_graph&& built);
    result<void> allocate();
    result<std::unique_ptr<lm_sequence_impl>> add_sequence();

    result<void> check_items(std::span<const lm_batch_item> items) const;
    result<lm_sequence_impl*> mine(const lm_sequence* sequence) const;
    result<void>
    feed(std::span<const lm_batch_item> items, std::int64_t total, const eval_options& options);
    std::int64_t share_of_step(const lm_batch_item& item, std::int64_t offset) const;
    result<void> fill_step(std::span<const lm_batch_item> items, cursor& at);
    result<void> append(const lm_batch_item& item, std::int64_t offset, std::int64_t n);
    void finish_step();
    result<void> reserve_pages(lm_sequence_impl& sequence, std::int64_t new_length);
    result<void> own_page(std::uint32_t& page);
    result<void> run(float* rows, const std::atomic<std::uint32_t>* cancel);
    void truncate(lm_sequence_impl& sequence, std::int64_t tokens);

    lm_graph lm_;
    graph_program program_;
    page_pool pool_;
    std::vector<lm_sequence_impl*> sequences_; // alive
    std::vector<device_buffer> states_;        // [lm_.states]
    step_arrays step_;
    std::vector<rlx_binding> bindings_; // inputs, output, states
    std::vector<float> rows_;           // [rows of the last call, row_size]
    std::vector<std::int64_t> before_;  // [items] lengths before the call
};

} // namespace rlx
