// SPDX-License-Identifier: GPL-3.0-only
// Tensors as callers see them: name lookup through the family's rules, and reading with the
// converter's transformations undone. Nothing is copied but what is asked for.
#include "checkpoint.hpp"

#include "rlx/base/checked.hpp"
#include "rlx/formats/dequant.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace rlx {
namespace {

std::string shape_text(const std::vector<std::int64_t>& dims) {
    return fmt::format("[{}]", fmt::join(dims, ", "));
}

} // namespace

std::optional<std::uint32_t> checkpoint::stored(std::string_view name) const {
    constexpr std::string_view base = "model.";
    auto at = by_name_.find(name);
    if (at == by_name_.end() && bare_names_ && name.starts_with(base))
        at = by_name_.find(name.substr(base.size()));
    return at == by_name_.end() ? std::nullopt : std::optional(at->second);
}

result<void> checkpoint::add_names(std::vector<name_rule> rules) {
    std::unique_lock lock(cache_mutex_);
    rules_.insert(
        rules_.end(), std::make_move_iterator(rules.begin()), std::make_move_iterator(rules.end())
    );
    cache_.clear();
    return {};
}

result<const resolved_tensor*> checkpoint::find(std::string_view name) const {
    std::string key(name);
    {
        std::shared_lock lock(cache_mutex_);
        auto at = cache_.find(key);
        if (at != cache_.end()) return static_cast<const resolved_tensor*>(at->second.get());
    }
    auto t = RLX_TRY(resolve(name));
    if (!t) return static_cast<const resolved_tensor*>(nullptr);
    std::unique_lock lock(cache_mutex_);
    auto [at, fresh] = cache_.try_emplace(std::move(key));
    if (fresh) at->second = std::make_unique<resolved_tensor>(std::move(*t));
    return static_cast<const resolved_tensor*>(at->second.get());
}

result<const resolved_tensor*> checkpoint::require(std::string_view name) {
    const resolved_tensor* t = RLX_TRY(find(name));
    if (t) {
        for (std::uint32_t i : t->sources)
            used_[i] = 1;
        return t;
    }
    std::string also;
    for (const name_match& m : name_find(foreign_, name))
        if (!m.rule->gguf.empty())
            also += fmt::format(" (looked for '{}')", name_fill(m.rule->gguf, m.layer));
    for (const name_match& m : name_find(rules_, name)) {
        std::string_view pattern = gguf_ ? m.rule->gguf : m.rule->each;
        if (!pattern.empty())
            also += fmt::format(
                " (looked for '{}')",
                name_fill(pattern, m.layer, gguf_ ? std::nullopt : std::optional<std::uint64_t>(0))
            );
    }
    return error{
        RLX_NOT_FOUND, fmt::format("tensor '{}' not found in {}{}", name, path_.string(), also)};
}

result<std::optional<resolved_tensor>> checkpoint::resolve(std::string_view name) const {
    using found = std::optional<resolved_tensor>;
    if (auto t = RLX_TRY(resolve_foreign(name))) return t;
    auto verbatim = stored(name);
    const std::vector<name_match> rules = name_find(rules_, name);
    if (verbatim && !gguf_) {
        for (const name_match& m : rules)
            if (found t = RLX_TRY(resolve_joined(m, name))) return t;
        return found(RLX_TRY(describe({*verbatim})));
    }
    for (const name_match& m : rules) {
        found t = gguf_ ? RLX_TRY(resolve_rule(m, name)) : RLX_TRY(resolve_experts(m, name));
        if (t) return t;
    }
    if (verbatim) return found(RLX_TRY(describe({*verbatim})));
    return found();
}

// A plugin's spelling: the name in the file, of whatever format, or one tensor per expert.
result<std::optional<resolved_tensor>> checkpoint::resolve_foreign(std::string_view name) const {
    for (const name_match& m : name_find(foreign_, name)) {
        auto t = RLX_TRY(resolve_rule(m, name));
        if (!t) t = RLX_TRY(resolve_experts(m, name));
        if (t) return t;
    }
    return std::optional<resolved_tensor>();
}

