// SPDX-License-Identifier: GPL-3.0-only
// Cuts a batch of sequences into steps the plan can hold and runs them.
#include "lm_model.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace rlx {
namespace {

bool raised(const std::atomic<std::uint32_t>* flag) {
    return flag && flag->load(std::memory_order_relaxed) != 0;
}

} // namespace

result<void> loaded_lm::check_items(std::span<const lm_batch_item> items) const {
    if (items.empty()) return error{RLX_INVALID_ARGUMENT, "no sequence to feed"};
    for (std::size_t i = 0; i < items.size(); ++i) {
        const lm_batch_item& item = items[i];
        const lm_sequence_impl& s = *RLX_TRY(mine(item.sequence));
        for (std::size_t j = 0; j < i; ++j)
            if (items[j].sequence == item.sequence)
                return error{
                    RLX_INVALID_ARGUMENT,
                    fmt::format("items {} and {} are the same sequence", j, i)};
        if (item.tokens.empty())
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format("item {} has no tokens: at least one must be fed", i)};
        for (std::size_t t = 0; t < item.tokens.size(); ++t)
            if (item.tokens[t] < 0 || item.tokens[t] >= lm_.vocab_size)
                return error{
                    RLX_INVALID_ARGUMENT,
                    fmt::format(
                        "token {}{} has id {}, the vocabulary has ids 0 to {}",
                        t,
                        items.size() > 1 ? fmt::format(" of item {}", i) : "",
                        item.tokens[t],
                        lm_.vocab_size - 1
                    )};
        const auto fed = static_cast<std::uint64_t>(item.tokens.size());
        if (fed > static_cast<std::uint64_t>(lm_.options.max_seq - s.tokens))
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "the sequence would have {} tokens ({} there, {} new), max_seq is {}",
                    static_cast<std::uint64_t>(s.tokens) + fed,
                    s.tokens,
                    fed,
                    lm_.options.max_seq
                )};
    }
    return {};
}

result<std::span<const float>>
loaded_lm::eval(std::span<const lm_batch_item> items, const eval_options& options) {
    RLX_CHECK(check_items(items));
    std::int64_t tokens = 0, rows = 0;
    before_.clear();
    for (const lm_batch_item& item : items) {
        before_.push_back(item.sequence->length());
        tokens += static_cast<std::int64_t>(item.tokens.size());
        rows += item.all_rows ? static_cast<std::int64_t>(item.tokens.size()) : 1;
    }
    const auto n_floats = static_cast<std::size_t>(rows) * static_cast<std::size_t>(lm_.row_size);
    if (rows_.size() < n_floats) rows_.resize(n_floats);
    result<void> fed = feed(items, tokens, options);
    if (!fed) {
        for (std::size_t i = 0; i < items.size(); ++i)
            truncate(static_cast<lm_sequence_impl&>(*items[i].sequence), before_[i]);
        return std::move(fed.error());
    }
    return std::span<const float>(rows_.data(), n_floats);
}

result<void> loaded_lm::feed(
    std::span<const lm_batch_item> items, std::int64_t total, const eval_options& options
) {
    const std::atomic<std::uint32_t>* cancel = options.cancel ? options.cancel : lm_.options.cancel;
    std::int64_t done = 0, rows = 0;
    for (cursor at; at.item < items.size();) {
        if (raised(options.cancel) || raised(lm_.options.cancel))
            return error{RLX_CANCELLED, "cancelled"};
        RLX_CHECK(fill_step(items, at));
        // A step that completes no item still computes one row; the next step writes over it.
        const std::int64_t wanted = step_.n_rows;
        if (wanted == 0) {
            step_.in[input_rows][0] = static_cast<std::int32_t>(step_.n_tokens - 1);
            step_.n_rows = 1;
        }
        RLX_CHECK(run(rows_.data() + rows * lm_.row_size, cancel));
        rows += wanted;
        done += step_.n_tokens;
        if (options.progress && *options.progress) (*options.progress)(done, total);
    }
    return {};
}

// Tokens of the item that fit the step as it is filled now.
std::int64_t loaded_lm::share_of_step(const lm_batch_item& item, std::int64_t offset) const {
    const std::int64_t left = static_cast<std::int64_t>(item.tokens.size()) - offset;
    const std::int64_t rows_free = lm_.options.max_rows - step_.n_rows;
    const std::int64_t n = std::min(left, lm_.options.max_batch - step_.n_tokens);
    if (item.all_rows) return std::min(n, rows_free);
    return n == left && rows_free == 0 ? n - 1 : n; // the last token needs a row
}

result<void> loaded_lm::fill_step(std::span<const lm_batch_item> items, cursor& at) {
    step_.n_tokens = step_.n_sequences = step_.n_rows = step_.n_pages = 0;
    step_.sequences.clear();
    step_.in[input_cu_seqlens][0] = 0;
    while (at.item < items.size()) {
        const lm_batch_item& item = items[at.item];
        const std::int64_t n = share_of_step(item, at.offset);
        if (n == 0) break;
        RLX_CHECK(append(item, at.offset, n));
        at.offset += n;
        if (at.offset < static_cast<std::int64_t>(item.tokens.size())) break;
        ++at.item;
        at.offset = 0;
    }
    finish_step();
    return {};
}

// Adds tokens [offset, offset + n) of an item to the step.
result<void> loaded_lm::append(const lm_batch_item& item, std::int64_t offset, std::int64_t n) {
    auto& s = static_cast<lm_sequence_impl&>(*item.sequence);
    RLX_CHECK(reserve_pages(s, s.tokens + n));
    const auto size = static_cast<std::int64_t>(item.tokens.size());
    const std::int64_t final_length = s.tokens - offset + size;
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t position = s.tokens + i;
        const auto row = static_cast<std::size_t>(step_.n_tokens + i);
        const std::int64_t page = s.pages[static_cast<std::size_t>(position / page_tokens)];
        step_.in[input_tokens][row] = item.tokens[static_cast<std::size_t>(offset + i)];
        step_.in[input_positions][row] = static_cast<std::int32_t>(position);
        step_.in[input_lengths][row] = static_cast<std::int32_t>(final_length);
        step_.in[input_slots][row] =
            static_cast<std::int32_t>(page * page_tokens + position % page_tokens);
        if (item.all_rows || offset + i == size - 1)
            step_.in[input_rows][static_cast<std::size_t>(step_.n_rows++)] =
                static_cast<std::int32_t>(row);
    }
    s.tokens += n;
    step_.n_tokens += n;
    const auto b = static_cast<std::size_t>(step_.n_sequences++);
    step_.in[input_kv_lengths][b] = static_cast<std::int32_t>(s.tokens);
    step_.in[input_cu_seqlens][b + 1] = static_cast<std::int32_t>(step_.n_tokens);
    step_.n_pages = std::max(step_.n_pages, static_cast<std::int64_t>(s.pages.size()));
    step_.sequences.push_back(&s);
    return {};
}

// The block table is as wide as the longest sequence of this step; shorter rows end in zeros nobody
// reads.
void loaded_lm::finish_step() {
    auto out = step_.in[input_block_table].begin();
    for (const lm_sequence_impl* s : step_.sequences) {
        const auto end = std::copy(s->pages.begin(), s->pages.end(), out);
        out += step_.n_pages;
        std::fill(end, out, 0);
    }
}

} // namespace rlx
