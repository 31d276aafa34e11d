// SPDX-License-Identifier: GPL-3.0-only
// Broken kernels of index arithmetic, images, signals and recurrent models.
#include "mutants.hpp"

#include "rlx/graph/ops.hpp"

#include <algorithm>
#include <cmath>

namespace optest {
namespace {

using ref::call;
using ref::results;
using ref::tensor;

class list {
public:
    explicit list(std::vector<mutant>& out) : out_(out) {}

    list& of(std::string_view name) {
        name_ = name;
        op_ = rlx::op_by_name(name)->id;
        return *this;
    }

    list& add(std::string what, std::function<results(const call&)> run) {
        out_.push_back({name_, op_, std::move(what), std::move(run), false});
        return *this;
    }

    list& careless() {
        out_.push_back({name_, op_, "an index outside is not noticed", unnoticed, true});
        return *this;
    }

    list& without_input(std::size_t i, const std::string& what) {
        return add(what + " ignored", [i](call c) {
            if (i < c.in.size()) c.in[i] = nullptr;
            return ref::compute(c);
        });
    }

    list& fixed(std::uint16_t key, double value, const std::string& what) {
        return add(what, [=](call c) {
            c.attrs[key].i = static_cast<std::int64_t>(value);
            c.attrs[key].f = value;
            return ref::compute(c);
        });
    }

    list& backwards(std::size_t i, const std::string& what) {
        return add(what + " read backwards", [i](call c) {
            tensor t;
            if (c.has(i)) {
                t = c.at(i);
                std::reverse(t.data.begin(), t.data.end());
                c.in[i] = &t;
            }
            return ref::compute(c);
        });
    }

    // The last element of the first result is off.
    list& last_element() {
        return add("the last element is not written", [](const call& c) {
            results y = ref::compute(c);
            if (y[0].size()) y[0].data.back() = ref::is_integer(y[0].dtype) ? 77 : NAN;
            return y;
        });
    }

    // The last output, the state that is handed on, is the one from before the last token.
    list& stale_state(std::size_t input) {
        return add("the state is handed on as it came", [input](const call& c) {
            results y = ref::compute(c);
            if (c.has(input)) y[1] = c.at(input);
            return y;
        });
    }

