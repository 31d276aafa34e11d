// SPDX-License-Identifier: GPL-3.0-only
// An opened checkpoint: a GGUF file, a .safetensors file, a file of a plugin's format, or a
// directory with config.json and (sharded) safetensors. The C++ face of "rlx.weights/1"
// (rlx/abi/weights.h states the semantics).
#pragma once

#include "rlx/abi/weight_format.h"
#include "rlx/abi/weights.h"
#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

// A file format that a plugin reads: its "rlx.weight_format/1" table and place in it. The plugin
// stays loaded.
struct weight_format {
    std::string name;
    const rlx_weight_format_v1* table = nullptr;
    void* self = nullptr;
    std::uint32_t index = 0;
};

// Says which plugin reads a file that is neither GGUF nor safetensors; head: its first bytes (at
// most 64). nullopt: none.
using weight_format_finder = std::function<result<std::optional<weight_format>>(
    const std::filesystem::path& file, std::span<const std::byte> head
)>;

// Other spellings of an architecture's tensors, from "rlx.tensor_names/1" plugins.
struct tensor_names {
    struct rule {
        std::string hf, stored; // see rlx_name_rule
        std::uint32_t transform = RLX_TX_NONE;
        std::string param = {};
    };

    std::vector<rule> rules;
    std::string architecture; // what such a file is run as; empty: as it says
};

using tensor_names_finder =
    std::function<result<tensor_names>(std::string_view format, std::string_view architecture)>;

struct open_options {
    std::string prefer = {}; // part of the name that picks one of several GGUF files in a directory
    std::optional<std::size_t> gguf_index = {}; // or its number in the sorted list, from 0
    // config.json to use instead of the one beside the weights; for GGUF its keys win over the
    // metadata.
    std::filesystem::path config = {};
    // What plugins add; the core knows no plugins (see extensions() of the facade). Empty: nothing.
    weight_format_finder find_format = {};
    tensor_names_finder find_names = {};
};

struct tensor_info {
    std::string name; // as stored in the file
    std::uint16_t dtype;
    std::vector<std::int64_t> dims; // outermost first
    std::uint64_t n_bytes;
    std::filesystem::path file;
    std::uint64_t offset; // in file
};

// [any thread] for const members.
class RLX_API weights {
public:
    // Maps the file(s) and checks every size. Errors name file, tensor and offset.
    static result<std::unique_ptr<weights>>
    open(const std::filesystem::path& path, const open_options& = {});
    virtual ~weights() = default;

    virtual std::string_view format() const = 0; // "gguf" | "safetensors" | a plugin's
    // What it is run as; may be empty for a bare .safetensors file.
    virtual std::string_view architecture() const = 0;

    // What the file itself says; another one when a "rlx.tensor_names/1" plugin stands in.
    virtual std::string_view stored_architecture() const { return architecture(); }

    virtual const std::filesystem::path& path() const = 0;    // file (gguf) or directory
    virtual std::span<const tensor_info> tensors() const = 0; // raw, file order
    virtual std::uint64_t file_bytes() const = 0;

    // Raw GGUF metadata as JSON-like access for tokenizers, templates and inspect; nullopt when
    // absent or of another kind. For safetensors these look into config.json ("a.b", "list.3") and
    // "__metadata__.*" of the files. Views live as long as this object. Config keys in any
    // spelling: the handle's meta().
    virtual std::optional<std::string_view> meta_string(std::string_view key) const = 0;
    virtual std::optional<std::int64_t> meta_int(std::string_view key) const = 0;
    virtual std::optional<double> meta_float(std::string_view key) const = 0;
    virtual std::optional<bool> meta_bool(std::string_view key) const = 0;
    virtual std::optional<std::vector<std::string_view>> meta_strings(std::string_view key
    ) const = 0;
    virtual std::optional<std::vector<double>> meta_floats(std::string_view key) const = 0;
    virtual std::optional<std::vector<std::int64_t>> meta_ints(std::string_view key) const = 0;
    virtual std::vector<std::string> meta_keys() const = 0;

    // Text of a file beside the weights ("tokenizer.json", "tokenizer_config.json",
    // "chat_template.jinja"), nullopt when absent.
    virtual result<std::optional<std::string>> sidecar(std::string_view name) const = 0;

    // Tensors nobody require()d, raw names.
    virtual std::vector<std::string> unused() const = 0;

    // The handle plugins see; lives as long as this object.
    virtual rlx_weights* handle() = 0;
};

// "rlx.weights/1", offered to plugins from the first call (or weights::open) on.
RLX_API const rlx_weights_v1* weights_table();

} // namespace rlx
