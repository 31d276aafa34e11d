// SPDX-License-Identifier: GPL-3.0-only
// Conv and ConvTranspose.
#include "cases.hpp"

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

// d: N, C, L...; out; kernel.
void list_shapes(sink& s, bool transpose) {
    for (const auto& [d, k] :
         {std::pair{list{2, 6, 17}, list{3}},
          {list{1, 6, 67}, list{7}},
          {list{2, 6, 9}, list{1}},
          {list{2, 6, 9, 11}, list{3, 3}},
          {list{1, 6, 16, 16}, list{1, 1}},
          {list{1, 6, 13, 10}, list{2, 5}},
          {list{1, 6, 5, 6, 7}, list{3, 2, 3}}})
        for (const int groups : {1, 2, 6})
            for (const int bias : {0, 1})
                s.add(
                    {"f32"}, {{"d", d}, {"out", 12}, {"k", k}, {"groups", groups}, {"bias", bias}}
                );
    for (const char* t : plain_types)
        s.add({t}, {{"d", list{2, 4, 15}}, {"out", 5}, {"k", list{3}}, {"bias", 1}});
    const auto one = [&](list stride, list lo, list hi, list dilation, list extra) {
        s.add(
            {"f32"},
            {{"d", list{2, 3, 14}},
             {"out", 5},
             {"k", list{4}},
             {"stride", stride},
             {"lo", lo},
             {"hi", hi},
             {"dilation", dilation},
             {"extra", extra},
             {"bias", 1}}
        );
        s.add(
            {"f32"},
            {{"d", list{1, 3, 9, 8}},
             {"out", 4},
             {"k", list{3, 2}},
             {"stride", list{stride[0], 1}},
             {"lo", list{lo[0], 0}},
             {"hi", list{0, hi[0]}},
             {"dilation", list{1, dilation[0]}},
             {"extra", list{extra[0], 0}}}
        );
    };
    one({1}, {1}, {2}, {1}, {0});
    one({2}, {1}, {1}, {1}, {transpose ? 1 : 0});
    one({3}, {0}, {0}, {1}, {transpose ? 2 : 0});
    one({1}, {3}, {0}, {2}, {0});
    one({2}, {2}, {2}, {3}, {0});
    for (const char* v : {"perm", "slice"})
        s.add({"f32"}, {{"d", list{2, 4, 9, 7}}, {"out", 6}, {"k", list{3, 3}}, {"view", v}});
    s.add({"f32"}, {{"d", list{3, 4, 9}}, {"out", 6}, {"k", list{3}}, {"sym", 1}});
    for (const char* x : {"some_nan", "some_inf"}) {
        s.add({"f32"}, {{"d", list{3, 4, 29}}, {"out", 6}, {"k", list{3}}, {"x", x}});
        s.add({"f32"}, {{"d", list{2, 4, 9, 17}}, {"out", 6}, {"k", list{3, 3}}, {"x", x}});
    }
    s.add({"f32"}, {{"d", list{0, 4, 9}}, {"out", 6}, {"k", list{3}}});
    s.add(
        {"f32"},
        {{"d", list{1, 3, 28, 28}},
         {"out", 33},
         {"k", list{7, 7}},
         {"stride", list{7, 7}},
         {"bias", 1}}
    );
    if (!s.full) return;
    s.add(
        {"f32"},
        {{"d", list{2, 33, 65}}, {"out", 67}, {"k", list{5}}, {"lo", list{2}}, {"hi", list{2}}}
    );
    s.add(
        {"f32"},
        {{"d", list{1, 32, 31, 33}},
         {"out", 65},
         {"k", list{3, 3}},
         {"lo", list{1, 1}},
         {"hi", list{1, 1}}}
    );
}

void list_conv(sink& s) {
    list_shapes(s, false);
    // As long as the kernel: one result; shorter: none.
    s.add({"f32"}, {{"d", list{1, 2, 4}}, {"out", 3}, {"k", list{4}}});
    s.add({"f32"}, {{"d", list{1, 2, 0}}, {"out", 3}, {"k", list{1}}});
    s.add(
        {"f32"},
        {{"d", list{1, 2, 0}}, {"out", 3}, {"k", list{3}}, {"lo", list{2}}, {"hi", list{0}}}
    );
    s.add(
        {"f32"},
        {{"d", list{1, 2, 0}},
         {"out", 3},
         {"k", list{3}},
         {"lo", list{2}},
         {"hi", list{2}},
         {"bias", 1}}
    );
}

void list_transpose(sink& s) {
    list_shapes(s, true);
}

void build(model& m, std::uint32_t op) {
    const test_case& c = m.given();
    const axes d = shape_of(m);
    const std::int64_t groups = c.num("groups", 1), out = c.num("out"), in = d[1].n;
    list shape = op == RLX_OP_Conv ? list{out, in / groups} : list{in, out / groups};
    for (const std::int64_t k : c.list("k"))
        shape.push_back(k);
    const rlx_value x = m.operand("x", d);
    std::vector<rlx_value> args{x, m.weight("w", c.type(0, RLX_F32), shape)};
    if (c.num("bias")) args.push_back(m.weight("b", RLX_F32, {out}));
    std::vector<attr> attrs;
    if (c.has("stride")) attrs.emplace_back(RLX_ATTR_stride, c.list("stride"));
    if (c.has("lo")) attrs.emplace_back(RLX_ATTR_pad_lo, c.list("lo"));
    if (c.has("hi")) attrs.emplace_back(RLX_ATTR_pad_hi, c.list("hi"));
    if (c.has("dilation")) attrs.emplace_back(RLX_ATTR_dilation, c.list("dilation"));
    if (op == RLX_OP_ConvTranspose && c.has("extra"))
        attrs.emplace_back(RLX_ATTR_output_padding, c.list("extra"));
    if (groups > 1) attrs.emplace_back(RLX_ATTR_groups, groups);
    m.output(m.add(op, args, attrs));
}

void build_conv(model& m) {
    build(m, RLX_OP_Conv);
}

void build_transpose(model& m) {
    build(m, RLX_OP_ConvTranspose);
}

constexpr op_cases all[] = {
    {"Conv", list_conv, build_conv},
    {"ConvTranspose", list_transpose, build_transpose},
};

} // namespace

std::span<const op_cases> conv_cases() {
    return all;
}

} // namespace optest
