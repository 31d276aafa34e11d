// SPDX-License-Identifier: GPL-3.0-only
#include "windows.hpp"

#include <fmt/format.h>

namespace rlx::ir {

result<std::array<std::int64_t, 3>> read_numbers(
    rule_context& c, std::uint32_t key, std::size_t n, std::int64_t least, std::int64_t absent
) {
    std::array<std::int64_t, 3> out{};
    out.fill(absent);
    if (!c.attrs.find(key)) return out;
    const auto list = c.attrs.list(key);
    if (list.size() != n || n > out.size())
        return c.fail(fmt::format(
            "attribute {} has {} entries for {} spatial axes", attr_name(key), list.size(), n
        ));
    constexpr std::int64_t most = std::int64_t{1} << 31;
    for (std::size_t i = 0; i < n; i++) {
        if (list[i] < least || list[i] > most)
            return c.fail(
                fmt::format("attribute {} holds {}, expected >= {}", attr_name(key), list[i], least)
            );
        out[i] = list[i];
    }
    return out;
}

result<window_numbers> read_windows(rule_context& c, std::size_t n) {
    window_numbers w;
    w.n = n;
    w.kernel = RLX_TRY(read_numbers(c, RLX_ATTR_kernel, n, 1, 1));
    w.stride = RLX_TRY(read_numbers(c, RLX_ATTR_stride, n, 1, 1));
    w.lo = RLX_TRY(read_numbers(c, RLX_ATTR_pad_lo, n, 0, 0));
    w.hi = RLX_TRY(read_numbers(c, RLX_ATTR_pad_hi, n, 0, 0));
    w.dilation = RLX_TRY(read_numbers(c, RLX_ATTR_dilation, n, 1, 1));
    return w;
}

result<dim> whole_windows(dim_table& d, dim length, dim kernel, std::int64_t stride) {
    const dim places = RLX_TRY(d.sub(length, kernel - 1));
    return d.apply(RLX_DIM_CEIL_DIV, places, stride);
}

result<dim>
window_count(dim_table& d, const window_numbers& w, std::size_t axis, dim length, bool up) {
    const dim span = RLX_TRY(d.mul(w.dilation[axis], w.kernel[axis] - 1));
    const dim padded = RLX_TRY(d.add(length, w.lo[axis] + w.hi[axis]));
    const dim places = RLX_TRY(d.sub(padded, span));
    const std::int64_t stride = w.stride[axis];
    if (!up) return d.apply(RLX_DIM_CEIL_DIV, places, stride);
    const dim more = RLX_TRY(d.add(places, stride - 1));
    const dim all = RLX_TRY(d.apply(RLX_DIM_CEIL_DIV, more, stride));
    const dim starts = RLX_TRY(d.add(length, w.lo[axis]));
    return d.apply(RLX_DIM_MIN, all, RLX_TRY(d.apply(RLX_DIM_CEIL_DIV, starts, stride)));
}

} // namespace rlx::ir
