// SPDX-License-Identifier: GPL-3.0-only
// Weight formats ("rlx.weight_format/1") and tensor names ("rlx.tensor_names/1") of a plugin from
// classes. Compiled into the plugin.
//
//   class toy { // one opened file
//   public:
//       static constexpr format_info info{"toy", "..."};
//       static result<std::unique_ptr<toy>>
//       open(std::string_view path, std::span<const std::byte> bytes);
//       std::span<const format_tensor> tensors() const;
//       // optional: bytes that do not lie in the file
//       status read(std::size_t tensor, std::uint64_t offset, std::span<std::byte> dst) const;
//       // optional: config values one by one; they win over the text "config.json"
//       std::span<const format_value> config() const;
//       // optional: "config.json", "tokenizer.json"
//       std::optional<std::string_view> text(std::string_view name) const;
//   };
//   struct my_plugin { using formats = format_list<toy>; };
//
//   struct acme {
//       static constexpr format_info info{"acme", "..."};
//       static std::span<const rlx_name_rule>
//       rules(std::string_view architecture, std::string_view format);
//   };
//   struct my_plugin { using names = names_list<acme>; };
//
// What open() gets stays valid until the object is destroyed; what the members return must live as
// long as the object, rules as long as the process. Const members must be safe from any thread.
#pragma once

