// SPDX-License-Identifier: GPL-3.0-only
// The builders of rlx/sdk/image.hpp and rlx/sdk/signal.hpp: the op they add, given its golden
// inputs, computes the golden result, so operands and attributes stand where they belong.
#include "golden.hpp"
#include "rlx/sdk/codec.hpp"
#include "rlx/sdk/image.hpp"
#include "rlx/sdk/signal.hpp"

#include <cmath>
#include <functional>

using namespace rlx::sdk;
using rlx::block_test::array;
using rlx::block_test::error_of;
using rlx::block_test::golden;
namespace cpu_test = rlx::cpu_test;

namespace {

using operands = std::vector<tensor>;
using forward = std::function<tensor(scope m, const operands& in)>;

// What build makes of these arrays. The weights are those of the module "m".
std::vector<float> computed(
    const std::vector<array>& in,
    const forward& build,
    std::size_t size,
    const std::map<std::string, array>& weights = {}
) {
    cpu_test::memory_weights files;
    for (const auto& [name, a] : weights)
        files.f32("m." + name, a.dims, a.v);
    cpu_test::net net(&files);
    sticky errors;
    graph_builder g(net.g->handle(), errors);
    operands values;
    for (std::size_t i = 0; i < in.size(); ++i)
        values.push_back(
            g.input("in" + std::to_string(i), in[i].whole ? RLX_I32 : RLX_F32, in[i].dims)
        );
    g.output("y", build(scope(g)["m"], values));
    EXPECT_TRUE(errors.ok()) << errors.done().error().message;
    if (!errors.ok()) return {};
    cpu_test::session s(net, cpu_test::setup{"baseline"});
    EXPECT_EQ(s.error, "");
    if (!s.error.empty()) return {};
    for (std::size_t i = 0; i < in.size(); ++i)
        in[i].whole ? s.set(values[i].id, in[i].ids) : s.set(values[i].id, in[i].v);
    const rlx_value y = net.g->find_output("y");
    EXPECT_EQ(s.run({}, {{y, size}}), "");
    return s.f32(y);
}

std::vector<array> golden_inputs(const std::string& file, const std::string& name) {
    std::vector<array> in;
    const auto& all = golden(file).tensors;
    for (int i = 0; all.contains(name + "/in" + std::to_string(i)); ++i)
        in.push_back(all.at(name + "/in" + std::to_string(i)));
    return in;
}

struct op_case {
    const char* file;
    const char* name;
    forward build;
    const char* result = "out";
};

void check(const std::vector<op_case>& cases) {
    for (const op_case& c : cases) {
        SCOPED_TRACE(c.name);
        const array& want = golden(c.file).tensors.at(std::string(c.name) + "/" + c.result);
        const auto got = computed(golden_inputs(c.file, c.name), c.build, want.v.size());
        EXPECT_LE(error_of(got, want.v), 1e-5);
    }
}

constexpr const char* image = "image_ops.safetensors";
constexpr const char* sequence = "sequence_ops.safetensors";
constexpr const char* index_ops = "index_ops.safetensors";

} // namespace

TEST(sdk_builders, pools) {
    const pool_options resnet{.kernel = 3, .stride = 2, .pad = 1};
    check({
        {image, "pool.max.2d", [](scope m, const operands& x) { return max_pool(m, x[0]); }},
        {image, "pool.max.resnet", [&](scope m, auto& x) { return max_pool(m, x[0], resnet); }},
        {image,
         "pool.max.ceil",
         [](scope m, auto& x) {
             return max_pool(m, x[0], {.kernel = 3, .stride = 2, .pad = 1, .ceil = true});
         }},
        {image, "pool.avg1.resnet", [&](scope m, auto& x) { return avg_pool(m, x[0], resnet); }},
        {image,
         "pool.avg0.resnet",
         [](scope m, auto& x) {
             return avg_pool(m, x[0], {.kernel = 3, .stride = 2, .pad = 1, .count_pad = false});
         }},
        {image, "pool.avg1.3d", [](scope m, auto& x) { return avg_pool(m, x[0], {.pad = 1}); }},
    });
}