// GGUF: the stored tensor under the rule's other name, with its transformation to undo.
result<std::optional<resolved_tensor>>
checkpoint::resolve_rule(const name_match& m, std::string_view name) const {
    using found = std::optional<resolved_tensor>;
    auto index = stored(name_fill(m.rule->gguf, m.layer));
    if (!index || m.rule->gguf.empty()) return found();
    resolved_tensor t = RLX_TRY(describe({*index}));
    // The others ask for what GGUF holds.
    if (m.rule->transform == RLX_TX_ROPE_ROWS || m.rule->transform == RLX_TX_PLUS_ONE)
        t.transform = m.rule->transform;
    const tensor_info& info = tensors_[*index];
    auto bad = [&](std::string why) {
        return error{
            RLX_CORRUPT_DATA,
            fmt::format("{}: tensor '{}' (as '{}'): {}", info.file.string(), info.name, name, why)};
    };
    if (t.transform == RLX_TX_PLUS_ONE && t.desc.dtype != RLX_F32) {
        return bad(fmt::format("stored as {} + 1, expected F32", dtype_name(t.desc.dtype)));
    }
    if (t.transform != RLX_TX_ROPE_ROWS) return found(std::move(t));
    auto heads = count_for(m);
    if (!heads) {
        return error{
            RLX_MISSING_METADATA,
            fmt::format(
                "{}: config key '{}' is needed to read tensor '{}'",
                path_.string(),
                m.rule->param,
                name
            )};
    }
    t.heads = *heads;
    if (t.desc.rank != 1 && t.desc.rank != 2)
        return bad("a rotary projection must have 1 or 2 dimensions");
    auto rows = static_cast<std::uint64_t>(t.desc.dim[0]);
    if (t.heads == 0 || rows % t.heads != 0 || rows / t.heads % 2 != 0) {
        return bad(fmt::format("{} rows do not split into {} heads of even size", rows, t.heads));
    }
    if (t.desc.rank == 1 && dtype_find(t.desc.dtype)->block != 1)
        return bad("a packed bias cannot be reordered");
    return found(std::move(t));
}

// Safetensors: one tensor per expert, presented as their stack.
result<std::optional<resolved_tensor>>
checkpoint::resolve_experts(const name_match& m, std::string_view name) const {
    using found = std::optional<resolved_tensor>;
    if (m.rule->transform != RLX_TX_STACK) return found();
    std::vector<std::uint32_t> sources;
    while (auto index = stored(name_fill(m.rule->each, m.layer, sources.size())))
        sources.push_back(*index);
    if (sources.empty()) return found();
    auto want = m.rule->param.empty() ? std::nullopt : count_for(m);
    if (want && *want != sources.size()) {
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "{}: tensor '{}' {}, config key '{}' says {} experts",
                path_.string(),
                name_fill(m.rule->each, m.layer, sources.size()),
                *want > sources.size() ? "not found" : "would follow",
                m.rule->param,
                *want
            )};
    }
    const tensor_info& first = tensors_[sources[0]];
    for (std::uint32_t i : sources) {
        const tensor_info& t = tensors_[i];
        if (t.dims == first.dims && t.dtype == first.dtype) continue;
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "{}: tensor '{}' is {} {}, but '{}' is {} {}; '{}' needs equal ones",
                t.file.string(),
                t.name,
                dtype_name(t.dtype),
                shape_text(t.dims),
                first.name,
                dtype_name(first.dtype),
                shape_text(first.dims),
                name
            )};
    }
    return found(RLX_TRY(describe(std::move(sources), true)));
}

