// SPDX-License-Identifier: GPL-3.0-only
// Loading, sequences and their pages. Feeding tokens: lm_step.cpp.
#include "lm_model.hpp"

#include "rlx/base/log.hpp"
#include "rlx/base/wall.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace rlx {

result<lm_plan> lm_model::plan(const parts& p, const lm_options& options) {
    lm_graph lm = RLX_TRY(build_lm_graph(p, options));
    if (auto fits = check_memory(lm, p); !fits) lm.plan.refused = fits.error().message;
    lm.plan.partition = lm.program.report();
    return std::move(lm.plan);
}

result<std::unique_ptr<lm_model>> lm_model::open(const parts& p, const lm_options& options) {
    lm_graph lm = RLX_TRY(build_lm_graph(p, options));
    for (const std::string& warning : lm.warnings)
        log_warn("runtime", warning);
    RLX_CHECK(check_memory(lm, p));
    return loaded_lm::load(std::move(lm), p);
}

lm_sequence_impl::~lm_sequence_impl() {
    if (model) model->forget(*this);
}

loaded_lm::loaded_lm(lm_graph&& built)
    : lm_(std::move(built)), pool_(static_cast<std::uint32_t>(lm_.n_pages)) {}

loaded_lm::~loaded_lm() {
    for (lm_sequence_impl* s : sequences_)
        s->model = nullptr;
}

result<std::unique_ptr<lm_model>> loaded_lm::load(lm_graph&& built, const parts& p) {
    std::unique_ptr<loaded_lm> out(new loaded_lm(std::move(built)));
    const lm_options& o = out->lm_.options;
    out->program_ = RLX_TRY(graph_program::load(out->lm_.program, p, o.progress, o.cancel));
    RLX_CHECK(out->allocate());
    return std::unique_ptr<lm_model>(std::move(out));
}

// Everything a step needs, at its largest.
result<void> loaded_lm::allocate() {
    const auto tokens = static_cast<std::size_t>(lm_.options.max_batch);
    const auto sequences = static_cast<std::size_t>(lm_.options.max_sequences);
    const auto pages = static_cast<std::size_t>(lm_.pages_per_sequence);
    const std::size_t sizes[n_inputs] = {
        tokens,
        tokens,
        tokens,
        tokens,
        sequences + 1,
        sequences,
        sequences * pages,
        static_cast<std::size_t>(lm_.options.max_rows)};
    for (std::size_t i = 0; i < n_inputs; ++i) {
        step_.in[i].resize(sizes[i]);
        bindings_.push_back({lm_.inputs[i], 0, step_.in[i].data(), nullptr, 0});
    }
    step_.sequences.reserve(sequences);
    sequences_.reserve(sequences);
    bindings_.push_back({lm_.output, 0, nullptr, nullptr, 0});
    for (std::size_t i = 0; i < lm_.states.size(); ++i) {
        const std::uint64_t bytes = lm_.page_bytes[i] * static_cast<std::uint64_t>(lm_.n_pages);
        states_.push_back(RLX_TRY(program_.make_state(lm_.states[i], bytes)));
        bindings_.push_back({lm_.states[i], 0, nullptr, states_.back().get(), bytes});
    }
    return {};
}

result<std::unique_ptr<lm_sequence_impl>> loaded_lm::add_sequence() {
    if (static_cast<std::int64_t>(sequences_.size()) == lm_.options.max_sequences)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "all {} sequences are in use; open the model with a larger max_sequences",
                sequences_.size()
            )};
    auto out = std::make_unique<lm_sequence_impl>(this);
    out->pages.reserve(static_cast<std::size_t>(lm_.pages_per_sequence));
    sequences_.push_back(out.get());
    return out;
}

result<std::unique_ptr<lm_sequence>> loaded_lm::new_sequence() {
    return std::unique_ptr<lm_sequence>(RLX_TRY(add_sequence()));
}