TEST(sdk_builders, resampling) {
    check({
        {image,
         "resize.linear.14x22",
         [](scope m, auto& x) {
             return resize(m, x[0], {14, 22});
         }},
        {image,
         "resize.aligned.5x6",
         [](scope m, auto& x) {
             return resize(m, x[0], {5, 6}, {.coord = RLX_COORD_ALIGN_CORNERS});
         }},
        {image,
         "resize.cubic.25x3",
         [](scope m, auto& x) {
             return resize(m, x[0], {25, 3}, {.kind = RLX_RESIZE_CUBIC, .cubic = -0.75});
         }},
        {image,
         "resize.wide_cubic.5x6",
         [](scope m, auto& x) {
             return resize(m, x[0], {5, 6}, {.kind = RLX_RESIZE_CUBIC, .antialias = true});
         }},
        {image,
         "resize.scaled.linear",
         [](scope m, auto& x) {
             return resize(m, x[0], {11, 4}, {.steps = x[1]});
         }},
        {image,
         "resize.nearest.25x3",
         [](scope m, auto& x) {
             return resize_nearest(m, x[0], {25, 3});
         }},
        {image,
         "grid.bilinear.zeros0",
         [](scope m, auto& x) { return grid_sample(m, x[0], x[1]); }},
        {image,
         "grid.bicubic.reflection1",
         [](scope m, auto& x) {
             return grid_sample(
                 m, x[0], x[1], {.kind = RLX_RESIZE_CUBIC, .pad = RLX_PAD_REFLECT, .align = true}
             );
         }},
    });
}

TEST(sdk_builders, order_of_elements) {
    check({
        {image, "pixel_shuffle", [](scope m, auto& x) { return pixel_shuffle(m, x[0], 2); }},
        {image, "pixel_unshuffle", [](scope m, auto& x) { return pixel_unshuffle(m, x[0], 3); }},
        {index_ops, "flip.1", [](scope m, auto& x) { return flip(m, x[0], 1); }},
        {index_ops, "cum_sum.2", [](scope m, auto& x) { return cum_sum(m, x[0], 2); }},
        {index_ops,
         "random.wide2",
         [](scope m, auto& x) {
             return random(m, x[0], x[1], {2, 3, 5}, RLX_RANDOM_NORMAL);
         }},
    });
    // 2 x 2 windows of a 3 x 2 image with one channel: the second has zeros behind the image.
    const array x{{1, 3, 2, 1}, {1, 2, 3, 4, 5, 6}, {}, false};
    const auto cut = [](scope m, auto& in) { return window_partition(m, in[0], 2); };
    EXPECT_EQ(computed({x}, cut, 8), (std::vector<float>{1, 2, 3, 4, 5, 6, 0, 0}));
    const auto back = [](scope m, auto& in) {
        return window_unpartition(m, window_partition(m, in[0], 2), 2, 1, 3, 2);
    };
    EXPECT_EQ(computed({x}, back, 6), x.v);
}

TEST(sdk_builders, spectra) {
    const auto plain = [](scope m, auto& x) {
        return stft(m, x[0], x[1], {.n = 16, .hop = 4, .center = false});
    };
    check({
        {sequence, "stft.16", plain},
        {sequence, "istft.16", [](scope m, auto& x) { return istft(m, x[0], x[1], 16, 4, 4); }},
    });
    // Centred frames and back are the signal, as far as whole frames go.
    const auto in = golden_inputs(sequence, "stft.16");
    const auto there_and_back = [](scope m, auto& x) {
        return istft(m, stft(m, x[0], x[1], {.n = 16, .hop = 4}), x[1], 16, 4, 8);
    };
    std::vector<float> want;
    for (std::size_t row = 0; row < 2; ++row)
        want.insert(want.end(), in[0].v.begin() + 70 * row, in[0].v.begin() + 70 * row + 68);
    EXPECT_LE(error_of(computed(in, there_and_back, want.size()), want), 1e-5);
    const array waves{{1, 2, 2}, {3, 4, -1, 2}, {}, false};
    const auto power = [](scope m, auto& x) { return power_spectrum(m, x[0]); };
    EXPECT_EQ(computed({waves}, power, 2), (std::vector<float>{25, 5}));
}

TEST(sdk_builders, recurrences) {
    const auto in = golden_inputs(sequence, "rnn.plain");
    const std::map<std::string, array> weights = {
        {"weight_ih_l0", in[1]},
        {"weight_hh_l0", in[2]},
        {"weight_ih_l0_reverse", in[1]},
        {"weight_hh_l0_reverse", in[2]}};
    const rnn_options one{.kind = RLX_RNN_GRU, .hidden = 4, .bias = bias::none};
    const auto forward_only = [&](scope m, auto& x) { return rnn(m, x[0], one); };
    const auto& want = golden(sequence).tensors.at("rnn.plain/out").v;
    EXPECT_LE(error_of(computed({in[0]}, forward_only, want.size(), weights), want), 1e-5);
    // With equal weights the way back is the way there over the sequence turned around.
    const auto apart = [&](scope m, auto& x) {
        rnn_options both = one;
        both.bidirectional = true;
        const auto halves = split<2>(m, rnn(m, x[0], both), 2);
        return concat(
            m,
            {sub(m, halves[0], rnn(m, x[0], one)),
             sub(m, halves[1], flip(m, rnn(m, flip(m, x[0], 1), one), 1))},
            2
        );
    };
    for (const float d : computed({in[0]}, apart, 2 * want.size(), weights))
        EXPECT_NEAR(d, 0, 1e-6);
}

