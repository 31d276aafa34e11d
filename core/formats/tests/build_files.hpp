// SPDX-License-Identifier: GPL-3.0-only
// Tiny GGUF and safetensors files in memory, good by default, with every field open to damage.
#pragma once

#include "rlx/abi/dtype.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx_test {

template <class T>
std::string raw(T v) {
    return std::string(reinterpret_cast<const char*>(&v), sizeof v);
}

inline std::string floats(const std::vector<float>& v) {
    return std::string(reinterpret_cast<const char*>(v.data()), v.size() * 4);
}

// A GGUF string: length and bytes.
inline std::string gguf_text(std::string_view s) {
    return raw<std::uint64_t>(s.size()) + std::string(s);
}

// An array value: element type, count, elements.
inline std::string
gguf_array(std::uint32_t element, std::uint64_t count, const std::string& items) {
    return raw(element) + raw(count) + items;
}

struct gguf_kv {
    std::string key;
    std::uint32_t type;
    std::string value; // encoded
};

struct gguf_info {
    std::string name;
    std::vector<std::uint64_t> dims; // innermost first, as in the file
    std::uint32_t type;
    std::string data;
    std::optional<std::uint64_t> offset = std::nullopt; // instead of where the data goes
};

struct gguf_builder {
    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::uint64_t alignment = 32;
    std::vector<gguf_kv> kv;
    std::vector<gguf_info> tensors;
    std::optional<std::uint64_t> n_tensors, n_kv; // instead of the true counts
    std::vector<std::uint64_t> edges; // out: file offsets of the tensors' begins and ends

    gguf_builder& text(std::string key, std::string_view v) {
        return add(std::move(key), 8, gguf_text(v));
    }

    gguf_builder& u32(std::string key, std::uint32_t v) { return add(std::move(key), 4, raw(v)); }

    gguf_builder& f32(std::string key, float v) { return add(std::move(key), 6, raw(v)); }

    gguf_builder& flag(std::string key, std::uint8_t v) { return add(std::move(key), 7, raw(v)); }

    gguf_builder& add(std::string key, std::uint32_t type, std::string value) {
        kv.push_back({std::move(key), type, std::move(value)});
        return *this;
    }

    gguf_builder& tensor(
        std::string name, std::vector<std::uint64_t> dims, std::uint32_t type, std::string data
    ) {
        tensors.push_back({std::move(name), std::move(dims), type, std::move(data)});
        return *this;
    }

    static void pad(std::string& s, std::uint64_t step) {
        while (s.size() % step != 0)
            s += '\0';
    }

    std::uint64_t header_bytes = 0; // out

    std::string build() {
        std::string out = magic + raw(version) +
                          raw<std::uint64_t>(n_tensors.value_or(tensors.size())) +
                          raw<std::uint64_t>(n_kv.value_or(kv.size()));
        for (const gguf_kv& e : kv)
            out += gguf_text(e.key) + raw(e.type) + e.value;
        std::string data;
        std::vector<std::pair<std::uint64_t, std::uint64_t>> places;
        for (const gguf_info& t : tensors) {
            pad(data, alignment);
            out += gguf_text(t.name) + raw(static_cast<std::uint32_t>(t.dims.size()));
            for (std::uint64_t d : t.dims)
                out += raw(d);
            out += raw(t.type) + raw<std::uint64_t>(t.offset.value_or(data.size()));
            places.emplace_back(data.size(), data.size() + t.data.size());
            data += t.data;
        }
        header_bytes = out.size();
        pad(out, alignment);
        edges.clear();
        for (auto [begin, end] : places) {
            edges.push_back(out.size() + begin);
            edges.push_back(out.size() + end);
        }
        return out + data;
    }
};