// Safetensors: the experts' matrices in one, presented as their stack; without a number of experts
// one matrix, presented as it is in GGUF, and vectors as they are.
result<std::optional<resolved_tensor>>
checkpoint::resolve_joined(const name_match& m, std::string_view name) const {
    using found = std::optional<resolved_tensor>;
    const bool transposed = m.rule->transform == RLX_TX_EXPERTS_TRANSPOSED;
    if (m.rule->transform != RLX_TX_EXPERTS && !transposed) return found();
    auto index = stored(name);
    if (!index) return found();
    resolved_tensor t = RLX_TRY(describe({*index}));
    const tensor_info& info = tensors_[*index];
    const auto bad = [&](std::uint32_t code, const std::string& why) {
        return error{code, fmt::format("{}: tensor '{}': {}", info.file.string(), info.name, why)};
    };
    const bool single = m.rule->param.empty();
    if (single && t.desc.rank <= 1) return found(std::move(t));
    const auto experts = single ? std::optional<std::uint64_t>(1) : count_for(m);
    if (!experts)
        return bad(
            RLX_MISSING_METADATA, fmt::format("config key '{}' is needed to read it", m.rule->param)
        );
    if (single && t.desc.rank != 2)
        return bad(
            RLX_CORRUPT_DATA,
            fmt::format("{} is no matrix that could be transposed", shape_text(info.dims))
        );
    if (t.desc.rank != 2 || *experts == 0 || t.n_rows % *experts != 0)
        return bad(
            RLX_CORRUPT_DATA,
            fmt::format("{} does not split into {} experts", shape_text(info.dims), *experts)
        );
    const std::uint64_t rows = t.n_rows / *experts;
    const std::uint64_t in = transposed ? rows : t.row_elements;
    const std::uint64_t out = transposed ? t.row_elements : rows;
    t.desc.rank = single ? 2 : 3;
    if (!single) t.desc.dim[0] = static_cast<std::int64_t>(*experts);
    t.desc.dim[t.desc.rank - 2] = static_cast<std::int64_t>(out);
    t.desc.dim[t.desc.rank - 1] = static_cast<std::int64_t>(in);
    if (!transposed) return found(std::move(t));
    const dtype_traits& dtype = *dtype_find(info.dtype);
    if (dtype.block != 1) return bad(RLX_UNSUPPORTED, "a packed matrix cannot be transposed");
    t.transform = RLX_TX_EXPERTS_TRANSPOSED;
    t.out = out;
    t.row_elements = in;
    t.row_bytes = in * dtype.block_bytes;
    t.n_rows = t.rows_per_source = *experts * out;
    return found(std::move(t));
}

// The config value a rule depends on; per-layer lists are indexed by the rule's layer.
std::optional<std::uint64_t> checkpoint::count_for(const name_match& m) const {
    auto v = meta(m.rule->param);
    if (v && v->kind == RLX_META_ARRAY) v = meta(m.rule->param + "." + m.layer);
    if (!v && m.rule->param == "num_key_value_heads") v = meta("num_attention_heads");
    if (!v || v->kind != RLX_META_INT || v->i < 0) return std::nullopt;
    return static_cast<std::uint64_t>(v->i);
}

result<resolved_tensor> checkpoint::describe(std::vector<std::uint32_t> sources, bool stack) const {
    const tensor_info& info = tensors_[sources[0]];
    resolved_tensor t;
    t.desc.size = sizeof(rlx_tensor_desc);
    t.desc.dtype = info.dtype;
    t.desc.rank = static_cast<std::uint16_t>(info.dims.size() + (stack ? 1 : 0));
    if (t.desc.rank > RLX_MAX_RANK) {
        return error{
            RLX_UNSUPPORTED,
            fmt::format("{}: tensor '{}' has too many dimensions", info.file.string(), info.name)};
    }
    if (stack) t.desc.dim[0] = static_cast<std::int64_t>(sources.size());
    std::copy(info.dims.begin(), info.dims.end(), t.desc.dim + (stack ? 1 : 0));
    auto total = checked_mul(info.n_bytes, sources.size());
    if (!total)
        return error{
            RLX_CORRUPT_DATA,
            fmt::format("{}: the size of '{}' overflows", info.file.string(), info.name)};
    t.desc.n_bytes = *total;
    t.row_elements = info.dims.empty() ? 1 : static_cast<std::uint64_t>(info.dims.back());
    t.row_bytes = dtype_bytes(*dtype_find(info.dtype), t.row_elements).value_or(0);
    t.rows_per_source = t.row_bytes == 0 ? 0 : info.n_bytes / t.row_bytes;
    t.n_rows = t.rows_per_source * sources.size();
    t.sources = std::move(sources);
    return t;
}