TEST(sdk_builders, scans) {
    const auto with_state = [](scope m, auto& x) {
        return causal_conv1d(m, x[0], x[1], x[2], x[3], x[4]);
    };
    const auto delta = [](const delta_options& o) {
        return [o](scope m, auto& x) {
            return gated_delta_rule(m, x[0], x[1], x[2], x[3], x[4], x[5], x[6], o);
        };
    };
    const auto tiled = delta({.scale = 0.5, .tiled = true}), grouped = delta({.scale = 0.5});
    check({
        {sequence, "causal_conv.state", [&](scope m, auto& x) { return with_state(m, x).y; }},
        {sequence,
         "causal_conv.state",
         [&](scope m, auto& x) { return with_state(m, x).state; },
         "out1"},
        {sequence, "delta.head1", [&](scope m, auto& x) { return tiled(m, x).y; }},
        {sequence, "delta.key0", [&](scope m, auto& x) { return grouped(m, x).y; }},
        {sequence, "delta.key0", [&](scope m, auto& x) { return grouped(m, x).state; }, "out1"},
    });
}

TEST(sdk_builders, leaky_relu_keeps_a_part_of_what_is_negative) {
    const array x{{4}, {-2, -0.5, 0, 3}, {}, false};
    const auto f = [](scope m, auto& in) { return leaky_relu(m, in[0], 0.25); };
    EXPECT_EQ(computed({x}, f, 4), (std::vector<float>{-0.5, -0.125, 0, 3}));
}

// Two channels, three steps, kernel 2, against the formula written out.
TEST(sdk_builders, convnext_block_is_its_formula) {
    const array x{{1, 2, 3}, {1, -2, 3, 0.5, 4, -1}, {}, false};
    const std::map<std::string, array> w = {
        {"dw.weight", {{2, 1, 2}, {0.5, 2, -1, 0.25}, {}, false}},
        {"dw.bias", {{2}, {0.1F, -0.2F}, {}, false}},
        {"norm.weight", {{2}, {1.5, 0.5}, {}, false}},
        {"norm.bias", {{2}, {0.2F, -0.1F}, {}, false}},
        {"pwconv1.weight", {{1, 2}, {0.7F, -0.4F}, {}, false}},
        {"pwconv1.bias", {{1}, {0.3F}, {}, false}},
        {"pwconv2.weight", {{2, 1}, {1.25, -0.5}, {}, false}},
        {"pwconv2.bias", {{2}, {0.05F, 0.15F}, {}, false}},
        {"gamma", {{2}, {0.9F, 1.1F}, {}, false}}};
    const auto at = [&](const char* name, std::size_t i) { return double(w.at(name).v[i]); };
    std::vector<float> want(6);
    for (std::size_t t = 0; t < 3; ++t) {
        double y[2];
        for (std::size_t c = 0; c < 2; ++c) {
            const double before = t > 0 ? double(x.v[3 * c + t - 1]) : 0;
            y[c] = at("dw.weight", 2 * c) * before +
                   at("dw.weight", 2 * c + 1) * double(x.v[3 * c + t]) + at("dw.bias", c);
        }
        const double mean = (y[0] + y[1]) / 2, half = (y[0] - y[1]) / 2;
        double h = at("pwconv1.bias", 0);
        for (std::size_t c = 0; c < 2; ++c) {
            const double n = (y[c] - mean) / std::sqrt(half * half + 1e-6);
            h += at("pwconv1.weight", c) * (n * at("norm.weight", c) + at("norm.bias", c));
        }
        h *= 0.5 * (1 + std::erf(h / std::sqrt(2.0)));
        for (std::size_t c = 0; c < 2; ++c)
            want[3 * c + t] = static_cast<float>(
                double(x.v[3 * c + t]) +
                at("gamma", c) * (at("pwconv2.weight", c) * h + at("pwconv2.bias", c))
            );
    }
    const auto f = [](scope m, auto& in) { return convnext_block(m, in[0], 2, 1e-6, "dw"); };
    EXPECT_LE(error_of(computed({x}, f, 6, w), want), 1e-5);
}
