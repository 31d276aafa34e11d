// SPDX-License-Identifier: GPL-3.0-only
// com.example.relu2: max(x, 0)^2 for every element of x [...] f32, times `scale` (absent: 1).
#include <rlx/sdk.hpp>

namespace {

namespace sdk = rlx::sdk;

constexpr std::uint16_t key_scale = RLX_ATTR_CUSTOM;

struct relu2 {
    static constexpr sdk::op_info info{
        .name = "com.example.relu2", .description = "the square of what is above zero"};

    static sdk::status infer(sdk::op_shapes& s) {
        RLX_CHECK(s.attrs.only({key_scale}));
        if (s.in(0).dtype != RLX_F32)
            return sdk::fail(
                RLX_INVALID_ARGUMENT, "the input has type {}, expected f32", s.in(0).dtype
            );
        s.give(0, RLX_F32, s.dims(0));
        return {};
    }

    static sdk::status run(const sdk::op_tensors& t) {
        const auto x = t.in<float>(0);
        const auto y = t.out<float>(0);
        const auto scale = static_cast<float>(t.attrs.f64(key_scale, 1));
        for (std::size_t i = 0; i < y.size() && i < x.size(); ++i) {
            const float r = x[i] > 0 ? x[i] : 0;
            y[i] = r * r * scale;
        }
        return {};
    }
};

struct plugin {
    static constexpr std::uint16_t min_minor = 1; // as in plugin.json: older hosts refuse politely
    using ops = sdk::op_list<relu2>;
};

} // namespace

RLX_PLUGIN(plugin)
