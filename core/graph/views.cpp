// SPDX-License-Identifier: GPL-3.0-only
#include "views.hpp"

#include <algorithm>

namespace rlx::ir {

result<std::vector<dim>> contiguous_strides(dim_table& d, std::span<const dim> dims) {
    std::vector<dim> s(dims.size());
    dim step = 1;
    for (std::size_t i = dims.size(); i-- > 0;) {
        s[i] = step;
        step = RLX_TRY(d.mul(step, dims[i])); // the last one checks the size of the whole
    }
    return s;
}

result<bool> is_contiguous(dim_table& d, std::span<const dim> dims, std::span<const dim> strides) {
    if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return true;
    const std::vector<dim> want = RLX_TRY(contiguous_strides(d, dims));
    for (std::size_t i = 0; i < dims.size(); i++)
        if (dims[i] != 1 && strides[i] != want[i]) return false;
    return true;
}

result<std::optional<std::vector<dim>>> reshape_strides(
    dim_table& d, std::span<const dim> dims, std::span<const dim> strides, std::span<const dim> to
) {
    using answer_t = std::optional<std::vector<dim>>;
    if (RLX_TRY(is_contiguous(d, dims, strides)))
        return answer_t(RLX_TRY(contiguous_strides(d, to)));
    std::vector<dim> out(to.size());
    std::size_t next = to.size(); // axes of `to` not yet placed
    std::vector<std::size_t> axes;
    for (std::size_t i = 0; i < dims.size(); i++)
        if (dims[i] != 1) axes.push_back(i);
    // From the inside out, runs of axes that step like one axis; each must be filled by whole new
    // axes.
    for (std::size_t a = axes.size(); a > 0;) {
        const dim base = strides[axes[a - 1]];
        dim run = dims[axes[--a]];
        while (a > 0 && strides[axes[a - 1]] == RLX_TRY(d.mul(strides[axes[a]], dims[axes[a]])))
            run = RLX_TRY(d.mul(run, dims[axes[--a]]));
        dim filled = 1;
        while (next > 0 && (filled != run || to[next - 1] == 1)) {
            out[next - 1] = RLX_TRY(d.mul(base, filled));
            filled = RLX_TRY(d.mul(filled, to[--next]));
        }
        if (filled != run) return answer_t();
    }
    // All elements are placed: axes that are left have one entry (in every run that passes the
    // guards).
    for (std::size_t i = 0; i < next; i++)
        out[i] = 1;
    return answer_t(std::move(out));
}

} // namespace rlx::ir
