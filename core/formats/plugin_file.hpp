// SPDX-License-Identifier: GPL-3.0-only
// Private to core/formats: a file that a plugin reads ("rlx.weight_format/1"), everything it says
// checked.
#pragma once

#include "json_flat.hpp"
#include "rlx/formats/weights.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace rlx {

// Move-only; closes the file. Const members are [any thread].
class plugin_file {
public:
    static result<plugin_file> open(
        const weight_format& f, const std::filesystem::path& path, std::span<const std::byte> bytes
    );
    plugin_file(plugin_file&& other) noexcept;
    plugin_file& operator=(plugin_file&&) = delete;
    ~plugin_file();

    const std::string& format() const { return format_.name; }

    std::span<const tensor_info> tensors() const { return tensors_; } // plugin's order

    // Whether the bytes are the file's own, at tensors()[i].offset.
    bool in_file(std::size_t i) const { return in_file_[i] != 0; }

    // Bytes [offset, offset + dst.size()) of a tensor that is not in the file.
    result<void> read(std::size_t i, std::uint64_t offset, std::span<std::byte> dst) const;
    // Config values, under the keys of config.json.
    result<json_flat> config() const;
    // A text the file carries; nullopt when it has none of that name.
    result<std::optional<std::string>> text(std::string_view name) const;

private:
    plugin_file(weight_format f, std::filesystem::path path);
    result<void> list(std::span<const std::byte> bytes);
    result<tensor_info> checked(
        std::uint64_t index, const rlx_format_tensor& t, std::span<const std::byte> bytes
    ) const;

    weight_format format_;
    std::filesystem::path path_;
    void* handle_ = nullptr;
    std::vector<tensor_info> tensors_;
    std::vector<std::uint8_t> in_file_; // [tensors_.size()]
};

} // namespace rlx
