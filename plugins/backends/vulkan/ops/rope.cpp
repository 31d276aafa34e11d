// SPDX-License-Identifier: GPL-3.0-only
// RopeTable and Rope: shaders/rope_table.comp, rope.comp. Frequencies are computed here, with the
// scalings of transformers' modeling_rope_utils and YaRN (arXiv:2309.00071), rounded to f32 where
// the reference rounds them.
#include "ops/list.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rlx::vulkan {

namespace {

constexpr double pi = 3.14159265358979323846;

struct rope_scaling {
    explicit rope_scaling(const node_view& n)
        : kind(n.i64(RLX_ATTR_scaling)), dim(n.i64(RLX_ATTR_dim)),
          base(n.real(RLX_ATTR_base, 10000)), factor(n.real(RLX_ATTR_factor, 1)),
          original_max(static_cast<double>(n.i64(RLX_ATTR_original_max))),
          low(n.real(RLX_ATTR_low_freq_factor, 1)), high(n.real(RLX_ATTR_high_freq_factor, 4)) {
        if (kind != RLX_ROPE_YARN) return;
        const auto at = [&](double turns) {
            return static_cast<double>(dim) * std::log(original_max / (turns * 2 * pi)) /
                   (2 * std::log(base));
        };
        first = at(n.real(RLX_ATTR_beta_fast, 32));
        last = at(n.real(RLX_ATTR_beta_slow, 1));
        if (n.i64(RLX_ATTR_truncate, 1) != 0) {
            first = std::floor(first);
            last = std::ceil(last);
        }
        first = std::max(first, 0.0);
        last = std::min(last, static_cast<double>(dim - 1));
        if (first == last) last += 0.001;
    }

    double exponent(std::int64_t j) const { // rounded as the reference does
        return static_cast<double>(static_cast<float>(2 * j) / static_cast<float>(dim));
    }

    float frequency(std::int64_t j) const {
        const auto power = static_cast<float>(std::pow(base, exponent(j)));
        const float plain = 1.0f / power, scale = static_cast<float>(factor);
        if (kind == RLX_ROPE_LINEAR) return plain / scale;
        if (kind == RLX_ROPE_YARN) {
            const auto x = static_cast<float>((static_cast<double>(j) - first) / (last - first));
            const float ramp = std::clamp(x, 0.0f, 1.0f);
            return 1.0f / (scale * power) * ramp + plain * (1.0f - ramp);
        }
        if (kind != RLX_ROPE_LLAMA3) return plain;
        const auto old = static_cast<float>(original_max), lo = static_cast<float>(low),
                   hi = static_cast<float>(high);
        const float wave = static_cast<float>(2 * pi) / plain;
        if (wave > old / lo) return plain / scale;
        if (wave < old / hi) return plain;
        const float smooth = (old / wave - lo) / (hi - lo);
        return (1.0f - smooth) * plain / scale + smooth * plain;
    }

    std::int64_t kind, dim;
    double base, factor, original_max, low, high;
    double first = 0, last = 1; // YARN: where the ramp begins and ends
};

struct rope_table_step final : step {
    struct constants {
        std::uint32_t n, half_dim, p0, p_stride, i0, divided, d0, d_stride, t0;
        float factor;
        std::uint32_t l0, l_stride, longest, growth[2]; // DYNAMIC
    };

    std::vector<float> inverse;
    std::vector<double> exponents; // DYNAMIC
    plain_weight* inverse_weight = nullptr;

    bool dynamic() const { return n.view.i64(RLX_ATTR_scaling) == RLX_ROPE_DYNAMIC; }

    status prepare(program& p) override {
        const rope_scaling s(n.view);
        for (std::int64_t j = 0; j < s.dim / 2; ++j) {
            inverse.push_back(s.frequency(j));
            exponents.push_back(s.exponent(j) * std::log(s.base));
        }
        for (std::int64_t j = 0; j < s.dim / 2; ++j)
            exponents.push_back(
                s.exponent(j) * static_cast<double>(s.dim) / static_cast<double>(s.dim - 2)
            );
        plain_weight w;
        w.constant = {inverse.data(), inverse.size() * 4};
        if (dynamic()) w.constant = {exponents.data(), exponents.size() * 8};
        w.bytes = w.constant.n;
        inverse_weight = p.weights.add(w);
        return want_plain(p, n);
    }

