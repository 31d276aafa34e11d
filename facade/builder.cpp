// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/rlx.hpp"

namespace rlx {

using builder = lm_runner::builder;

builder& builder::compute(std::string mode) {
    given_.compute = true;
    lm_.compute = std::move(mode);
    return *this;
}

builder& builder::kv(std::string type) {
    given_.kv = true;
    lm_.kv = std::move(type);
    return *this;
}

builder& builder::max_seq(std::int64_t tokens) {
    lm_.max_seq = tokens;
    return *this;
}

builder& builder::max_batch(std::int64_t tokens) {
    lm_.max_batch = tokens;
    return *this;
}

builder& builder::max_rows(std::int64_t rows) {
    lm_.max_rows = rows;
    return *this;
}

builder& builder::max_sequences(std::int64_t n) {
    lm_.max_sequences = n;
    return *this;
}

builder& builder::max_memory_gb(double gb) {
    lm_.max_memory_gb = gb;
    return *this;
}

builder& builder::progress(std::function<void(std::uint64_t done, std::uint64_t total)> report) {
    lm_.progress = std::move(report);
    return *this;
}

builder& builder::cancel(const std::atomic<std::uint32_t>* flag) {
    lm_.cancel = flag;
    return *this;
}

} // namespace rlx