std::span<const std::byte> checkpoint::view(const resolved_tensor& t) const {
    if (t.transform != RLX_TX_NONE || t.sources.size() != 1 || !in_file(t.sources[0]))
        return {}; // a single expert is one tensor
    const tensor_info& info = tensors_[t.sources[0]];
    const std::byte* p = files_[file_of_[t.sources[0]]].data() + info.offset;
    // Safetensors headers need not be padded; kernels may rely on aligned elements.
    const dtype_traits* traits = dtype_find(info.dtype);
    std::size_t align = traits->block == 1 ? traits->block_bytes : 2;
    if (reinterpret_cast<std::uintptr_t>(p) % align != 0) return {};
    return {p, static_cast<std::size_t>(info.n_bytes)};
}

result<const std::byte*> checkpoint::stored_row(
    const resolved_tensor& t, std::uint64_t row, std::vector<std::byte>& buffer
) const {
    std::uint32_t source = t.sources[row / t.rows_per_source];
    std::uint64_t r = row % t.rows_per_source;
    if (t.transform == RLX_TX_ROPE_ROWS && t.desc.rank == 2) {
        // Row i (hd/2) + j of a head was stored as row 2 j + i.
        std::uint64_t head = t.n_rows / t.heads, half = head / 2, in_head = r % head;
        r = r - in_head + in_head % half * 2 + in_head / half;
    }
    if (in_file(source))
        return files_[file_of_[source]].data() + tensors_[source].offset + r * t.row_bytes;
    buffer.resize(t.row_bytes);
    RLX_CHECK(plugin_->read(source, r * t.row_bytes, buffer));
    return static_cast<const std::byte*>(buffer.data());
}

// One row with its transformation undone.
result<void> checkpoint::gather_row(
    const resolved_tensor& t, std::uint64_t row, std::vector<std::byte>& buffer, std::byte* dst
) const {
    const std::byte* src = RLX_TRY(stored_row(t, row, buffer));
    if (t.transform == RLX_TX_ROPE_ROWS && t.desc.rank == 1) {
        std::uint64_t width = dtype_find(t.desc.dtype)->block_bytes;
        std::uint64_t head = t.row_elements / t.heads, half = head / 2;
        for (std::uint64_t k = 0; k < t.row_elements; k++) {
            std::uint64_t in_head = k % head;
            std::uint64_t from = k - in_head + in_head % half * 2 + in_head / half;
            std::memcpy(dst + k * width, src + from * width, width);
        }
        return {};
    }
    std::memcpy(dst, src, t.row_bytes);
    if (t.transform == RLX_TX_PLUS_ONE) {
        for (std::uint64_t k = 0; k < t.row_elements; k++) {
            float v = 0;
            std::memcpy(&v, dst + k * 4, 4);
            v -= 1;
            std::memcpy(dst + k * 4, &v, 4);
        }
    }
    return {};
}

