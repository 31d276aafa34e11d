// SPDX-License-Identifier: GPL-3.0-only
// Rules of transforms and of what remembers from token to token.
#include "rules.hpp"
#include "windows.hpp"

#include <cmath>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

constexpr std::int64_t longest_transform = std::int64_t{1} << 24;

result<std::int64_t> length_of(rule_context& c, dim n) {
    if (n < 1 || n > longest_transform)
        return c.fail(
            fmt::format("length n is {}, expected a number from 1 to 2^24", c.dims.text(n))
        );
    return n;
}

result<std::int64_t> hop_of(rule_context& c) {
    const std::int64_t hop = c.attrs.i64(RLX_ATTR_hop);
    if (hop < 1 || hop > longest_transform) return c.fail(fmt::format("hop is {}", hop));
    return hop;
}

result<void> check_window(rule_context& c, std::int64_t n) {
    if (!c.has(1)) return {};
    const std::string expected = fmt::format("a window [{}]", n);
    RLX_CHECK(c.parameter(1));
    RLX_CHECK(c.rank(1, 1, expected));
    return c.same(n, c.in(1).dims[0], 1, expected);
}

} // namespace

result<void> rule_fft(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_FFT_R2C, RLX_FFT_C2C_INVERSE));
    const std::int64_t kind = c.attrs.i64(RLX_ATTR_kind);
    std::vector<dim> shape = c.in(0).dims;
    const bool real_input = kind == RLX_FFT_R2C;
    if (shape.size() < (real_input ? 1 : 2) || (!real_input && shape.back() != 2))
        return c.bad(0, real_input ? "[..., n]" : "[..., n, 2]");
    if ((c.attrs.find(RLX_ATTR_n) != nullptr) != (kind == RLX_FFT_C2R))
        return c.fail("attribute n is what the kind C2R needs, and no other takes");
    if (real_input) {
        const std::int64_t n = RLX_TRY(length_of(c, shape.back()));
        if (shape.size() == RLX_MAX_RANK) return c.bad(0, "a result of at most 8 axes");
        shape.back() = n / 2 + 1;
        shape.push_back(2);
        return c.give(RLX_F32, std::move(shape));
    }
    if (kind != RLX_FFT_C2R) {
        (void)RLX_TRY(length_of(c, shape[shape.size() - 2]));
        return c.give(RLX_F32, std::move(shape));
    }
    const std::int64_t n = RLX_TRY(length_of(c, c.attrs.i64(RLX_ATTR_n)));
    shape.pop_back();
    RLX_CHECK(c.same(n / 2 + 1, shape.back(), 0, fmt::format("[..., {}, 2]", n / 2 + 1)));
    shape.back() = n;
    return c.give(RLX_F32, std::move(shape));
}

result<void> rule_stft(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.rank(0, 2, "[N, L]"));
    const std::int64_t n = RLX_TRY(length_of(c, c.attrs.i64(RLX_ATTR_n)));
    const std::int64_t hop = RLX_TRY(hop_of(c));
    RLX_CHECK(check_window(c, n));
    const std::vector<dim> x = c.in(0).dims;
    const dim frames = RLX_TRY(whole_windows(c.dims, x[1], n, hop));
    RLX_CHECK(c.extent(frames, "the number of frames"));
    return c.give(RLX_F32, {x[0], frames, n / 2 + 1, 2});
}

result<void> rule_istft(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    const std::int64_t n = RLX_TRY(length_of(c, c.attrs.i64(RLX_ATTR_n)));
    const std::int64_t hop = RLX_TRY(hop_of(c)), trim = c.attrs.i64(RLX_ATTR_trim);
    if (trim < 0 || trim > n) return c.fail(fmt::format("trim is {}, expected 0 to {}", trim, n));
    RLX_CHECK(check_window(c, n));
    const std::vector<dim> x = c.in(0).dims;
    const std::string expected = fmt::format("[N, M, {}, 2]", n / 2 + 1);
    RLX_CHECK(c.rank(0, 4, expected));
    RLX_CHECK(c.same(n / 2 + 1, x[2], 0, expected));
    RLX_CHECK(c.same(2, x[3], 0, expected));
    RLX_CHECK(c.at_most(1, x[1], "a frame"));
    const dim steps = RLX_TRY(c.dims.mul(x[1], hop));
    const dim padded = RLX_TRY(c.dims.add(steps, n));
    const dim length = RLX_TRY(c.dims.sub(padded, hop + 2 * trim));
    RLX_CHECK(c.extent(length, "the output"));
    return c.give(RLX_F32, {x[0], length});
}

} // namespace rlx::ir