#include "rlx/abi/tensor_names.h"
#include "rlx/abi/weight_format.h"
#include "rlx/sdk/cli.hpp"
#include "rlx/sdk/host.hpp"
#include "rlx/sdk/table.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace rlx::sdk {
inline namespace sdk_v1 {

using format_info = cli_info;

struct format_tensor {
    std::string name; // as the Hugging Face checkpoint spells it
    std::uint16_t dtype = RLX_F32;
    std::vector<std::int64_t> dims;      // outermost first
    std::optional<std::uint64_t> offset; // in the file; none: read() makes the bytes
    std::uint64_t n_bytes = 0;
};

struct format_array {
    std::int64_t size = 0; // its elements follow as values of their own, "key.0", "key.1", ...
};

struct format_value {
    std::string key; // as in config.json: "hidden_size", "rope_parameters.rope_type"
    std::variant<std::int64_t, double, bool, std::string, format_array> value;
};

template <class... Formats>
struct format_list {};

template <class... Names>
struct names_list {};

namespace detail {

template <class Format>
concept has_config = requires(const Format& f) {
    f.config();
};

// An opened file with its format's members, whichever format it is.
struct open_file {
    virtual ~open_file() = default;
    virtual std::span<const format_tensor> tensors() const = 0;
    virtual status read(std::size_t i, std::uint64_t offset, std::span<std::byte> dst) const = 0;
    virtual std::span<const format_value> config() const = 0;
    virtual std::optional<std::string_view> text(std::string_view name) const = 0;
};

// Strings stay where they are.
inline rlx_meta meta_of(const format_value& v) {
    rlx_meta m{};
    const auto set = [&](const auto& x) {
        using type = std::remove_cvref_t<decltype(x)>;
        if constexpr (std::is_same_v<type, std::int64_t>) {
            m.kind = RLX_META_INT;
            m.i = x;
            m.f = static_cast<double>(x);
        } else if constexpr (std::is_same_v<type, double>) {
            m.kind = RLX_META_FLOAT;
            m.f = x;
        } else if constexpr (std::is_same_v<type, bool>) {
            m.kind = RLX_META_BOOL;
            m.i = x ? 1 : 0;
        } else if constexpr (std::is_same_v<type, std::string>) {
            m.kind = RLX_META_STRING;
            m.s = str(x);
        } else {
            m.kind = RLX_META_ARRAY;
            m.i = x.size;
        }
    };
    std::visit(set, v.value);
    return m;
}

template <class Format>
struct open_file_of final : open_file {
    std::unique_ptr<Format> f;

    explicit open_file_of(std::unique_ptr<Format> made) : f(std::move(made)) {}

    std::span<const format_tensor> tensors() const override { return f->tensors(); }

    status read(std::size_t i, std::uint64_t offset, std::span<std::byte> dst) const override {
        if constexpr (requires { f->read(i, offset, dst); }) {
            return f->read(i, offset, dst);
        } else {
            return fail(RLX_INTERNAL, "tensor {} lies in the file", i);
        }
    }

    std::span<const format_value> config() const override {
        if constexpr (has_config<Format>) {
            return f->config();
        } else {
            return {};
        }
    }

    std::optional<std::string_view> text(std::string_view name) const override {
        if constexpr (requires { f->text(name); }) {
            return f->text(name);
        } else {
            return std::nullopt;
        }
    }
};

template <class List>
struct format_thunks;

template <class... Formats>
struct format_thunks<format_list<Formats...>> {
    static constexpr std::array<format_info, sizeof...(Formats)> infos{Formats::info...};

    static std::uint32_t count(void*) noexcept { return sizeof...(Formats); }

    static rlx_error* describe(void*, std::uint32_t index, rlx_item* out) noexcept {
        return guarded([&]() -> status {
            if (index >= infos.size()) return out_of_range(index);
            return describe_item(out, infos[index].name, infos[index].description);
        });
    }

    static rlx_error*
    open(void*, std::uint32_t index, const rlx_format_file* in, void** file) noexcept {
        return guarded([&]() -> status {
            if (!file) return null_argument("open");
            *file = nullptr;
            const rlx_format_file f = RLX_TRY(read_struct(in));
            if (f.bytes.n && !f.bytes.p) return null_argument("open");
            if (index >= infos.size()) return out_of_range(index);
            const std::span bytes(
                static_cast<const std::byte*>(f.bytes.p), static_cast<std::size_t>(f.bytes.n)
            );
            std::uint32_t at = 0;
            status out;
            (void
            )((at++ == index ? (out = open_as<Formats>(view(f.path), bytes, file), true) : false) ||
              ...);
            return out;
        });
    }

    static void close(void*, void* file) noexcept { delete static_cast<open_file*>(file); }

    static rlx_error* tensor_count(void*, void* file, std::uint64_t* out) noexcept {
        return guarded([&]() -> status {
            if (!file || !out) return null_argument("tensor_count");
            *out = of(file).tensors().size();
            return {};
        });
    }

    static rlx_error*
    tensor(void*, void* file, std::uint64_t index, rlx_format_tensor* out) noexcept {
        return guarded([&]() -> status {
            if (!file || !out) return null_argument("tensor");
            const format_tensor* t = RLX_TRY(at(file, index));
            if (t->dims.size() > RLX_MAX_RANK)
                return fail(
                    RLX_CORRUPT_DATA,
                    "tensor {} '{}' has {} axes, expected at most {}",
                    index,
                    t->name,
                    t->dims.size(),
                    RLX_MAX_RANK + 0
                );
            rlx_format_tensor made{};
            made.dtype = t->dtype;
            made.rank = static_cast<std::uint16_t>(t->dims.size());
            std::copy(t->dims.begin(), t->dims.end(), made.dim);
            made.flags = t->offset ? RLX_FORMAT_IN_FILE : 0;
            made.offset = t->offset.value_or(0);
            made.n_bytes = t->n_bytes;
            made.name = str(t->name);
            write_struct(out, made);
            return {};
        });
    }

    static rlx_error* read(
        void*, void* file, std::uint64_t index, std::uint64_t offset, void* dst, std::uint64_t n
    ) noexcept {
        return guarded([&]() -> status {
            if (!file || (n && !dst)) return null_argument("read");
            const format_tensor* t = RLX_TRY(at(file, index));
            if (offset > t->n_bytes || n > t->n_bytes - offset)
                return fail(
                    RLX_INVALID_ARGUMENT, "{} bytes at {} of a tensor of {}", n, offset, t->n_bytes
                );
            const std::span to(static_cast<std::byte*>(dst), static_cast<std::size_t>(n));
            return of(file).read(static_cast<std::size_t>(index), offset, to);
        });
    }

    static rlx_error* meta_count(void*, void* file, std::uint64_t* out) noexcept {
        return guarded([&]() -> status {
            if (!file || !out) return null_argument("meta_count");
            *out = of(file).config().size();
            return {};
        });
    }

    static rlx_error*
    meta(void*, void* file, std::uint64_t index, rlx_str* key, rlx_meta* out) noexcept {
        return guarded([&]() -> status {
            if (!file || !key || !out) return null_argument("meta");
            const auto all = of(file).config();
            if (index >= all.size())
                return fail(RLX_INVALID_ARGUMENT, "config value {} of {}", index, all.size());
            const format_value& v = all[static_cast<std::size_t>(index)];
            *key = str(v.key);
            write_struct(out, meta_of(v));
            return {};
        });
    }

    static rlx_error*
    text(void*, void* file, rlx_str name, rlx_bytes* out, std::uint32_t* found) noexcept {
        return guarded([&]() -> status {
            if (!file || !out || !found) return null_argument("text");
            const auto t = of(file).text(view(name));
            *found = t ? 1 : 0;
            if (t) *out = {t->data(), t->size()};
            return {};
        });
    }

    static constexpr rlx_weight_format_v1 make() {
        rlx_weight_format_v1 t{};
        t.hdr = {sizeof t, 1, 0};
        t.count = count;
        t.describe = describe;
        t.open = open;
        t.close = close;
        t.tensor_count = tensor_count;
        t.tensor = tensor;
        t.read = read;
        if constexpr ((has_config<Formats> || ...)) {
            t.meta_count = meta_count;
            t.meta = meta;
        }
        t.text = text;
        return t;
    }

private:
    static open_file& of(void* file) { return *static_cast<open_file*>(file); }

    static result<const format_tensor*> at(void* file, std::uint64_t index) {
        const auto all = of(file).tensors();
        if (index < all.size()) return &all[static_cast<std::size_t>(index)];
        return fail(RLX_INVALID_ARGUMENT, "tensor {} of {}", index, all.size());
    }

    static error out_of_range(std::uint32_t index) {
        return fail(RLX_INVALID_ARGUMENT, "format {} of {}", index, sizeof...(Formats));
    }

    template <class Format>
    static status open_as(std::string_view path, std::span<const std::byte> bytes, void** file) {
        std::unique_ptr<Format> made = RLX_TRY(Format::open(path, bytes));
        open_file* out = new open_file_of<Format>(std::move(made));
        *file = out;
        return {};
    }
};

template <class List>
struct names_thunks;

template <class... Names>
struct names_thunks<names_list<Names...>> {
    static constexpr std::array<format_info, sizeof...(Names)> infos{Names::info...};

    static std::uint32_t count(void*) noexcept { return sizeof...(Names); }

    static rlx_error* describe(void*, std::uint32_t index, rlx_item* out) noexcept {
        return guarded([&]() -> status {
            if (index >= infos.size()) return out_of_range(index);
            return describe_item(out, infos[index].name, infos[index].description);
        });
    }

    static rlx_error* rules(
        void*,
        std::uint32_t index,
        rlx_str architecture,
        rlx_str format,
        const rlx_name_rule** rules,
        std::uint64_t* n,
        std::uint64_t* stride
    ) noexcept {
        return guarded([&]() -> status {
            if (!rules || !n || !stride) return null_argument("rules");
            if (index >= infos.size()) return out_of_range(index);
            std::uint32_t at = 0;
            std::span<const rlx_name_rule> found;
            (void
            )((at++ == index ? (found = Names::rules(view(architecture), view(format)), true)
                             : false) ||
              ...);
            *rules = found.data();
            *n = found.size();
            *stride = sizeof(rlx_name_rule);
            return {};
        });
    }

    static constexpr rlx_tensor_names_v1 make() {
        return {{sizeof(rlx_tensor_names_v1), 1, 0}, count, describe, rules};
    }

private:
    static error out_of_range(std::uint32_t index) {
        return fail(RLX_INVALID_ARGUMENT, "names {} of {}", index, sizeof...(Names));
    }
};

} // namespace detail

template <class List>
inline constexpr rlx_weight_format_v1 weight_format_table = detail::format_thunks<List>::make();
template <class List>
inline constexpr rlx_tensor_names_v1 tensor_names_table = detail::names_thunks<List>::make();

} // namespace sdk_v1
} // namespace rlx::sdk
