// SPDX-License-Identifier: GPL-3.0-only
// Pool, Resize, GridSample, PixelShuffle and back, PatchEmbed, Im2Col and back, windows and back,
// ChannelNorm.
#include "cases.hpp"

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

std::vector<attr> window_attrs(const test_case& c) {
    std::vector<attr> out{{RLX_ATTR_kernel, c.list("k")}};
    for (const auto& [name, key] :
         {std::pair{"stride", RLX_ATTR_stride},
          {"lo", RLX_ATTR_pad_lo},
          {"hi", RLX_ATTR_pad_hi},
          {"dilation", RLX_ATTR_dilation}})
        if (c.has(name)) out.emplace_back(static_cast<std::uint16_t>(key), c.list(name));
    return out;
}

void list_pool(sink& s) {
    for (const int kind : {RLX_POOL_MAX, RLX_POOL_AVG})
        for (const int ceil : {0, 1})
            for (const int count_pad : {0, 1}) {
                const auto one = [&](list d, list k, list stride, list lo, list hi) {
                    s.add(
                        {{"kind", kind},
                         {"ceil", ceil},
                         {"count_pad", count_pad},
                         {"d", d},
                         {"k", k},
                         {"stride", stride},
                         {"lo", lo},
                         {"hi", hi}}
                    );
                };
                one({2, 3, 17}, {3}, {2}, {1}, {1});
                one({2, 3, 16}, {3}, {2}, {1}, {0});
                one({1, 3, 7, 9}, {3, 2}, {2, 3}, {1, 0}, {1, 1});
                one({1, 2, 5, 6, 7}, {2, 2, 3}, {2, 1, 2}, {0, 1, 1}, {1, 0, 1});
                one({1, 2, 8}, {2}, {5}, {0}, {0});
                s.add(
                    {{"kind", kind},
                     {"ceil", ceil},
                     {"count_pad", count_pad},
                     {"d", list{1, 3, 8, 8}},
                     {"k", list{2, 2}}}
                );
            }
    s.add(
        {{"kind", RLX_POOL_MAX},
         {"d", list{2, 3, 17}},
         {"k", list{3}},
         {"stride", list{1}},
         {"dilation", list{2}},
         {"view", "perm"}}
    );
    s.add({{"kind", RLX_POOL_AVG}, {"d", list{3, 3, 17}}, {"k", list{3}}, {"sym", 1}});
    s.add({{"kind", RLX_POOL_MAX}, {"d", list{2, 3, 2}}, {"k", list{3}}});
}

void build_pool(model& m) {
    const test_case& c = m.given();
    auto attrs = window_attrs(c);
    attrs.emplace_back(RLX_ATTR_kind, c.num("kind"));
    attrs.emplace_back(RLX_ATTR_ceil, c.num("ceil"));
    attrs.emplace_back(RLX_ATTR_count_pad, c.num("count_pad"));
    m.output(m.add(RLX_OP_Pool, {m.operand("x", shape_of(m))}, attrs));
}

