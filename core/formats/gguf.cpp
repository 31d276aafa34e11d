// SPDX-License-Identifier: GPL-3.0-only
// Layout (little-endian): magic, version u32, tensor count u64, entry count u64, entries, tensor
// infos, padding to the alignment, data. Every number is untrusted: counts are bounded by the bytes
// left, sizes are multiplied and padded with overflow checks, and the data must tile without gaps
// or overlaps.
#include "rlx/formats/gguf.hpp"

#include "rlx/base/checked.hpp"
#include "rlx/base/utf8.hpp"
#include "rlx/formats/dequant.hpp"
#include "rlx/formats/weights.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <unordered_set>

namespace rlx {
namespace {

constexpr std::uint64_t max_string = std::uint64_t{64} << 20;
constexpr std::uint64_t max_name = 512;
constexpr std::uint64_t max_tensors = 1'000'000;
constexpr std::uint64_t max_entries = 1'000'000;
constexpr int max_array_depth = 4;
constexpr std::uint64_t min_entry_bytes = 8 + 1 + 4 + 1;
constexpr std::uint64_t min_tensor_bytes = 8 + 1 + 4 + 4 + 8;

static_assert(std::endian::native == std::endian::little, "GGUF values are read in place");

// Bytes of a fixed-width type, 0 for strings and arrays.
std::uint64_t fixed_width(gguf_type t) {
    switch (t) {
    case gguf_type::u8:
    case gguf_type::i8:
    case gguf_type::boolean: return 1;
    case gguf_type::u16:
    case gguf_type::i16: return 2;
    case gguf_type::u32:
    case gguf_type::i32:
    case gguf_type::f32: return 4;
    case gguf_type::u64:
    case gguf_type::i64:
    case gguf_type::f64: return 8;
    default: return 0;
    }
}

} // namespace

class gguf_parser {
public:
    gguf_parser(std::span<const std::byte> bytes, std::string name)
        : bytes_(bytes), name_(std::move(name)) {}

    result<gguf_file> run() {
        RLX_CHECK(header());
        for (std::uint64_t i = 0; i < n_entries_; i++)
            RLX_CHECK(entry(i));
        RLX_CHECK(alignment());
        for (std::uint64_t i = 0; i < n_tensors_; i++)
            RLX_CHECK(tensor(i));
        RLX_CHECK(place());
        return std::move(out_);
    }

private:
    template <class... A>
    error corrupt(std::uint64_t at, fmt::format_string<A...> f, A&&... a) const {
        return {
            RLX_CORRUPT_DATA,
            fmt::format("{}: {} (at byte {})", name_, fmt::format(f, std::forward<A>(a)...), at)};
    }

    std::uint64_t left() const { return bytes_.size() - pos_; }

    result<void> need(std::uint64_t n, std::string_view what) const {
        if (n <= left()) return {};
        return corrupt(
            pos_,
            "file ends inside {}: {} bytes needed, {} left; the file is truncated, fetch it again",
            what,
            n,
            left()
        );
    }

    template <class T>
    result<T> read(std::string_view what) {
        RLX_CHECK(need(sizeof(T), what));
        T v;
        std::memcpy(&v, bytes_.data() + pos_, sizeof(T));
        pos_ += sizeof(T);
        return v;
    }

    result<std::string_view> read_string(std::string_view what, std::uint64_t limit) {
        std::uint64_t start = pos_;
        std::uint64_t n = RLX_TRY(read<std::uint64_t>(what));
        if (n > limit) return corrupt(start, "{} has {} bytes, the limit is {}", what, n, limit);
        RLX_CHECK(need(n, what));
        std::string_view s(reinterpret_cast<const char*>(bytes_.data() + pos_), n);
        pos_ += n;
        return s;
    }

    result<std::string_view> read_name(std::string_view what) {
        std::uint64_t start = pos_;
        std::string_view s = RLX_TRY(read_string(what, max_name));
        if (s.empty()) return corrupt(start, "{} is empty", what);
        if (std::size_t bad = utf8_find_invalid(s); bad != s.npos) {
            return corrupt(start + 8 + bad, "{} '{}' is not valid UTF-8", what, printable(s));
        }
        return s;
    }

