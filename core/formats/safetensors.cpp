// SPDX-License-Identifier: GPL-3.0-only
// Layout: header length u64, header (JSON), data. The data must be tiled exactly by the tensors.
#include "rlx/formats/safetensors.hpp"

#include "rlx/base/checked.hpp"
#include "rlx/base/utf8.hpp"
#include "rlx/formats/dequant.hpp"
#include "rlx/formats/weights.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unordered_set>

namespace rlx {
namespace {

constexpr std::size_t max_name = 512;

// The header as a state machine over the parser's events; anything unexpected stops it.
class header_reader {
public:
    using json = nlohmann::json;
    using number_integer_t = json::number_integer_t;
    using number_unsigned_t = json::number_unsigned_t;
    using number_float_t = json::number_float_t;
    using string_t = json::string_t;
    using binary_t = json::binary_t;

    explicit header_reader(safetensors_header& out) : out_(out) {}

    bool null() { return unexpected("null"); }

    bool boolean(bool) { return unexpected("a bool"); }

    bool number_integer(number_integer_t) { return unexpected("a negative number"); }

    bool number_float(number_float_t, const string_t&) { return unexpected("a fraction"); }

    bool binary(binary_t&) { return unexpected("binary"); }

    bool number_unsigned(number_unsigned_t v) {
        if (where_ == place::shape) {
            if (v > INT64_MAX)
                return fail(fmt::format("tensor '{}': absurd dimension {}", printable(name_), v));
            if (tensor_.dims.size() == RLX_MAX_RANK) {
                return fail(fmt::format(
                    "tensor '{}': more than {} dimensions", printable(name_), RLX_MAX_RANK
                ));
            }
            tensor_.dims.push_back(static_cast<std::int64_t>(v));
            return true;
        }
        if (where_ == place::offsets && n_offsets_ < 2) {
            offsets_[n_offsets_++] = v;
            return true;
        }
        return unexpected("a number");
    }

    bool string(string_t& v) {
        if (where_ == place::metadata) {
            out_.metadata.emplace_back(field_, std::move(v));
            return true;
        }
        if (where_ != place::tensor || field_ != "dtype") return unexpected("text");
        const dtype_traits* t = dtype_find_safetensors(v);
        if (!t) {
            code = RLX_UNSUPPORTED;
            return fail(fmt::format(
                "tensor '{}': element type '{}' is not supported", printable(name_), printable(v)
            ));
        }
        tensor_.dtype = t->dtype;
        return true;
    }

    bool start_object(std::size_t) {
        if (where_ == place::outside) return go(place::top);
        if (where_ != place::top) return unexpected("an object");
        if (name_ == "__metadata__") return seen_.clear(), go(place::metadata);
        tensor_ = {};
        tensor_.name = name_;
        n_offsets_ = 0;
        seen_.clear();
        return go(place::tensor);
    }

    bool start_array(std::size_t) {
        if (where_ == place::tensor && field_ == "shape") return go(place::shape);
        if (where_ == place::tensor && field_ == "data_offsets") return go(place::offsets);
        return unexpected("an array");
    }

    bool end_array() { return go(place::tensor); }

    bool key(string_t& k) {
        if (where_ == place::top) {
            if (k.empty() || k.size() > max_name) {
                return fail(
                    fmt::format("tensor name of {} bytes, expected 1 to {}", k.size(), max_name)
                );
            }
            name_ = k;
            return names_.insert(k).second ||
                   fail(fmt::format("duplicate tensor '{}'", printable(k)));
        }
        field_ = k;
        if (!seen_.insert(k).second) {
            return fail(fmt::format("'{}': duplicate field '{}'", printable(name_), printable(k)));
        }
        bool known =
            where_ == place::metadata || k == "dtype" || k == "shape" || k == "data_offsets";
        return known ||
               fail(fmt::format("tensor '{}': unknown field '{}'", printable(name_), printable(k)));
    }

    bool end_object() {
        if (where_ == place::metadata) return go(place::top);
        if (where_ == place::top) return go(place::outside);
        if (seen_.size() != 3 || n_offsets_ != 2) {
            return fail(fmt::format(
                "tensor '{}': needs dtype, shape and two data_offsets", printable(name_)
            ));
        }
        tensor_.offset = offsets_[0];
        if (offsets_[1] < offsets_[0]) {
            return fail(fmt::format(
                "tensor '{}': begins at {} and ends at {}",
                printable(name_),
                offsets_[0],
                offsets_[1]
            ));
        }
        tensor_.n_bytes = offsets_[1] - offsets_[0];
        out_.tensors.push_back(std::move(tensor_));
        return go(place::top);
    }

    bool
    parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) {
        std::string_view what = e.what();
        std::size_t start = what.find("] ");
        return fail(fmt::format(
            "header byte {}: {}", position, what.substr(start == what.npos ? 0 : start + 2)
        ));
    }

    std::string message;
    std::uint32_t code = RLX_CORRUPT_DATA;

private:
    enum class place { outside, top, metadata, tensor, shape, offsets };

