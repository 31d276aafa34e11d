// SPDX-License-Identifier: GPL-3.0-only
#include "plugin_file.hpp"

#include "rlx/base/checked.hpp"
#include "rlx/base/utf8.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/formats/dequant.hpp"

#include <fmt/format.h>
#include <utility>

namespace rlx {
namespace {

constexpr std::uint64_t max_tensors = 10'000'000, max_meta = 10'000'000;

// Bytes that the type and dims need; nullopt when they make no sense.
std::optional<std::uint64_t> bytes_of(const rlx_format_tensor& t) {
    const dtype_traits* traits = dtype_find(t.dtype);
    if (!traits || t.rank > RLX_MAX_RANK) return std::nullopt;
    std::uint64_t rows = 1;
    for (std::size_t i = 0; i < t.rank; i++)
        if (t.dim[i] < 0) return std::nullopt;
    for (std::size_t i = 0; i + 1 < t.rank; i++) {
        const auto n = checked_mul(rows, static_cast<std::uint64_t>(t.dim[i]));
        if (!n) return std::nullopt;
        rows = *n;
    }
    const auto row =
        dtype_bytes(*traits, t.rank ? static_cast<std::uint64_t>(t.dim[t.rank - 1]) : 1);
    return row ? checked_mul(*row, rows) : std::nullopt;
}

json_scalar scalar_of(const rlx_meta& m) {
    switch (m.kind) {
    case RLX_META_INT: return {json_kind::integer, m.i, static_cast<double>(m.i), {}};
    case RLX_META_FLOAT: return {json_kind::number, 0, m.f, {}};
    case RLX_META_BOOL: return {json_kind::boolean, m.i != 0, 0, {}};
    case RLX_META_STRING: return {json_kind::string, 0, 0, std::string(view(m.s))};
    case RLX_META_ARRAY: return {json_kind::array, m.i, 0, {}};
    default: return {};
    }
}

} // namespace

plugin_file::plugin_file(weight_format f, std::filesystem::path path)
    : format_(std::move(f)), path_(std::move(path)) {}

plugin_file::plugin_file(plugin_file&& other) noexcept
    : format_(std::move(other.format_)), path_(std::move(other.path_)),
      handle_(std::exchange(other.handle_, nullptr)), tensors_(std::move(other.tensors_)),
      in_file_(std::move(other.in_file_)) {}

plugin_file::~plugin_file() {
    if (handle_) format_.table->close(format_.self, handle_);
}

result<plugin_file> plugin_file::open(
    const weight_format& f, const std::filesystem::path& path, std::span<const std::byte> bytes
) {
    const rlx_weight_format_v1* t = f.table;
    if (!RLX_HAS(t, open) || !RLX_HAS(t, close) || !RLX_HAS(t, tensor_count) || !RLX_HAS(t, tensor))
        return error{
            RLX_VERSION_MISMATCH,
            fmt::format(
                "{}: the rlx.weight_format/1 of '{}' lacks open, close, tensor_count or tensor",
                path.string(),
                f.name
            )};
    plugin_file out(f, path);
    const std::string name = path.string();
    const rlx_format_file in{sizeof in, 0, str(name), {bytes.data(), bytes.size()}};
    RLX_CHECK(check_wall(t->open(f.self, f.index, &in, &out.handle_)).within(name));
    if (!out.handle_)
        return error{RLX_INTERNAL, fmt::format("{}: format '{}' opened nothing", name, f.name)};
    RLX_CHECK(out.list(bytes).within(name));
    return out;
}

result<void> plugin_file::list(std::span<const std::byte> bytes) {
    std::uint64_t n = 0;
    RLX_CHECK(check_wall(format_.table->tensor_count(format_.self, handle_, &n)));
    if (n > max_tensors)
        return error{
            RLX_CORRUPT_DATA, fmt::format("{} tensors, expected at most {}", n, max_tensors)};
    for (std::uint64_t i = 0; i < n; i++) {
        rlx_format_tensor t{};
        t.size = sizeof t;
        RLX_CHECK(check_wall(format_.table->tensor(format_.self, handle_, i, &t)));
        tensors_.push_back(RLX_TRY(checked(i, t, bytes)));
        in_file_.push_back((t.flags & RLX_FORMAT_IN_FILE) != 0);
    }
    return {};
}

result<tensor_info> plugin_file::checked(
    std::uint64_t index, const rlx_format_tensor& t, std::span<const std::byte> bytes
) const {
    const std::string name(view(t.name));
    const auto bad = [&](std::string_view why) {
        return error{
            RLX_CORRUPT_DATA, fmt::format("tensor {} '{}': {}", index, printable(name), why)};
    };
    if (name.empty() || name.size() > 65535) return bad("a name of 1 to 65535 bytes is expected");
    const auto need = bytes_of(t);
    if (!need) return bad(fmt::format("{} of rank {}: no such shape", dtype_name(t.dtype), t.rank));
    if (*need != t.n_bytes)
        return bad(fmt::format("{} bytes, its shape needs {}", t.n_bytes, *need));
    const bool in_file = t.flags & RLX_FORMAT_IN_FILE;
    if (in_file && (t.offset > bytes.size() || t.n_bytes > bytes.size() - t.offset))
        return bad(fmt::format("{} bytes at {} of a file of {}", t.n_bytes, t.offset, bytes.size())
        );
    if (!in_file && !RLX_HAS(format_.table, read))
        return bad("its bytes are not in the file and the format has no read()");
    return tensor_info{
        name,
        t.dtype,
        std::vector<std::int64_t>(t.dim, t.dim + t.rank),
        t.n_bytes,
        path_,
        in_file ? t.offset : 0};
}

result<void>
plugin_file::read(std::size_t i, std::uint64_t offset, std::span<std::byte> dst) const {
    if (dst.empty()) return {};
    return check_wall(format_.table->read(format_.self, handle_, i, offset, dst.data(), dst.size()))
        .within(fmt::format("{}: tensor '{}'", path_.string(), tensors_[i].name));
}

result<json_flat> plugin_file::config() const {
    json_flat out;
    const rlx_weight_format_v1* t = format_.table;
    if (auto json = RLX_TRY(text("config.json")))
        out = RLX_TRY(json_flatten(*json, path_.string() + ": its config.json"));
    if (!RLX_HAS(t, meta_count) || !RLX_HAS(t, meta)) return out;
    std::uint64_t n = 0;
    RLX_CHECK(check_wall(t->meta_count(format_.self, handle_, &n)).within(path_.string()));
    if (n > max_meta)
        return error{RLX_CORRUPT_DATA, fmt::format("{}: {} config values", path_.string(), n)};
    for (std::uint64_t i = 0; i < n; i++) {
        rlx_str key{};
        rlx_meta m{};
        m.size = sizeof m;
        RLX_CHECK(check_wall(t->meta(format_.self, handle_, i, &key, &m)).within(path_.string()));
        if (m.kind < RLX_META_INT || m.kind > RLX_META_ARRAY || key.n == 0)
            return error{
                RLX_CORRUPT_DATA,
                fmt::format(
                    "{}: config value {} '{}' has the unknown kind {}",
                    path_.string(),
                    i,
                    printable(view(key)),
                    m.kind
                )};
        out[std::string(view(key))] = scalar_of(m);
    }
    return out;
}

result<std::optional<std::string>> plugin_file::text(std::string_view name) const {
    if (!RLX_HAS(format_.table, text)) return std::optional<std::string>();
    rlx_bytes bytes{};
    std::uint32_t found = 0;
    RLX_CHECK(check_wall(format_.table->text(format_.self, handle_, str(name), &bytes, &found))
                  .within(path_.string()));
    if (!found) return std::optional<std::string>();
    return std::optional<std::string>(
        std::in_place, static_cast<const char*>(bytes.p), static_cast<std::size_t>(bytes.n)
    );
}

} // namespace rlx