    status record(recorder& r) override {
        const tensor &positions = *n.in[0], &y = *n.out[0];
        if (y.count == 0) return {};
        program& p = r.prog();
        const slice sp = RLX_TRY(p.at(positions)), sy = RLX_TRY(p.at(y));
        const slice si = RLX_TRY(p.at(
            p.weights.buffer(inverse_weight->block), inverse_weight->at, inverse_weight->bytes, 4
        ));
        slice sd;
        constants c{};
        if (const tensor* d = n.input(1)) {
            sd = RLX_TRY(p.at(*d));
            c.d0 = sd.first;
            c.divided = 1;
            c.d_stride = u32(d->stride[0]);
        }
        c.n = u32(positions.count);
        c.half_dim = u32(y.last() / 2);
        c.p0 = sp.first;
        c.p_stride = u32(positions.stride[0]);
        c.i0 = si.first;
        c.t0 = sy.first;
        slice sl;
        if (dynamic()) {
            const tensor& lengths = *n.in[2];
            sl = RLX_TRY(p.at(lengths));
            c.l0 = sl.first;
            c.l_stride = u32(lengths.stride[0]);
            c.longest = u32(n.view.i64(RLX_ATTR_original_max));
            const double growth = n.view.real(RLX_ATTR_factor, 1);
            std::memcpy(c.growth, &growth, sizeof growth);
        }
        const double factor = n.view.real(RLX_ATTR_factor, 1);
        const bool yarn = n.view.i64(RLX_ATTR_scaling) == RLX_ROPE_YARN && factor > 1;
        c.factor = static_cast<float>(
            n.view.real(RLX_ATTR_attention_factor, yarn ? 0.1 * std::log(factor) + 1 : 1)
        );
        return r.dispatch(
            dynamic() ? "rope_table_dynamic" : "rope_table",
            {},
            {reads(sp), reads(si), reads(sd), writes(sy), reads(sl)},
            c,
            {groups_of(y.count / 2)}
        );
    }
};

struct rope_step final : step {
    struct constants {
        std::uint32_t n, heads, size, dim, interleaved, x0, t0, y0, x_token, x_head, t_token;
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        const tensor &x = *n.in[0], &table = *n.in[1], &y = *n.out[0];
        if (y.count == 0) return {};
        const slice sx = RLX_TRY(r.prog().at(x)), st = RLX_TRY(r.prog().at(table));
        const slice sy = RLX_TRY(r.prog().at(y));
        constants c{};
        c.n = u32(y.count);
        c.heads = u32(x.dim[1]);
        c.size = u32(x.dim[2]);
        c.dim = u32(table.dim[1]);
        c.interleaved = u32(n.view.i64(RLX_ATTR_pairing));
        c.x0 = sx.first;
        c.t0 = st.first;
        c.y0 = sy.first;
        c.x_token = u32(x.stride[0]);
        c.x_head = u32(x.stride[1]);
        c.t_token = u32(table.stride[0]);
        return r.dispatch("rope", {}, {reads(sx), reads(st), writes(sy)}, c, {groups_of(y.count)});
    }
};

} // namespace

const char* why_RopeTable(const node& n, const program& p) {
    if (n.in[0]->dtype != RLX_I32) return "positions must be i32";
    if (n.input(1) && !f32_like(p, n.in[1])) return "frequency factors must be f32";
    if (n.view.i64(RLX_ATTR_scaling) == RLX_ROPE_DYNAMIC) {
        if (!n.input(2) || n.in[2]->dtype != RLX_I32) return "lengths must be i32";
        if (!p.g.facts().has_f64) return "frequencies that depend on lengths need shaderFloat64";
    }
    return nullptr;
}

const char* why_Rope(const node& n, const program& p) {
    if (n.in[0]->rank != 3) return "x must be [T, heads, dim]";
    if (!n.in[0]->straight()) return "heads of x must be contiguous";
    if (!n.in[1]->straight()) return "the table's rows must be contiguous";
    return all_f32(n, p);
}

std::unique_ptr<step> make_RopeTable() {
    return make_step<rope_table_step>();
}

std::unique_ptr<step> make_Rope() {
    return make_step<rope_step>();
}

} // namespace rlx::vulkan