    bool go(place p) {
        where_ = p;
        return true;
    }

    bool fail(std::string why) {
        if (message.empty()) message = std::move(why);
        return false;
    }

    bool unexpected(std::string_view what) {
        return fail(fmt::format("'{}': unexpected {} in the header", printable(name_), what));
    }

    safetensors_header& out_;
    place where_ = place::outside;
    std::string name_, field_;
    safetensors_tensor tensor_{};
    std::uint64_t offsets_[2] = {};
    std::size_t n_offsets_ = 0;
    std::unordered_set<std::string> names_, seen_;
};

std::optional<std::uint64_t> tensor_bytes(const safetensors_tensor& t) {
    std::uint64_t n = dtype_find(t.dtype)->block_bytes;
    for (std::int64_t d : t.dims) {
        auto product = checked_mul(n, static_cast<std::uint64_t>(d));
        if (!product) return std::nullopt;
        n = *product;
    }
    return n;
}

std::string shape_text(const std::vector<std::int64_t>& dims) {
    return fmt::format("[{}]", fmt::join(dims, ", "));
}

result<void> check_tiling(safetensors_header& h, std::uint64_t n_data, const std::string& name) {
    auto corrupt = [&](const safetensors_tensor& t, std::string why) {
        auto at = checked_add(h.data_offset, t.offset).value_or(UINT64_MAX);
        return error{
            RLX_CORRUPT_DATA,
            fmt::format("{}: tensor '{}' at byte {}: {}", name, printable(t.name), at, why)};
    };
    std::stable_sort(h.tensors.begin(), h.tensors.end(), [](const auto& a, const auto& b) {
        return a.offset != b.offset ? a.offset < b.offset : a.n_bytes < b.n_bytes;
    });
    std::uint64_t next = 0;
    for (safetensors_tensor& t : h.tensors) {
        auto want = tensor_bytes(t);
        if (!want)
            return corrupt(t, fmt::format("the size of shape {} overflows", shape_text(t.dims)));
        if (*want != t.n_bytes) {
            return corrupt(
                t,
                fmt::format(
                    "{} {} needs {} bytes, data_offsets span {}",
                    dtype_name(t.dtype),
                    shape_text(t.dims),
                    *want,
                    t.n_bytes
                )
            );
        }
        auto end = checked_add(t.offset, t.n_bytes);
        if (!end || *end > n_data) {
            return corrupt(
                t,
                fmt::format(
                    "reaches to data byte {}, the file has {}; it is truncated, fetch it again",
                    end.value_or(UINT64_MAX),
                    n_data
                )
            );
        }
        if (t.offset != next) {
            return corrupt(
                t,
                fmt::format(
                    "begins at data byte {}, expected {}: {}",
                    t.offset,
                    next,
                    t.offset < next ? "tensors overlap" : "there is a hole"
                )
            );
        }
        next = *end;
        t.offset += h.data_offset;
    }
    if (next != n_data) {
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "{}: {} bytes after the last tensor (at byte {})",
                name,
                n_data - next,
                h.data_offset + next
            )};
    }
    return {};
}

} // namespace

result<safetensors_header> safetensors_parse(
    std::span<const std::byte> bytes, const std::string& name, const safetensors_options& options
) {
    auto corrupt = [&](std::string why) {
        return error{RLX_CORRUPT_DATA, name + ": " + std::move(why)};
    };
    if (bytes.size() < 8)
        return corrupt(fmt::format("{} bytes are no safetensors file (at byte 0)", bytes.size()));
    std::uint64_t n = 0;
    std::memcpy(&n, bytes.data(), 8);
    if (n > options.max_header) {
        return corrupt(fmt::format(
            "a header of {} bytes is announced, the limit is {} (at byte 0)", n, options.max_header
        ));
    }
    if (n > bytes.size() - 8) {
        return corrupt(fmt::format(
            "a header of {} bytes is announced, {} are left; the file is truncated, fetch it "
            "again (at byte 0)",
            n,
            bytes.size() - 8
        ));
    }
    std::string_view text(reinterpret_cast<const char*>(bytes.data() + 8), n);
    if (text.empty() || text.front() != '{')
        return corrupt("the header does not begin with '{' (at byte 8)");
    std::size_t last = text.find_last_not_of(' ');
    if (text[last] != '}')
        return corrupt(fmt::format("the header does not end with '}}' (at byte {})", 8 + last));
    if (std::size_t bad = utf8_find_invalid(text); bad != text.npos) {
        return corrupt(fmt::format("the header is not valid UTF-8 (at byte {})", 8 + bad));
    }
    safetensors_header out;
    header_reader sax(out);
    if (!nlohmann::json::sax_parse(
            text.begin(), text.begin() + static_cast<std::ptrdiff_t>(last + 1), &sax
        )) {
        return error{
            sax.code,
            fmt::format("{}: {} (in the header, bytes 8 to {})", name, sax.message, 8 + n)};
    }
    out.data_offset = 8 + n;
    RLX_CHECK(check_tiling(out, bytes.size() - out.data_offset, name));
    return out;
}

} // namespace rlx
