// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/embedder.hpp"

namespace rlx {

using builder = text_embedder::builder;

builder& builder::pretrained(std::string name) {
    pretrained_ = std::move(name);
    return *this;
}

builder& builder::compute(std::string mode) {
    compute_ = std::move(mode);
    return *this;
}

builder& builder::max_length(std::int64_t tokens) {
    max_length_ = tokens;
    return *this;
}

builder& builder::max_tokens(std::int64_t tokens) {
    max_tokens_ = tokens;
    return *this;
}

builder& builder::max_memory_gb(double gb) {
    max_memory_gb_ = gb;
    return *this;
}

builder& builder::progress(std::function<void(std::uint64_t done, std::uint64_t total)> report) {
    progress_ = std::move(report);
    return *this;
}

builder& builder::cancel(const std::atomic<std::uint32_t>* flag) {
    cancel_ = flag;
    return *this;
}

} // namespace rlx
