// SPDX-License-Identifier: GPL-3.0-only
// GGUF v2 and v3 files: everything before the tensor data, checked. Borrows the bytes it was parsed
// from.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace rlx {

// Value types as numbered in the file.
enum class gguf_type : std::uint32_t {
    u8 = 0,
    i8 = 1,
    u16 = 2,
    i16 = 3,
    u32 = 4,
    i32 = 5,
    f32 = 6,
    boolean = 7,
    string = 8,
    array = 9,
    u64 = 10,
    i64 = 11,
    f64 = 12
};

RLX_API std::string_view gguf_type_name(gguf_type t);

// One metadata value, decoded on demand. The getters return nullopt for a value of another kind.
struct RLX_API gguf_value {
    gguf_type type;
    gguf_type element;     // arrays: type of the elements
    std::uint64_t count;   // arrays: number of elements; else 1
    const std::byte* data; // the scalar, the string's length field, or the array's first element

    std::optional<std::int64_t> integer() const; // a u64 above 2^63-1 is nullopt
    std::optional<double> number() const;        // integers and floats
    std::optional<bool> boolean() const;
    std::optional<std::string_view> string() const;
    std::optional<std::vector<std::string_view>> strings() const;
    std::optional<std::vector<double>> numbers() const;
    std::optional<std::vector<std::int64_t>> integers() const; // booleans count as 0 and 1
    // Element i (< count) of an array of anything but arrays. Strings take linear time.
    std::optional<gguf_value> at(std::uint64_t i) const;
};

struct gguf_entry {
    std::string_view key;
    gguf_value value;
};

struct gguf_tensor {
    std::string_view name;
    std::uint32_t type;             // RLX_* or a GGUF type that can only be measured
    std::vector<std::int64_t> dims; // outermost first
    std::uint64_t offset;           // in the file
    std::uint64_t n_bytes;
};

// [any thread] for const members.
class RLX_API gguf_file {
public:
    // `name` is for messages. RLX_CORRUPT_DATA names file, key or tensor, and byte offset;
    // RLX_UNSUPPORTED for other versions, big-endian files and tensor types without a known size.
    // The bytes must outlive the object.
    static result<gguf_file> parse(std::span<const std::byte> bytes, std::string name);

    std::uint32_t version() const { return version_; }

    std::uint64_t alignment() const { return alignment_; }

    std::uint64_t data_offset() const { return data_offset_; }

    std::span<const gguf_entry> entries() const { return entries_; }

    std::span<const gguf_tensor> tensors() const { return tensors_; } // file order

    const gguf_value* find(std::string_view key) const;

private:
    friend class gguf_parser;
    std::uint32_t version_ = 0;
    std::uint64_t alignment_ = 32;
    std::uint64_t data_offset_ = 0;
    std::vector<gguf_entry> entries_;
    std::vector<gguf_tensor> tensors_;
    std::unordered_map<std::string_view, std::size_t> by_key_;
};

} // namespace rlx
