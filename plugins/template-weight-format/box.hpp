// SPDX-License-Identifier: GPL-3.0-only
// The box format: one file with config, texts and tensors. All numbers little-endian.
//
//   bytes 0..7    "RLXBOX1\n"
//   bytes 8..11   u32 number of entries
//   per entry     u32 kind (0 text, 1 tensor), u32 length of the name, the name,
//                 u64 offset of its bytes in the file, u64 number of bytes;
//                 a tensor also: u32 type (RLX_F32, ...), u32 rank, u64 dims[rank], outermost first
//   data          wherever the offsets point, tensors at multiples of 64
#pragma once

#include <rlx/sdk.hpp>

namespace box {

namespace sdk = rlx::sdk;

class file {
public:
    static constexpr sdk::format_info info{"box", "one file with config, texts and tensors"};

    static sdk::result<std::unique_ptr<file>>
    open(std::string_view path, std::span<const std::byte> bytes);

    std::span<const sdk::format_tensor> tensors() const { return tensors_; }

    std::optional<std::string_view> text(std::string_view name) const;

private:
    struct text_entry {
        std::string name;
        std::string_view bytes; // in the file
    };

    std::vector<text_entry> texts_;
    std::vector<sdk::format_tensor> tensors_;
};

// How the writer of box files spells a llama's tensors.
struct names {
    static constexpr sdk::format_info info{"box-llama", "llama tensors as box files call them"};

    static std::span<const rlx_name_rule>
    rules(std::string_view architecture, std::string_view format);
};

} // namespace box