void list_resize(sink& s) {
    const auto both = [&](list d, list to, std::vector<arg> more) {
        for (const int kind : {RLX_RESIZE_NEAREST, RLX_RESIZE_LINEAR, RLX_RESIZE_CUBIC})
            for (const int coord :
                 {RLX_COORD_HALF_PIXEL, RLX_COORD_ALIGN_CORNERS, RLX_COORD_ASYMMETRIC}) {
                if (kind == RLX_RESIZE_NEAREST && coord == RLX_COORD_ALIGN_CORNERS) continue;
                std::vector<arg> a{{"d", d}, {"to", to}, {"kind", kind}, {"coord", coord}};
                a.insert(a.end(), more.begin(), more.end());
                s.add(a);
            }
    };
    both({2, 3, 7, 9}, {14, 18}, {});
    both({1, 2, 16, 13}, {5, 31}, {});
    both({1, 2, 11}, {23}, {});
    both({1, 1, 3, 4, 5}, {5, 4, 3}, {});
    both({1, 2, 5, 5}, {1, 5}, {});
    both({1, 2, 1, 5}, {4, 3}, {});
    both({1, 2, 9, 8}, {6, 12}, {{"view", "perm"}});
    for (const int kind : {RLX_RESIZE_LINEAR, RLX_RESIZE_CUBIC})
        for (const auto& to : {list{7, 5}, list{30, 9}, list{16, 13}, list{1, 1}})
            s.add({{"d", list{2, 3, 16, 13}}, {"to", to}, {"kind", kind}, {"antialias", 1}});
    for (const int kind : {RLX_RESIZE_NEAREST, RLX_RESIZE_LINEAR, RLX_RESIZE_CUBIC})
        s.add({{"d", list{1, 2, 7, 9}}, {"to", list{15, 18}}, {"kind", kind}, {"steps", 1}});
    s.add(
        {{"d", list{1, 2, 7, 9}},
         {"to", list{15, 18}},
         {"kind", RLX_RESIZE_CUBIC},
         {"cubic", "-0.5"}}
    );
    s.add({{"d", list{3, 2, 7, 9}}, {"to", list{15, 18}}, {"kind", RLX_RESIZE_LINEAR}, {"sym", 1}});
    s.add({{"d", list{1, 2, 0, 9}}, {"to", list{3, 4}}, {"kind", RLX_RESIZE_LINEAR}});
    s.add({{"d", list{1, 2, 4, 9}}, {"to", list{0, 4}}, {"kind", RLX_RESIZE_LINEAR}});
}

void build_resize(model& m) {
    const test_case& c = m.given();
    std::vector<rlx_value> in{m.operand("x", shape_of(m))};
    if (c.num("steps")) in.push_back(m.input("steps", RLX_F32, {2}, {0.4701, 0.5}));
    std::vector<attr> attrs{
        {RLX_ATTR_kind, c.num("kind")},
        {RLX_ATTR_dims, c.list("to")},
        {RLX_ATTR_coord, c.num("coord")}};
    if (c.num("antialias")) attrs.emplace_back(RLX_ATTR_antialias, 1);
    if (c.has("cubic")) attrs.emplace_back(RLX_ATTR_cubic, c.real("cubic"));
    m.output(m.add(RLX_OP_Resize, in, attrs));
}

void list_grid(sink& s) {
    for (const int kind : {RLX_RESIZE_NEAREST, RLX_RESIZE_LINEAR, RLX_RESIZE_CUBIC})
        for (const int pad : {RLX_PAD_CONSTANT, RLX_PAD_REPLICATE, RLX_PAD_REFLECT})
            for (const int align : {0, 1})
                for (const auto& d : {list{2, 3, 7, 9}, list{1, 2, 1, 5}})
                    s.add(
                        {{"d", d},
                         {"to", list{5, 6}},
                         {"kind", kind},
                         {"pad", pad},
                         {"align", align}}
                    );
    s.add(
        {{"d", list{2, 3, 7, 9}},
         {"to", list{5, 6}},
         {"kind", RLX_RESIZE_LINEAR},
         {"pad", RLX_PAD_CONSTANT},
         {"view", "perm"}}
    );
}

void build_grid(model& m) {
    const test_case& c = m.given();
    const axes d = shape_of(m);
    const list to = c.list("to");
    const rlx_value x = m.operand("x", d);
    std::vector<double> places(static_cast<std::size_t>(d[0].n * to[0] * to[1] * 2));
    for (double& v : places)
        v = m.rng().in(-1.7, 1.7); // beyond both ends too
    const rlx_value grid = m.input("grid", RLX_F32, {d[0], to[0], to[1], 2}, places);
    m.output(m.add(
        RLX_OP_GridSample,
        {x, grid},
        {{RLX_ATTR_kind, c.num("kind")},
         {RLX_ATTR_pad, c.num("pad")},
         {RLX_ATTR_align, c.num("align")}}
    ));
}