    result<void> header();
    result<void> entry(std::uint64_t index);
    result<gguf_value> value(gguf_type type, std::string_view what);
    result<gguf_value> array(std::string_view what, int depth);
    result<void>
    array_items(gguf_type element, std::uint64_t count, std::string_view what, int depth);
    result<gguf_type> read_type(std::string_view what);
    result<void> check_bools(const std::byte* p, std::uint64_t n, std::string_view what) const;
    result<void> alignment();
    result<void> tensor(std::uint64_t index);
    result<void> tensor_shape(gguf_tensor& t);
    result<void> place();

    std::span<const std::byte> bytes_;
    std::string name_;
    std::uint64_t pos_ = 0;
    std::uint64_t n_entries_ = 0, n_tensors_ = 0;
    std::unordered_set<std::string_view> tensor_names_;
    gguf_file out_;
};

result<void> gguf_parser::header() {
    if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0) {
        return corrupt(0, "not a GGUF file: the first four bytes are not 'GGUF'");
    }
    pos_ = 4;
    out_.version_ = RLX_TRY(read<std::uint32_t>("the version"));
    if (out_.version_ != 2 && out_.version_ != 3) {
        std::uint32_t v = out_.version_;
        bool swapped = __builtin_bswap32(v) <= 3;
        return error{
            RLX_UNSUPPORTED,
            swapped
                ? fmt::format("{}: big-endian GGUF is not supported", name_)
                : fmt::format(
                      "{}: GGUF version {} is not supported, expected 2 or 3; convert the model "
                      "again",
                      name_,
                      v
                  )};
    }
    n_tensors_ = RLX_TRY(read<std::uint64_t>("the tensor count"));
    n_entries_ = RLX_TRY(read<std::uint64_t>("the metadata count"));
    if (n_tensors_ > max_tensors || n_tensors_ > left() / min_tensor_bytes) {
        return corrupt(
            8,
            "{} tensors announced in a file of {} bytes: it is truncated or damaged; fetch it "
            "again",
            n_tensors_,
            bytes_.size()
        );
    }
    if (n_entries_ > max_entries || n_entries_ > left() / min_entry_bytes) {
        return corrupt(
            16, "{} metadata entries announced in a file of {} bytes", n_entries_, bytes_.size()
        );
    }
    out_.entries_.reserve(n_entries_);
    out_.tensors_.reserve(n_tensors_);
    return {};
}

result<gguf_type> gguf_parser::read_type(std::string_view what) {
    std::uint64_t start = pos_;
    std::uint32_t t = RLX_TRY(read<std::uint32_t>(what));
    if (t > static_cast<std::uint32_t>(gguf_type::f64))
        return corrupt(start, "{} has unknown value type {}", what, t);
    return static_cast<gguf_type>(t);
}

result<void> gguf_parser::entry(std::uint64_t index) {
    std::uint64_t start = pos_;
    std::string_view key = RLX_TRY(read_name(fmt::format("the key of metadata entry {}", index)));
    if (!out_.by_key_.emplace(key, out_.entries_.size()).second) {
        return corrupt(start, "duplicate metadata key '{}'", key);
    }
    std::string what = fmt::format("metadata '{}'", key);
    gguf_type type = RLX_TRY(read_type(what));
    gguf_value v = RLX_TRY(value(type, what));
    if (auto s = v.string()) {
        if (std::size_t bad = utf8_find_invalid(*s); bad != s->npos) {
            return corrupt(pos_ - s->size() + bad, "{} is not valid UTF-8", what);
        }
    }
    out_.entries_.push_back({key, v});
    return {};
}