    list& one_sequence(std::size_t cu) {
        return add("sequences run into each other", [cu](call c) {
            tensor t = c.at(cu);
            for (std::size_t i = 1; i + 1 < t.size(); ++i)
                t.data[i] = t.data.back();
            c.in[cu] = &t;
            return ref::compute(c);
        });
    }

private:
    std::vector<mutant>& out_;
    std::string name_;
    std::uint16_t op_ = 0;
};

void arranged(list& l) {
    l.of("Flip").last_element().add("not turned round", [](const call& c) {
        return results{c.at(0)};
    });
    l.of("Random").last_element().add("the offset ignored", [](call c) {
        tensor zero = c.at(1);
        zero.data = {0, 0};
        c.in[1] = &zero;
        return ref::compute(c);
    });
    l.of("Gather").last_element().careless();
    l.of("ScatterRows")
        .careless()
        .fixed(RLX_ATTR_accumulate, 0, "never adds")
        .fixed(RLX_ATTR_accumulate, 1, "always adds");
    l.of("ScatterAlong")
        .careless()
        .fixed(RLX_ATTR_accumulate, 0, "never adds")
        .fixed(RLX_ATTR_accumulate, 1, "always adds");
    l.of("Sort")
        .last_element()
        .fixed(RLX_ATTR_descending, 0, "always ascending")
        .add("equal values change places", [](const call& c) {
            results y = ref::compute(c);
            for (std::size_t i = 1; i < y[0].size(); ++i)
                if (i % static_cast<std::size_t>(y[0].last()) && y[0].data[i] == y[0].data[i - 1])
                    std::swap(y[1].data[i], y[1].data[i - 1]);
            return y;
        });
    l.of("ArgReduce").last_element().add("the highest of equal ones", [](call c) {
        tensor t = c.at(0);
        const auto n = static_cast<double>(t.size());
        for (std::size_t i = 0; i < t.size(); ++i)
            t.data[i] += (c.i64(RLX_ATTR_kind) == RLX_REDUCE_MAX ? 1e-12 : -1e-12) *
                         static_cast<double>(i) / n;
        c.in[0] = &t;
        return ref::compute(c);
    });
    l.of("CumSum")
        .last_element()
        .fixed(RLX_ATTR_exclusive, 0, "never exclusive")
        .fixed(RLX_ATTR_reverse, 0, "never reverse");
    l.of("LogSumExp").last_element().add("a row of -inf gives NaN", [](const call& c) {
        results y = ref::compute(c);
        for (double& v : y[0].data)
            v = std::isinf(v) ? NAN : v;
        return y;
    });
    l.of("L2Norm")
        .last_element()
        .fixed(RLX_ATTR_kind, RLX_L2_MAX, "eps never added")
        .fixed(RLX_ATTR_eps, 0, "no eps");
    l.of("VqNearest").last_element().add("lengths of the rows ignored", [](call c) {
        tensor book = c.at(1);
        const auto d = static_cast<std::size_t>(book.last());
        for (std::size_t r = 0; r < book.rows(); ++r) {
            double n = 0;
            for (std::size_t i = 0; i < d; ++i)
                n += book.data[r * d + i] * book.data[r * d + i];
            for (std::size_t i = 0; i < d; ++i)
                book.data[r * d + i] /= std::sqrt(n) + 1e-9;
        }
        c.in[1] = &book;
        return ref::compute(c);
    });
}

void images(list& l) {
    l.of("Pool")
        .last_element()
        .fixed(RLX_ATTR_count_pad, 0, "padding is never counted")
        .fixed(RLX_ATTR_kind, RLX_POOL_MAX, "always the largest");
    l.of("Pool").add("padding counts as 0 for the largest", [](const call& c) {
        results y = ref::compute(c);
        if (c.i64(RLX_ATTR_kind) == RLX_POOL_MAX && c.given(RLX_ATTR_pad_lo))
            for (double& v : y[0].data)
                v = std::max(v, 0.0);
        return y;
    });
    l.of("Resize")
        .last_element()
        .without_input(1, "the steps")
        .fixed(RLX_ATTR_antialias, 0, "no antialias");
    l.of("Resize")
        .fixed(RLX_ATTR_coord, RLX_COORD_ASYMMETRIC, "asymmetric places")
        .fixed(RLX_ATTR_cubic, -0.75, "another cubic parameter")
        .fixed(RLX_ATTR_kind, RLX_RESIZE_NEAREST, "always the nearest")
        .fixed(RLX_ATTR_kind, RLX_RESIZE_LINEAR, "always linear");
    l.of("GridSample")
        .last_element()
        .fixed(RLX_ATTR_align, 0, "align ignored")
        .fixed(RLX_ATTR_pad, RLX_PAD_CONSTANT, "always zeros outside");
    for (const char* name : {"PixelShuffle", "PixelUnshuffle"})
        l.of(name).last_element().add("blocks are not mixed", [](const call& c) {
            results y = ref::compute(c);
            y[0].data = c.at(0).data;
            return y;
        });
    l.of("PatchEmbed").last_element().without_input(2, "the bias");
    l.of("Im2Col").last_element();
    l.of("Col2Im").last_element().add("overlaps are not added", [](const call& c) {
        results y = ref::compute(c);
        call ones = c;
        tensor one = c.at(0);
        std::fill(one.data.begin(), one.data.end(), 1);
        ones.in[0] = &one;
        const results n = ref::compute(ones);
        for (std::size_t i = 0; i < y[0].size(); ++i)
            if (n[0].data[i] > 1) y[0].data[i] /= n[0].data[i];
        return y;
    });
    l.of("WindowPartition")
        .last_element()
        .add("what is behind x is not cleared", [](const call& c) {
            results y = ref::compute(c);
            for (double& v : y[0].data)
                v = v == 0 ? 0.5 : v;
            return y;
        });
    l.of("WindowUnpartition").last_element();
    l.of("ChannelNorm").last_element().without_input(1, "the weight").without_input(2, "the bias");
}

void signals(list& l) {
    l.of("Fft").last_element().add("the inverse is not divided by n", [](const call& c) {
        results y = ref::compute(c);
        if (c.i64(RLX_ATTR_kind) == RLX_FFT_C2C_INVERSE)
            for (double& v : y[0].data)
                v *= static_cast<double>(c.at(0).dim(c.at(0).rank() - 2));
        return y;
    });
    l.of("Stft").last_element().without_input(1, "the window").backwards(1, "the window");
    l.of("Istft").last_element().without_input(1, "the window").backwards(1, "the window");
}

void recurrent(list& l) {
    l.of("CausalConv1d")
        .last_element()
        .without_input(3, "the bias")
        .without_input(4, "the state")
        .stale_state(4)
        .one_sequence(2)
        .careless();
    l.of("SelectiveScan")
        .last_element()
        .without_input(6, "skip")
        .without_input(7, "the state")
        .stale_state(7)
        .one_sequence(5)
        .careless();
    l.of("SsdScan")
        .last_element()
        .without_input(6, "skip")
        .without_input(7, "the state")
        .stale_state(7)
        .one_sequence(5)
        .careless();
    l.of("GatedDeltaRule")
        .last_element()
        .without_input(6, "the state")
        .stale_state(6)
        .one_sequence(5)
        .careless();
    l.of("GatedDeltaRule")
        .fixed(RLX_ATTR_tiled, 0, "never tiled")
        .fixed(RLX_ATTR_scale, 1, "no scale");
    l.of("LinearAttention")
        .last_element()
        .without_input(4, "the decay")
        .without_input(5, "the state")
        .stale_state(5)
        .one_sequence(3)
        .careless();
    l.of("LinearAttention")
        .fixed(RLX_ATTR_tiled, 0, "never tiled")
        .fixed(RLX_ATTR_scale, 1, "no scale");
    l.of("Rnn")
        .last_element()
        .without_input(4, "the second bias")
        .without_input(5, "h0")
        .without_input(6, "c0")
        .fixed(RLX_ATTR_reverse, 0, "never reverse");
    l.of("StateStore").careless().add("the last page is not written", [](const call& c) {
        results y = ref::compute(c);
        const tensor& pages = c.at(2);
        if (pages.size()) {
            auto& last = c.state->rows[static_cast<std::int64_t>(pages.data.back())].first;
            std::fill(last.begin(), last.end(), 0.0);
        }
        return y;
    });
    l.of("StateLoad").last_element();
    l.of("LoraMatMul")
        .last_element()
        .without_input(4, "the bias")
        .fixed(RLX_ATTR_scale, 1, "no scale");
}

} // namespace

void more_mutants(std::vector<mutant>& out) {
    list l(out);
    arranged(l);
    images(l);
    signals(l);
    recurrent(l);
}

} // namespace optest