void list_shuffle(sink& s) {
    for (const int b : {1, 2, 3})
        for (const char* v : {"none", "perm", "slice"})
            s.add({{"d", list{2, 18 * b * b, 6, 6}}, {"block", b}, {"view", v}});
    s.add({{"d", list{3, 36, 6, 12}}, {"block", 2}, {"sym", 1}});
    s.add({{"d", list{0, 36, 6, 12}}, {"block", 2}});
}

void build_shuffle(model& m) {
    m.output(m.add(
        RLX_OP_PixelShuffle,
        {m.operand("x", shape_of(m))},
        {{RLX_ATTR_block, m.given().num("block")}}
    ));
}

void build_unshuffle(model& m) {
    m.output(m.add(
        RLX_OP_PixelUnshuffle,
        {m.operand("x", shape_of(m))},
        {{RLX_ATTR_block, m.given().num("block")}}
    ));
}

void list_patch(sink& s) {
    for (const char* t : plain_types)
        s.add({t}, {{"d", list{2, 3, 8, 12}}, {"k", list{4, 4}}, {"out", 17}, {"bias", 1}});
    s.add({"f32"}, {{"d", list{1, 3, 15, 14}}, {"k", list{4, 3}}, {"out", 33}});
    s.add({"f32"}, {{"d", list{2, 3, 17}}, {"k", list{4}}, {"out", 8}, {"bias", 1}});
    s.add({"f32"}, {{"d", list{2, 2, 4, 6, 5}}, {"k", list{2, 3, 2}}, {"out", 9}});
    s.add({"f32"}, {{"d", list{2, 3, 8, 12}}, {"k", list{4, 4}}, {"out", 16}, {"view", "perm"}});
    s.add({"f32"}, {{"d", list{3, 3, 8, 12}}, {"k", list{4, 4}}, {"out", 16}, {"sym", 1}});
}

void build_patch(model& m) {
    const test_case& c = m.given();
    const axes d = shape_of(m);
    list w{c.num("out"), d[1].n};
    for (const std::int64_t k : c.list("k"))
        w.push_back(k);
    std::vector<rlx_value> in{m.operand("x", d), m.weight("w", c.type(0, RLX_F32), w)};
    if (c.num("bias")) in.push_back(m.weight("b", RLX_F32, {c.num("out")}));
    m.output(m.add(RLX_OP_PatchEmbed, in));
}

void list_columns(sink& s) {
    for (const char* v : {"none", "perm"}) {
        s.add({{"d", list{2, 3, 17}}, {"k", list{4}}, {"view", v}});
        s.add(
            {{"d", list{2, 3, 17}},
             {"k", list{3}},
             {"stride", list{2}},
             {"lo", list{1}},
             {"hi", list{2}},
             {"dilation", list{2}},
             {"view", v}}
        );
        s.add(
            {{"d", list{1, 2, 7, 9}},
             {"k", list{3, 2}},
             {"stride", list{2, 1}},
             {"lo", list{1, 0}},
             {"hi", list{0, 1}},
             {"view", v}}
        );
        s.add({{"d", list{1, 2, 4, 5, 6}}, {"k", list{2, 2, 3}}, {"view", v}});
    }
    s.add({{"d", list{0, 3, 17}}, {"k", list{4}}});
    s.add({{"d", list{3, 3, 17}}, {"k", list{4}}, {"sym", 1}});
}

void build_im2col(model& m) {
    m.output(m.add(RLX_OP_Im2Col, {m.operand("x", shape_of(m))}, window_attrs(m.given())));
}

