// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/embedder.hpp"

namespace rlx {

using builder = text_embedder::builder;

builder& builder::weights(std::filesystem::path path) {
    request_.weights = std::move(path);
    return *this;
}

builder& builder::pretrained(std::string name) {
    pretrained_ = std::move(name);
    return *this;
}

builder& builder::config(std::filesystem::path file) {
    request_.open.config = std::move(file);
    return *this;
}

builder& builder::tokenizer(std::filesystem::path file) {
    request_.tokenizer = std::move(file);
    return *this;
}

builder& builder::prefer(std::string text) {
    request_.open.prefer = std::move(text);
    return *this;
}

builder& builder::gguf_index(std::size_t index) {
    request_.open.gguf_index = index;
    return *this;
}

builder& builder::family(std::string name) {
    request_.family = std::move(name);
    return *this;
}

builder& builder::device(std::string name) {
    request_.device.name = std::move(name);
    return *this;
}

builder& builder::tier(std::string name) {
    request_.device.tier = std::move(name);
    return *this;
}

builder& builder::time_ops(bool on) {
    request_.device.time_ops = on;
    return *this;
}

builder& builder::on_fallback(fallback_policy p) {
    request_.fallback = p;
    return *this;
}

builder& builder::threads(std::uint32_t n) {
    request_.threads = n;
    return *this;
}

builder& builder::profile(std::string choice) {
    request_.profile = std::move(choice);
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

builder& builder::plugin_dir(std::filesystem::path dir) {
    request_.plugin_dirs.push_back(std::move(dir));
    return *this;
}

builder& builder::catalog(plugin_catalog* catalog) {
    request_.catalog = catalog;
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
