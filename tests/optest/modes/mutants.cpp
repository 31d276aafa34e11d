// SPDX-License-Identifier: GPL-3.0-only
#include "mutants.hpp"

#include "rlx/graph/ops.hpp"

#include <algorithm>
#include <cmath>

namespace optest {
namespace {

using ref::call;
using ref::results;
using ref::tensor;

// The call without input i.
results without(call c, std::size_t i) {
    if (i < c.in.size()) c.in[i] = nullptr;
    return ref::compute(c);
}

results with(call c, std::uint16_t key, std::int64_t value) {
    c.attrs[key].i = value;
    c.attrs[key].f = static_cast<double>(value);
    return ref::compute(c);
}

results with_list(call c, std::uint16_t key, std::int64_t value) {
    for (std::int64_t& v : c.attrs[key].list)
        v = value;
    return ref::compute(c);
}

// Input i changed by f first.
results changed(call c, std::size_t i, const std::function<void(tensor&)>& f) {
    if (!c.has(i)) return ref::compute(c);
    tensor t = c.at(i);
    f(t);
    c.in[i] = &t;
    return ref::compute(c);
}

results swapped(call c, std::size_t a, std::size_t b) {
    if (c.has(a) && c.has(b) && c.in[a]->shape == c.in[b]->shape) std::swap(c.in[a], c.in[b]);
    return ref::compute(c);
}

// Rows as a kernel in tiles of 8 leaves them when the last, partial tile is off by one: its last
// element is not written.
void short_tile(tensor& t, std::size_t tile) {
    const auto n = static_cast<std::size_t>(t.last());
    if (n == 0 || n % tile == 0) return;
    for (std::size_t r = 0; r < t.rows(); ++r)
        t.data[r * n + n - 1] = ref::is_integer(t.dtype) ? 77 : NAN;
}

// The last row is what the row before it was.
void stale_row(tensor& t) {
    const auto n = static_cast<std::size_t>(t.last());
    const std::size_t rows = t.rows();
    for (std::size_t i = 0; rows > 1 && i < n; ++i)
        t.data[(rows - 1) * n + i] = t.data[(rows - 2) * n + i];
}

using after = void (*)(tensor&);

std::function<results(const call&)> then(after f) {
    return [f](const call& c) {
        results y = ref::compute(c);
        for (tensor& t : y)
            f(t);
        return y;
    };
}

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
        return add(what + " ignored", [i](const call& c) { return without(c, i); });
    }

    list& fixed(std::uint16_t key, std::int64_t value, const std::string& what) {
        return add(what, [=](const call& c) { return with(c, key, value); });
    }

    list& tiles() {
        add("the last element of a partial tile is not written",
            then([](tensor& t) { short_tile(t, 8); }));
        return add("the last row is stale", then(stale_row));
    }

private:
    std::vector<mutant>& out_;
    std::string name_;
    std::uint16_t op_ = 0;
};

void zero_tail(tensor& t, std::size_t tile) {
    const auto n = static_cast<std::size_t>(t.last());
    for (std::size_t r = 0; r < t.rows(); ++r)
        for (std::size_t i = n / tile * tile; i < n; ++i)
            t.data[r * n + i] = 0;
}

// Ties go to the highest index.
results last_of_ties(const call& c) {
    const tensor& x = c.at(0);
    const auto n = static_cast<std::size_t>(x.last());
    results y = changed(c, 0, [&](tensor& t) {
        for (std::size_t r = 0; r < t.rows(); ++r)
            std::reverse(
                t.data.begin() + static_cast<std::ptrdiff_t>(r * n),
                t.data.begin() + static_cast<std::ptrdiff_t>((r + 1) * n)
            );
    });
    for (double& i : y.back().data)
        i = static_cast<double>(n) - 1 - i;
    return y;
}