result<gguf_value> gguf_parser::value(gguf_type type, std::string_view what) {
    if (type == gguf_type::array) return array(what, 1);
    gguf_value v{type, type, 1, bytes_.data() + pos_};
    if (type == gguf_type::string) {
        RLX_TRY(read_string(what, max_string));
        return v;
    }
    std::uint64_t n = fixed_width(type);
    RLX_CHECK(need(n, what));
    if (type == gguf_type::boolean) RLX_CHECK(check_bools(v.data, 1, what));
    pos_ += n;
    return v;
}

result<void>
gguf_parser::check_bools(const std::byte* p, std::uint64_t n, std::string_view what) const {
    for (std::uint64_t i = 0; i < n; i++) {
        if (p[i] > std::byte{1})
            return corrupt(pos_ + i, "{} is no bool: value {}", what, static_cast<int>(p[i]));
    }
    return {};
}

result<gguf_value> gguf_parser::array(std::string_view what, int depth) {
    if (depth > max_array_depth)
        return corrupt(pos_, "{} nests arrays deeper than {}", what, max_array_depth);
    gguf_type element = RLX_TRY(read_type(what));
    std::uint64_t start = pos_;
    std::uint64_t count = RLX_TRY(read<std::uint64_t>(what));
    // The smallest element tells how many can fit at most.
    std::uint64_t least = element == gguf_type::array    ? 12
                          : element == gguf_type::string ? 8
                                                         : fixed_width(element);
    if (count > left() / least) {
        return corrupt(
            start,
            "{} announces {} elements of type {}, {} bytes are left",
            what,
            count,
            gguf_type_name(element),
            left()
        );
    }
    gguf_value v{gguf_type::array, element, count, bytes_.data() + pos_};
    RLX_CHECK(array_items(element, count, what, depth));
    return v;
}

result<void>
gguf_parser::array_items(gguf_type element, std::uint64_t count, std::string_view what, int depth) {
    if (std::uint64_t n = fixed_width(element); n != 0) {
        if (element == gguf_type::boolean)
            RLX_CHECK(check_bools(bytes_.data() + pos_, count, what));
        pos_ += n * count; // cannot wrap: count was checked against the bytes left
        return {};
    }
    for (std::uint64_t i = 0; i < count; i++) {
        if (element == gguf_type::array)
            RLX_TRY(array(what, depth + 1));
        else
            RLX_TRY(read_string(what, max_string));
    }
    return {};
}

result<void> gguf_parser::alignment() {
    const gguf_value* v = out_.find("general.alignment");
    if (!v) return {};
    auto at = static_cast<std::uint64_t>(v->data - bytes_.data());
    if (v->type != gguf_type::u32) {
        return corrupt(at, "general.alignment has type {}, expected u32", gguf_type_name(v->type));
    }
    auto a = static_cast<std::uint64_t>(*v->integer());
    if (a == 0 || a > (1u << 30) || !std::has_single_bit(a)) {
        return corrupt(at, "general.alignment is {}, expected a power of two", a);
    }
    out_.alignment_ = a;
    return {};
}

result<void> gguf_parser::tensor(std::uint64_t index) {
    std::uint64_t start = pos_;
    gguf_tensor t{};
    t.name = RLX_TRY(read_name(fmt::format("the name of tensor {}", index)));
    if (!tensor_names_.insert(t.name).second)
        return corrupt(start, "duplicate tensor '{}'", t.name);
    RLX_CHECK(tensor_shape(t));
    out_.tensors_.push_back(std::move(t));
    return {};
}