// Metadata of every kind and tensors of several types.
inline gguf_builder good_gguf() {
    gguf_builder b;
    b.text("general.architecture", "llama")
        .u32("llama.block_count", 2)
        .f32("llama.rope.freq_base", 10000);
    b.flag("llama.flag", 1).add("u8", 0, raw<std::uint8_t>(200)).add("i8", 1, raw<std::int8_t>(-5));
    b.add("u16", 2, raw<std::uint16_t>(65535))
        .add("i16", 3, raw<std::int16_t>(-300))
        .add("i32", 5, raw<std::int32_t>(-70000));
    b.add("u64", 10, raw<std::uint64_t>(UINT64_MAX))
        .add("i64", 11, raw<std::int64_t>(INT64_MIN))
        .add("f64", 12, raw(0.25));
    b.add("words", 9, gguf_array(8, 3, gguf_text("a") + gguf_text("") + gguf_text("ccc")));
    b.add("ints", 9, gguf_array(5, 2, raw<std::int32_t>(7) + raw<std::int32_t>(-7)));
    b.add(
        "nested",
        9,
        gguf_array(9, 2, gguf_array(4, 1, raw<std::uint32_t>(1)) + gguf_array(8, 1, gguf_text("x")))
    );
    b.add("empty", 9, gguf_array(6, 0, ""));
    b.tensor("token_embd.weight", {4, 3}, RLX_F32, floats({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
    b.tensor("q.weight", {32, 2}, RLX_Q8_0, std::string(68, '\1'));
    b.tensor("k.weight", {256}, RLX_Q4_K, std::string(144, '\2'));
    b.tensor("scalar", {}, RLX_F32, floats({1.5f}));
    return b;
}

struct st_tensor {
    std::string name, dtype, shape; // shape as JSON: "[2,3]"
    std::string data;
    std::string offsets = {}; // as JSON, instead of where the data goes
};

struct st_builder {
    std::vector<st_tensor> tensors;
    std::string extra; // more header members: "\"__metadata__\":{...},"
    std::string trailing_spaces;
    std::string tail;                    // bytes after the data
    std::optional<std::uint64_t> length; // instead of the header's length
    std::vector<std::uint64_t> edges;    // out

    std::string build() {
        std::string header = "{" + extra, data;
        std::vector<std::uint64_t> at;
        for (std::size_t i = 0; i < tensors.size(); i++) {
            const st_tensor& t = tensors[i];
            std::string place = "[" + std::to_string(data.size()) + "," +
                                std::to_string(data.size() + t.data.size()) + "]";
            at.push_back(data.size());
            data += t.data;
            at.push_back(data.size());
            header += (i ? "," : "") +
                      ("\"" + t.name + "\":{\"dtype\":\"" + t.dtype + "\",\"shape\":" + t.shape +
                       ",\"data_offsets\":" + (t.offsets.empty() ? place : t.offsets) + "}");
        }
        header += "}" + trailing_spaces;
        edges.clear();
        for (std::uint64_t p : at)
            edges.push_back(8 + header.size() + p);
        return raw<std::uint64_t>(length.value_or(header.size())) + header + data + tail;
    }
};

inline st_builder good_st() {
    st_builder b;
    b.extra = R"("__metadata__":{"format":"pt"},)";
    b.tensors = {
        {"a", "F32", "[2,3]", floats({1, 2, 3, 4, 5, 6})},
        {"b", "F16", "[2]", std::string("\x00\x3c\x00\x40", 4)},
        {"empty", "BF16", "[0,4]", ""},
        {"scalar", "I64", "[]", raw<std::int64_t>(-9)},
    };
    return b;
}

// A heap block of exactly the given bytes, so that a read past the end is seen by AddressSanitizer.
class exact_bytes {
public:
    explicit exact_bytes(std::string_view s)
        : p_(std::make_unique<std::byte[]>(s.size() + !s.size())), n_(s.size()) {
        if (n_) std::memcpy(p_.get(), s.data(), n_);
    }

    std::span<const std::byte> span() const { return {p_.get(), n_}; }

private:
    std::unique_ptr<std::byte[]> p_;
    std::size_t n_;
};

// A directory that disappears with its owner.
class temp_dir {
public:
    temp_dir() {
        std::string name = (std::filesystem::temp_directory_path() / "rlx-test-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }

    ~temp_dir() {
        std::error_code ec;
        std::filesystem::remove_all(path_, ec);
    }

    temp_dir(const temp_dir&) = delete;
    temp_dir& operator=(const temp_dir&) = delete;

    const std::filesystem::path& path() const { return path_; }

    std::filesystem::path write(const std::string& name, std::string_view bytes) const {
        std::filesystem::path p = path_ / name;
        std::filesystem::create_directories(p.parent_path());
        std::ofstream(p, std::ios::binary)
            .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return p;
    }

private:
    std::filesystem::path path_;
};

} // namespace rlx_test