void moved(list& l) {
    // Rows of one value, and a single row, have nothing that could be stale.
    for (const char* name : {"Fill", "Arange"})
        l.of(name).add("the last element of a partial tile is not written", then([](tensor& t) {
                           short_tile(t, 8);
                       }));
    for (const char* name : {"Copy", "Concat", "Pad", "Cast"})
        l.of(name).tiles();
    l.of("Concat").add("the second part repeats the first", [](call c) {
        if (c.in.size() > 1 && c.in[1]->shape == c.in[0]->shape) c.in[1] = c.in[0];
        return ref::compute(c);
    });
    l.of("Pad").add("reflect repeats the edge", [](const call& c) {
        return c.i64(RLX_ATTR_kind) == RLX_PAD_REFLECT ? with(c, RLX_ATTR_kind, RLX_PAD_REPLICATE)
                                                       : ref::compute(c);
    });
    l.of("Pad").fixed(RLX_ATTR_value, 0, "the constant is 0");
    l.of("Cast").add("floats round to integers instead of being cut", [](const call& c) {
        return ref::is_integer(static_cast<std::uint16_t>(c.i64(RLX_ATTR_dtype))) &&
                       !ref::is_integer(c.at(0).dtype)
                   ? changed(
                         c,
                         0,
                         [](tensor& t) {
                             for (double& v : t.data)
                                 v = std::nearbyint(v * 1.0);
                         }
                     )
                   : ref::compute(c);
    });
    l.of("Reshape").add("the last row is stale", then(stale_row));
    l.of("Permute").add("axes are not permuted", [](const call& c) {
        tensor y = ref::compute(c)[0];
        y.data = c.at(0).data;
        return results{y};
    });
    l.of("Slice").add("starts one too early", [](const call& c) {
        call d = c;
        if (c.i64(RLX_ATTR_start) > 0) --d.attrs[RLX_ATTR_start].i, --d.attrs[RLX_ATTR_stop].i;
        return ref::compute(d);
    });
    l.of("Broadcast").add("the last row is stale", [](const call& c) {
        results y = ref::compute(c);
        if (y[0].size()) y[0].data.back() += 1;
        return y;
    });
}

void indexed(list& l) {
    l.of("GatherRows").tiles().careless().add("one row too far", [](const call& c) {
        const double n = static_cast<double>(c.at(0).dim(0));
        return changed(c, 1, [n](tensor& t) {
            for (double& v : t.data)
                v = std::min(v + 1, n - 1);
        });
    });
    l.of("TakeAlong").tiles().careless();
    l.of("TopK")
        .tiles()
        .add("ties go to the highest index", last_of_ties)
        .add("ascending", [](const call& c) {
            results y = ref::compute(c);
            for (tensor& t : y) {
                const auto k = static_cast<std::ptrdiff_t>(t.last());
                for (std::size_t r = 0; k && r < t.rows(); ++r)
                    std::reverse(
                        t.data.begin() + static_cast<std::ptrdiff_t>(r) * k,
                        t.data.begin() + static_cast<std::ptrdiff_t>(r + 1) * k
                    );
            }
            return y;
        });
}

void elementwise(list& l) {
    for (const char* name :
         {"Unary", "Binary", "Compare", "Select", "Clamp", "Affine", "Glu", "Snake", "Modulate"})
        l.of(name).tiles();
    l.of("Unary").add("gelu is the tanh form", [](const call& c) {
        return c.i64(RLX_ATTR_kind) == RLX_UNARY_GELU ? with(c, RLX_ATTR_kind, RLX_UNARY_GELU_TANH)
                                                      : ref::compute(c);
    });
    l.of("Unary").add("exp ends at 88", [](const call& c) {
        return c.i64(RLX_ATTR_kind) != RLX_UNARY_EXP ? ref::compute(c)
                                                     : changed(c, 0, [](tensor& t) {
                                                           for (double& v : t.data)
                                                               v = std::min(v, 80.0);
                                                       });
    });
    const auto flat = [](const call& c) {
        // The second operand read as if it had the first one's shape: wrong wherever it broadcasts.
        results y = ref::compute(c);
        call d = c;
        tensor b = c.at(1);
        if (b.size() == y[0].size() || b.size() < 2) return y;
        std::rotate(b.data.begin(), b.data.begin() + 1, b.data.end());
        d.in[1] = &b;
        return ref::compute(d);
    };
    l.of("Binary").add("wrong broadcast", flat).add("operands swapped", [](const call& c) {
        return swapped(c, 0, 1);
    });
    l.of("Binary").add("i32 division rounds down", [](const call& c) {
        results y = ref::compute(c);
        if (c.i64(RLX_ATTR_kind) == RLX_BINARY_DIV && y[0].dtype == RLX_I32)
            for (double& v : y[0].data)
                v = v < 0 ? v - 1 : v;
        return y;
    });
    l.of("Compare").add("wrong broadcast", flat).add("less is less or equal", [](const call& c) {
        return c.i64(RLX_ATTR_kind) == RLX_COMPARE_LT ? with(c, RLX_ATTR_kind, RLX_COMPARE_LE)
                                                      : ref::compute(c);
    });
    l.of("Select").add("branches swapped", [](const call& c) { return swapped(c, 1, 2); });
    l.of("Clamp").fixed(RLX_ATTR_hi, 1, "the upper limit is 1");
    l.of("Affine").fixed(RLX_ATTR_shift, 0, "the shift is 0");
    l.of("Glu").add("gate and up swapped", [](const call& c) { return swapped(c, 0, 1); });
    l.of("Snake").without_input(2, "beta").fixed(RLX_ATTR_log, 0, "log ignored");
    for (std::size_t i = 1; i < 5; ++i)
        l.of("Modulate").without_input(i, "operand " + std::to_string(i));
}

