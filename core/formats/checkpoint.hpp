// SPDX-License-Identifier: GPL-3.0-only
// Private to core/formats: the one implementation of `weights`.
#pragma once

#include "config_map.hpp"
#include "json_flat.hpp"
#include "locate.hpp"
#include "names.hpp"
#include "plugin_file.hpp"
#include "rlx/base/mmap.hpp"
#include "rlx/formats/gguf.hpp"
#include "rlx/formats/weights.hpp"

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace rlx {
class checkpoint;
}

struct rlx_weights {
    rlx::checkpoint* self;
};

namespace rlx {

// A tensor as callers see it: which stored tensors it is made of, and how.
struct resolved_tensor {
    std::vector<std::uint32_t> sources;    // one, or one per expert
    std::uint32_t transform = RLX_TX_NONE; // what has to be undone
    std::uint64_t heads = 0;               // ROPE_ROWS
    std::uint64_t out = 0;                 // EXPERTS_TRANSPOSED: rows of one expert, as seen
    rlx_tensor_desc desc{};
    std::uint64_t row_elements = 0; // innermost dim
    std::uint64_t row_bytes = 0;
    std::uint64_t n_rows = 0;
    std::uint64_t rows_per_source = 0;
};

class checkpoint final : public weights {
public:
    static result<std::unique_ptr<checkpoint>>
    open(const checkpoint_location& where, const open_options& options);

    std::string_view format() const override {
        return plugin_ ? std::string_view(plugin_->format()) : gguf_ ? "gguf" : "safetensors";
    }

    std::string_view architecture() const override {
        return run_as_.empty() ? stored_architecture() : std::string_view(run_as_);
    }

    std::string_view stored_architecture() const override;

    const std::filesystem::path& path() const override { return path_; }

    std::span<const tensor_info> tensors() const override { return tensors_; }

    std::uint64_t file_bytes() const override;

    std::optional<std::string_view> meta_string(std::string_view key) const override;
    std::optional<std::int64_t> meta_int(std::string_view key) const override;
    std::optional<double> meta_float(std::string_view key) const override;
    std::optional<bool> meta_bool(std::string_view key) const override;
    std::optional<std::vector<std::string_view>> meta_strings(std::string_view key) const override;
    std::optional<std::vector<double>> meta_floats(std::string_view key) const override;
    std::optional<std::vector<std::int64_t>> meta_ints(std::string_view key) const override;
    std::vector<std::string> meta_keys() const override;
    result<std::optional<std::string>> sidecar(std::string_view name) const override;
    std::vector<std::string> unused() const override;

    rlx_weights* handle() override { return &handle_; }

    // The members of "rlx.weights/1", without the wall.
    std::optional<config_value> meta(std::string_view key) const;
    result<void> add_names(std::vector<name_rule> rules);
    // Null when absent. The pointer stays valid until add_names.
    result<const resolved_tensor*> find(std::string_view name) const;
    result<const resolved_tensor*> require(std::string_view name);
    std::span<const std::byte> view(const resolved_tensor& t) const;
    result<void> read_rows(
        const resolved_tensor& t,
        std::string_view name,
        std::uint64_t first,
        std::span<std::byte> dst
    ) const;
    result<void> read_f32(
        const resolved_tensor& t,
        std::string_view name,
        std::uint64_t first,
        std::uint64_t n,
        float* dst
    ) const;
    void release(const resolved_tensor& t) const;

private:
    checkpoint() : handle_{this} {}

    result<void> open_gguf(const checkpoint_location& where);
    result<void> open_gguf_parts(const std::vector<std::string>& names, std::int64_t count);
    result<gguf_file> add_gguf_file(const std::filesystem::path& file);
    result<void> open_index(const checkpoint_location& where);
    result<void> add_safetensors_file(
        const std::filesystem::path& file, const std::unordered_map<std::string, std::string>* map
    );
    result<void> read_config(const checkpoint_location& where, const open_options& options);
    result<void> open_plugin(const checkpoint_location& where);
    result<void> take_names(const open_options& options);
    result<void> index_names();

    result<std::optional<resolved_tensor>> resolve(std::string_view name) const;
    result<std::optional<resolved_tensor>>
    resolve_rule(const name_match& m, std::string_view name) const;
    result<std::optional<resolved_tensor>>
    resolve_experts(const name_match& m, std::string_view name) const;
    result<std::optional<resolved_tensor>>
    resolve_joined(const name_match& m, std::string_view name) const;
    result<std::optional<resolved_tensor>> resolve_foreign(std::string_view name) const;
    result<resolved_tensor> describe(std::vector<std::uint32_t> sources, bool stack = false) const;
    std::optional<std::uint64_t> count_for(const name_match& m) const;
    std::optional<std::uint32_t> stored(std::string_view name) const;

    // In the mapping, or read into buffer by the plugin.
    result<const std::byte*>
    stored_row(const resolved_tensor& t, std::uint64_t row, std::vector<std::byte>& buffer) const;
    result<void> gather_row(
        const resolved_tensor& t, std::uint64_t row, std::vector<std::byte>& buffer, std::byte* dst
    ) const;

    result<void> gather_columns(
        const resolved_tensor& t, std::uint64_t first, std::uint64_t n, std::byte* dst
    ) const;

    bool in_file(std::uint32_t source) const { return !plugin_ || plugin_->in_file(source); }

    rlx_weights handle_;
    std::filesystem::path path_, directory_;
    std::vector<mapped_file> files_;
    std::optional<gguf_file> gguf_;     // of part 1; borrows from files_
    std::optional<plugin_file> plugin_; // borrows from files_
    std::string run_as_;                // architecture, when a plugin's names say so
    std::vector<name_rule> foreign_;    // of plugins' names; they win over rules_
    json_flat config_;                  // config.json, plus "__metadata__.*" of safetensors files
    bool bare_names_ = false;      // saved without its head: "layers.0..." for "model.layers.0..."
    bool explicit_config_ = false; // open_options.config: wins over GGUF metadata
    std::vector<tensor_info> tensors_;
    std::vector<std::uint32_t> file_of_; // [tensors_.size()]
    std::unordered_map<std::string_view, std::uint32_t> by_name_;
    std::vector<name_rule> rules_;
    std::vector<std::uint8_t> used_; // [tensors_.size()]
    mutable std::shared_mutex cache_mutex_;
    mutable std::unordered_map<std::string, std::unique_ptr<resolved_tensor>> cache_;
};

} // namespace rlx