// Rows of EXPERTS_TRANSPOSED, which the file has as columns: of as many as lie in one expert at a
// time, so that a line of memory is read once for all of them.
result<void> checkpoint::gather_columns(
    const resolved_tensor& t, std::uint64_t first, std::uint64_t n, std::byte* dst
) const {
    const std::uint64_t width = dtype_find(t.desc.dtype)->block_bytes, in = t.row_elements;
    const std::uint64_t stored_bytes = t.out * width;
    std::vector<std::byte> buffer;
    for (std::uint64_t done = 0; done < n;) {
        const std::uint64_t expert = (first + done) / t.out, column = (first + done) % t.out;
        const std::uint64_t count = std::min(n - done, t.out - column);
        for (std::uint64_t i = 0; i < in; i++) {
            const std::uint64_t at = (expert * in + i) * stored_bytes + column * width;
            const std::byte* src = nullptr;
            if (in_file(t.sources[0])) {
                src = files_[file_of_[t.sources[0]]].data() + tensors_[t.sources[0]].offset + at;
            } else {
                buffer.resize(count * width);
                RLX_CHECK(plugin_->read(t.sources[0], at, buffer));
                src = buffer.data();
            }
            for (std::uint64_t k = 0; k < count; k++)
                std::memcpy(dst + (done + k) * t.row_bytes + i * width, src + k * width, width);
        }
        done += count;
    }
    return {};
}

result<void> checkpoint::read_rows(
    const resolved_tensor& t, std::string_view name, std::uint64_t first, std::span<std::byte> dst
) const {
    std::uint64_t n = t.row_bytes == 0 ? 0 : dst.size() / t.row_bytes;
    if (n * t.row_bytes != dst.size() || first > t.n_rows || n > t.n_rows - first) {
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "tensor '{}': {} bytes from row {} asked for, it has {} rows of {} bytes",
                name,
                dst.size(),
                first,
                t.n_rows,
                t.row_bytes
            )};
    }
    const bool whole = t.transform == RLX_TX_NONE && t.sources.size() == 1;
    if (whole && !in_file(t.sources[0])) // one call instead of one per row
        return plugin_->read(t.sources[0], first * t.row_bytes, dst);
    if (t.transform == RLX_TX_EXPERTS_TRANSPOSED) return gather_columns(t, first, n, dst.data());
    std::vector<std::byte> buffer;
    for (std::uint64_t r = 0; r < n; r++)
        RLX_CHECK(gather_row(t, first + r, buffer, dst.data() + r * t.row_bytes));
    return {};
}

result<void> checkpoint::read_f32(
    const resolved_tensor& t,
    std::string_view name,
    std::uint64_t first,
    std::uint64_t n,
    float* dst
) const {
    if (first > t.n_rows || n > t.n_rows - first) {
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "tensor '{}': rows {} to {} asked for, it has {}", name, first, first + n, t.n_rows
            )};
    }
    bool in_place =
        t.transform == RLX_TX_NONE || (t.transform == RLX_TX_ROPE_ROWS && t.desc.rank == 2);
    const bool columns = t.transform == RLX_TX_EXPERTS_TRANSPOSED;
    std::vector<std::byte> row(in_place ? 0 : t.row_bytes * (columns ? n : 1)), buffer;
    if (columns) RLX_CHECK(gather_columns(t, first, n, row.data()));
    for (std::uint64_t r = 0; r < n; r++) {
        const std::byte* src = row.data() + (columns ? r * t.row_bytes : 0);
        if (in_place)
            src = RLX_TRY(stored_row(t, first + r, buffer));
        else if (!columns)
            RLX_CHECK(gather_row(t, first + r, buffer, row.data()));
        auto done = dequantize(t.desc.dtype, src, t.row_elements, dst + r * t.row_elements);
        if (!done.ok()) return std::move(done.error()).within(fmt::format("tensor '{}'", name));
    }
    return {};
}

void checkpoint::release(const resolved_tensor& t) const {
    for (std::uint32_t i : t.sources)
        if (in_file(i)) files_[file_of_[i]].drop(tensors_[i].offset, tensors_[i].n_bytes);
}

} // namespace rlx