void rows(list& l) {
    for (const char* name : {"Reduce", "Softmax", "RmsNorm", "LayerNorm", "GroupNorm"})
        l.of(name).add("the last row is stale", then(stale_row));
    l.of("Reduce").add("the tail of a row is not summed", [](const call& c) {
        return c.axis() + 1 == c.at(0).rank() ? changed(c, 0, [](tensor& t) { zero_tail(t, 8); })
                                              : ref::compute(c);
    });
    l.of("Reduce").add("an empty axis gives 0", [](const call& c) {
        results y = ref::compute(c);
        for (double& v : y[0].data)
            v = std::isinf(v) ? 0 : v;
        return y;
    });
    l.of("Softmax").add("a row of -inf gives NaN", [](const call& c) {
        results y = ref::compute(c);
        for (std::size_t i = 0; i < y[0].size(); ++i)
            if (std::isinf(c.at(0).data[i])) y[0].data[i] = NAN;
        return y;
    });
    l.of("Softmax").add("the maximum is not taken off", [](const call& c) {
        results y = ref::compute(c);
        for (std::size_t i = 0; i < y[0].size(); ++i)
            if (c.at(0).data[i] > 88) y[0].data[i] = NAN;
        return y;
    });
    l.of("Softmax").tiles();
    l.of("RmsNorm")
        .without_input(1, "the weight")
        .fixed(RLX_ATTR_weight_offset, 0, "the offset ignored")
        .fixed(RLX_ATTR_eps, 1, "another eps");
    l.of("LayerNorm")
        .without_input(1, "the weight")
        .without_input(2, "the bias")
        .fixed(RLX_ATTR_eps, 1, "another eps");
    l.of("GroupNorm")
        .without_input(1, "the weight")
        .without_input(2, "the bias")
        .fixed(RLX_ATTR_groups, 1, "one group");
}

void products(list& l) {
    for (const char* name : {"MatMul", "GroupedMatMul", "BatchMatMul", "MoeCombine"})
        l.of(name).tiles();
    l.of("MatMul")
        .without_input(2, "the bias")
        .add("the tail of k is not summed", [](const call& c) {
            return changed(c, 0, [](tensor& t) { zero_tail(t, 16); });
        });
    l.of("MatMul").add("the last block of a packed row is not read", [](const call& c) {
        return !ref::is_packed(c.at(1).dtype) ? ref::compute(c) : changed(c, 0, [](tensor& t) {
            const auto n = static_cast<std::size_t>(t.last());
            for (std::size_t r = 0; r < t.rows(); ++r)
                for (std::size_t i = n - 32; i < n; ++i)
                    t.data[r * n + i] = 0;
        });
    });
    l.of("GroupedMatMul").careless().add("every token goes to the first expert", [](const call& c) {
        return changed(c, 2, [](tensor& t) {
            for (double& v : t.data)
                v = 0;
        });
    });
    l.of("BatchMatMul").add("the second operand does not broadcast", [](const call& c) {
        return changed(c, 1, [](tensor& t) {
            if (t.size() > 1) std::rotate(t.data.begin(), t.data.begin() + 1, t.data.end());
        });
    });
    l.of("MoeRoute")
        .fixed(RLX_ATTR_normalise, 0, "not normalised")
        .fixed(RLX_ATTR_scale, 1, "not scaled");
    l.of("MoeRoute").add("a row of -inf gives NaN", [](const call& c) {
        results y = ref::compute(c);
        for (std::size_t i = 0; i < y[0].size(); ++i)
            if (y[0].data[i] == 0) y[0].data[i] = NAN;
        return y;
    });
    l.of("MoeRoute").add("ties go to the highest id", last_of_ties);
    l.of("MoeRoute").fixed(RLX_ATTR_normalise, 1, "softmax over the chosen ones alone");
    l.of("GroupedMatMul").add("the second expert of a token is its first", [](const call& c) {
        return changed(c, 2, [](tensor& t) {
            const auto k = static_cast<std::size_t>(t.last());
            for (std::size_t i = 0; i < t.size(); ++i)
                t.data[i] = t.data[i / k * k];
        });
    });
    l.of("MoeCombine").add("weights ignored", [](const call& c) {
        return changed(c, 1, [](tensor& t) {
            for (double& v : t.data)
                v = 1;
        });
    });
}