result<void> gguf_parser::tensor_shape(gguf_tensor& t) {
    std::string what = fmt::format("tensor '{}'", t.name);
    std::uint64_t start = pos_;
    std::uint32_t rank = RLX_TRY(read<std::uint32_t>(what));
    if (rank > RLX_MAX_RANK)
        return corrupt(start, "{} has {} dimensions, the limit is {}", what, rank, RLX_MAX_RANK);
    std::uint64_t innermost = 1, outer = 1;
    for (std::uint32_t i = 0; i < rank; i++) {
        std::uint64_t at = pos_;
        std::uint64_t d = RLX_TRY(read<std::uint64_t>(what));
        auto product = i == 0 ? std::optional<std::uint64_t>(1) : checked_mul(outer, d);
        auto all = product ? checked_mul(*product, i == 0 ? d : innermost) : std::nullopt;
        if (d > INT64_MAX || !all || *all > INT64_MAX) {
            return corrupt(at, "{} has an absurd dimension {}", what, static_cast<std::int64_t>(d));
        }
        (i == 0 ? innermost : outer) = i == 0 ? d : *product;
        t.dims.push_back(static_cast<std::int64_t>(d));
    }
    std::reverse(t.dims.begin(), t.dims.end());
    std::uint64_t at = pos_;
    t.type = RLX_TRY(read<std::uint32_t>(what));
    const dtype_traits* traits =
        t.type < 0x100 ? dtype_find(t.type) : nullptr; // ours are not in files
    if (!traits) {
        return error{
            RLX_UNSUPPORTED,
            fmt::format("{}: {} has unknown type {} (at byte {})", name_, what, t.type, at)};
    }
    auto row = dtype_bytes(*traits, innermost);
    if (!row) {
        return corrupt(
            at,
            "{} has rows of {} elements, no whole number of {} blocks of {}",
            what,
            innermost,
            traits->name,
            traits->block
        );
    }
    auto bytes = checked_mul(*row, outer);
    if (!bytes) return corrupt(at, "the size of {} overflows", what);
    t.n_bytes = *bytes;
    at = pos_;
    t.offset = RLX_TRY(read<std::uint64_t>(what));
    if (t.offset % out_.alignment_ != 0) {
        return corrupt(
            at,
            "{} starts at data offset {}, no multiple of the alignment {}",
            what,
            t.offset,
            out_.alignment_
        );
    }
    return {};
}

// Turns data offsets into file offsets and checks that the tensors tile the data.
result<void> gguf_parser::place() {
    auto data = checked_align(pos_, out_.alignment_);
    out_.data_offset_ = data.value_or(UINT64_MAX);
    if (out_.tensors_.empty()) {
        out_.data_offset_ = std::min<std::uint64_t>(out_.data_offset_, bytes_.size());
        return {};
    }
    std::vector<gguf_tensor*> order;
    for (gguf_tensor& t : out_.tensors_)
        order.push_back(&t);
    std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) {
        return a->offset != b->offset ? a->offset < b->offset : a->n_bytes < b->n_bytes;
    });
    std::uint64_t next = 0; // data offset at which the next tensor must start
    const gguf_tensor* before = nullptr;
    for (gguf_tensor* t : order) {
        if (t->offset != next) {
            std::string_view who = before ? before->name : "the header";
            return corrupt(
                pos_,
                "tensor '{}' starts at data offset {}, expected {} after {}: {}",
                t->name,
                t->offset,
                next,
                who,
                t->offset < next ? "tensors overlap" : "there is a hole"
            );
        }
        auto start = checked_add(out_.data_offset_, t->offset);
        auto end = start ? checked_add(*start, t->n_bytes) : std::nullopt;
        if (!end || *end > bytes_.size()) {
            return corrupt(
                start.value_or(UINT64_MAX),
                "tensor '{}' of {} bytes reaches past the end of the file ({} bytes); the file is "
                "truncated, fetch it again",
                t->name,
                t->n_bytes,
                bytes_.size()
            );
        }
        auto padded = checked_align(t->offset + t->n_bytes, out_.alignment_);
        if (!padded) return corrupt(pos_, "the padding of tensor '{}' overflows", t->name);
        next = *padded;
        t->offset = *start;
        before = t;
    }
    return {};
}

const gguf_value* gguf_file::find(std::string_view key) const {
    auto at = by_key_.find(key);
    return at == by_key_.end() ? nullptr : &entries_[at->second].value;
}

result<gguf_file> gguf_file::parse(std::span<const std::byte> bytes, std::string name) {
    return gguf_parser(bytes, std::move(name)).run();
}

} // namespace rlx