void build_col2im(model& m) {
    const test_case& c = m.given();
    const axes d = shape_of(m);
    const list k = c.list("k");
    axes shape{d[0], d[1], static_cast<std::int64_t>(ref::count(k))};
    list dims;
    for (std::size_t i = 0; i < k.size(); ++i) {
        const auto at = [&](const char* key, std::int64_t otherwise) {
            const list v = c.list(key);
            return v.empty() ? otherwise : v[i];
        };
        const std::int64_t room =
            d[2 + i].n + at("lo", 0) + at("hi", 0) - at("dilation", 1) * (k[i] - 1);
        shape.push_back((room + at("stride", 1) - 1) / at("stride", 1));
        dims.push_back(d[2 + i].n);
    }
    auto attrs = window_attrs(c);
    attrs.emplace_back(RLX_ATTR_dims, dims);
    m.output(m.add(RLX_OP_Col2Im, {m.operand("x", shape)}, attrs));
}

void list_windows(sink& s) {
    for (const auto& d :
         {list{2, 8, 12, 5}, list{1, 7, 9, 3}, list{2, 3, 3, 4}, list{1, 14, 14, 16}})
        for (const auto& k : {list{4, 4}, list{7, 5}, list{1, 1}})
            s.add({{"d", d}, {"k", k}});
    s.add({{"d", list{2, 7, 9, 3}}, {"k", list{4, 4}}, {"view", "perm"}});
    s.add({{"d", list{3, 7, 9, 3}}, {"k", list{4, 4}}, {"sym", 1}});
}

void build_partition(model& m) {
    m.output(m.add(
        RLX_OP_WindowPartition,
        {m.operand("x", shape_of(m))},
        {{RLX_ATTR_kernel, m.given().list("k")}}
    ));
}

void build_unpartition(model& m) {
    const list d = m.given().list("d"), k = m.given().list("k");
    const std::int64_t per = ((d[1] + k[0] - 1) / k[0]) * ((d[2] + k[1] - 1) / k[1]);
    const rlx_value x = m.operand("x", {d[0] * per, k[0], k[1], d[3]});
    m.output(m.add(
        RLX_OP_WindowUnpartition,
        {x},
        {{RLX_ATTR_dims, list{d[0], d[1], d[2]}}, {RLX_ATTR_kernel, k}}
    ));
}

void list_channel_norm(sink& s) {
    for (const char* t : plain_types)
        for (const auto& d : {list{2, 6, 5, 7}, list{1, 17, 9}, list{3, 8}, list{2, 64, 3, 3}})
            for (const int p : {0, 1, 2})
                s.add({t}, {{"d", d}, {"p", p}});
    s.add({"f32"}, {{"d", list{2, 6, 5, 7}}, {"p", 2}, {"view", "perm"}});
    s.add({"f32"}, {{"d", list{3, 6, 5, 7}}, {"p", 2}, {"sym", 1}});
    s.add({"f32"}, {{"d", list{0, 6, 5}}, {"p", 2}});
}

void build_channel_norm(model& m) {
    const axes d = shape_of(m);
    std::vector<rlx_value> in{m.operand("x", d)};
    const std::uint16_t t = m.given().type(0, RLX_F32);
    if (m.given().num("p") > 0) in.push_back(m.weight("w", t, {d[1].n}, numbers::positive));
    if (m.given().num("p") > 1) in.push_back(m.weight("b", t, {d[1].n}));
    m.output(m.add(RLX_OP_ChannelNorm, in, {{RLX_ATTR_eps, 1e-5}}));
}

constexpr op_cases all[] = {
    {"Pool", list_pool, build_pool},
    {"Resize", list_resize, build_resize},
    {"GridSample", list_grid, build_grid},
    {"PixelShuffle", list_shuffle, build_shuffle},
    {"PixelUnshuffle", list_shuffle, build_unshuffle},
    {"PatchEmbed", list_patch, build_patch},
    {"Im2Col", list_columns, build_im2col},
    {"Col2Im", list_columns, build_col2im},
    {"WindowPartition", list_windows, build_partition},
    {"WindowUnpartition", list_windows, build_unpartition},
    {"ChannelNorm", list_channel_norm, build_channel_norm},
};

} // namespace

std::span<const op_cases> image_cases() {
    return all;
}

} // namespace optest