// Where there is a window, it shows one key more.
results wider(const call& c) {
    const std::int64_t window = c.given(RLX_ATTR_window) ? c.i64(RLX_ATTR_window) : 0;
    return window > 0 ? with(c, RLX_ATTR_window, window + 1) : ref::compute(c);
}

void positions(list& l) {
    l.of("RopeTable")
        .without_input(1, "the factors")
        .fixed(RLX_ATTR_scaling, 0, "no scaling")
        .add("sine and cosine swapped", [](const call& c) {
            results y = ref::compute(c);
            const auto n = static_cast<std::ptrdiff_t>(y[0].last());
            for (auto p = y[0].data.begin(); p != y[0].data.end(); p += n)
                std::rotate(p, p + n / 2, p + n);
            return y;
        });
    l.of("RopeTable")
        .fixed(RLX_ATTR_truncate, 1, "always truncates")
        .add(
            "lengths of the first token for all",
            [](const call& c) {
                return changed(c, 2, [](tensor& t) {
                    for (double& v : t.data)
                        v = t.data.front();
                });
            }
        )
        .fixed(RLX_ATTR_attention_factor, 1, "no attention factor");
    l.of("Rope").fixed(RLX_ATTR_pairing, 0, "always half-split").tiles();
    for (const char* name : {"Attention", "RaggedAttention", "AttentionState"})
        l.of(name)
            .fixed(RLX_ATTR_window, 0, "no window")
            .fixed(RLX_ATTR_softcap, 0, "no softcap")
            .tiles();
    l.of("Attention").without_input(3, "the mask").fixed(RLX_ATTR_causal, 0, "not causal");
    l.of("Attention").add("a hidden row gives NaN", [](const call& c) {
        results y = ref::compute(c);
        const auto n = static_cast<std::size_t>(y[0].last());
        for (std::size_t r = 0; n && r < y[0].rows(); ++r)
            if (c.has(3) && y[0].data[r * n] == 0) y[0].data[r * n] = NAN;
        return y;
    });
    l.of("RaggedAttention")
        .without_input(4, "the bias")
        .fixed(RLX_ATTR_causal, 0, "not causal")
        .careless();
    l.of("RaggedAttention").add("sequences see each other", [](const call& c) {
        return changed(c, 3, [](tensor& t) {
            for (std::size_t i = 1; i + 1 < t.size(); ++i)
                t.data[i] = 0;
        });
    });
    l.of("Attention").add("a window is one key too wide", wider);
    l.of("AttentionState").careless().add("a window is one key too wide", wider);
    l.of("RaggedAttention").add("a window is one key too wide", wider);
    l.of("KvAppend").careless().add("the last token is not written", [](const call& c) {
        const auto row = c.state->rows;
        ref::compute(c);
        const tensor& slots = c.at(3);
        if (slots.size() > 1)
            c.state->rows[static_cast<std::int64_t>(slots.data.back())] =
                c.state->rows[static_cast<std::int64_t>(slots.data[0])];
        return results{tensor()};
    });
}

void convolutions(list& l) {
    for (const char* name : {"Conv", "ConvTranspose"}) {
        l.of(name).without_input(2, "the bias").tiles();
        l.add("dilation ignored", [](const call& c) {
            results want = ref::compute(c);
            results y = with_list(c, RLX_ATTR_dilation, 1);
            y[0].shape = want[0].shape;
            y[0].data.resize(want[0].size());
            return y;
        });
        l.add("the kernel is mirrored", [](const call& c) {
            return changed(c, 1, [](tensor& t) { std::reverse(t.data.begin(), t.data.end()); });
        });
    }
}

} // namespace

const std::vector<mutant>& mutants() {
    static const std::vector<mutant> all = [] {
        std::vector<mutant> out;
        list l(out);
        moved(l);
        indexed(l);
        elementwise(l);
        rows(l);
        products(l);
        positions(l);
        convolutions(l);
        more_mutants(out);
        return out;
    }();
    return all;
}

} // namespace optest