result<std::unique_ptr<lm_sequence>> loaded_lm::fork(const lm_sequence& source) {
    const lm_sequence_impl& from = *RLX_TRY(mine(&source));
    auto out = RLX_TRY(add_sequence());
    out->tokens = from.tokens;
    out->pages = from.pages;
    for (const std::uint32_t page : out->pages)
        pool_.share(page);
    return std::unique_ptr<lm_sequence>(std::move(out));
}

result<void> loaded_lm::rollback(lm_sequence& sequence, std::int64_t keep_tokens) {
    lm_sequence_impl& s = *RLX_TRY(mine(&sequence));
    if (keep_tokens < 0 || keep_tokens > s.tokens)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("cannot keep {} tokens of a sequence that has {}", keep_tokens, s.tokens)};
    truncate(s, keep_tokens);
    return {};
}

void loaded_lm::truncate(lm_sequence_impl& s, std::int64_t tokens) {
    const auto keep = static_cast<std::size_t>((tokens + page_tokens - 1) / page_tokens);
    for (; s.pages.size() > keep; s.pages.pop_back())
        pool_.drop(s.pages.back());
    s.tokens = tokens;
}

void loaded_lm::forget(lm_sequence_impl& s) {
    truncate(s, 0);
    std::erase(sequences_, &s);
}

result<lm_sequence_impl*> loaded_lm::mine(const lm_sequence* sequence) const {
    const auto at =
        std::ranges::find_if(sequences_, [&](const lm_sequence_impl* s) { return s == sequence; });
    if (at == sequences_.end())
        return error{
            RLX_INVALID_ARGUMENT,
            "the sequence belongs to another model, or to one that was closed"};
    return *at;
}

// Gives the sequence its own copy of a page it shares.
result<void> loaded_lm::own_page(std::uint32_t& page) {
    if (pool_.users(page) == 1) return {};
    const auto own = pool_.take();
    if (!own) return error{RLX_INTERNAL, "the page pool is empty"};
    for (std::size_t i = 0; i < states_.size(); ++i) {
        const std::uint64_t bytes = lm_.page_bytes[i];
        result<void> copied =
            program_.copy_state(lm_.states[i], states_[i].get(), *own * bytes, page * bytes, bytes);
        if (!copied) {
            pool_.drop(*own);
            return copied;
        }
    }
    pool_.drop(page);
    page = *own;
    return {};
}

// Makes rows [tokens, new_length) writable. max_sequences full sequences fit the pool, so it never
// runs dry.
result<void> loaded_lm::reserve_pages(lm_sequence_impl& s, std::int64_t new_length) {
    if (s.tokens % page_tokens != 0)
        RLX_CHECK(own_page(s.pages[static_cast<std::size_t>(s.tokens / page_tokens)]));
    const auto need = static_cast<std::size_t>((new_length + page_tokens - 1) / page_tokens);
    while (s.pages.size() < need) {
        const auto page = pool_.take();
        if (!page) return error{RLX_INTERNAL, "the page pool is empty"};
        s.pages.push_back(*page);
    }
    return {};
}

result<void> loaded_lm::run(float* rows, const std::atomic<std::uint32_t>* cancel) {
    const std::int64_t counts[n_inputs] = {
        step_.n_tokens,
        step_.n_tokens,
        step_.n_tokens,
        step_.n_tokens,
        step_.n_sequences + 1,
        step_.n_sequences,
        step_.n_sequences * step_.n_pages,
        step_.n_rows};
    for (std::size_t i = 0; i < n_inputs; ++i)
        bindings_[i].bytes = static_cast<std::uint64_t>(counts[i]) * sizeof(std::int32_t);
    bindings_[n_inputs].host = rows;
    bindings_[n_inputs].bytes =
        static_cast<std::uint64_t>(step_.n_rows * lm_.row_size) * sizeof(float);
    lm_.extents[lm_.symbols[symbol_t]] = step_.n_tokens;
    lm_.extents[lm_.symbols[symbol_b]] = step_.n_sequences;
    lm_.extents[lm_.symbols[symbol_p]] = step_.n_pages;
    lm_.extents[lm_.symbols[symbol_r]] = step_.n_rows;
    return program_.run(bindings_, lm_.extents, cancel);
}

} // namespace rlx
