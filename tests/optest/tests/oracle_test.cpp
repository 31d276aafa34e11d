// SPDX-License-Identifier: GPL-3.0-only
// The oracle against numpy and torch where the text has a convention, and its types against the
// core's.
#include "cases/cases.hpp"
#include "engine/judge.hpp"
#include "modes/modes.hpp"
#include "modes/mutants.hpp"

#include "rlx/formats/dequant.hpp"
#include "rlx/graph/ops.hpp"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace optest {
namespace {

using nlohmann::json;

std::uint16_t attr_key(const rlx::op_desc& op, const std::string& name) {
    for (const rlx::attr_desc& a : op.attrs)
        if (a.name == name) return a.key;
    ADD_FAILURE() << op.name << " has no attribute " << name;
    return 0;
}

ref::tensor tensor_of(const json& j) {
    ref::tensor t(type_named(j.at("dtype").get<std::string>()), j.at("shape").get<ref::dims>());
    t.data = j.at("data").get<std::vector<double>>();
    return t;
}

ref::attribute attribute_of(const json& j) {
    ref::attribute a;
    if (j.is_array()) {
        a.list = j.get<ref::dims>();
    } else {
        a.f = j.get<double>();
        a.i = static_cast<std::int64_t>(a.f);
    }
    return a;
}

// Largest difference; infinity when shapes or types differ, or where one alone is no number.
double off(const ref::tensor& got, const ref::tensor& want) {
    if (got.shape != want.shape || got.dtype != want.dtype) return INFINITY;
    double worst = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
        const double g = got.data[i], w = want.data[i];
        if (g == w || (std::isnan(g) && std::isnan(w))) continue;
        if (!std::isfinite(g) || !std::isfinite(w)) return INFINITY;
        worst = std::max(worst, std::abs(g - w));
    }
    return worst;
}

TEST(oracle, that_gives_no_number_is_off_a_golden) {
    ref::tensor want(RLX_F32, {2}), got(RLX_F32, {2});
    EXPECT_EQ(off(got, want), 0);
    got.data[1] = NAN;
    EXPECT_EQ(off(got, want), INFINITY);
    EXPECT_EQ(off(want, got), INFINITY);
    EXPECT_EQ(off(got, got), 0);
}

TEST(oracle, agrees_with_torch_and_numpy_on_every_convention) {
    std::ifstream file(OPTEST_GOLDENS);
    const json doc = json::parse(file);
    for (const json& e : doc.at("entries")) {
        const rlx::op_desc* op = rlx::op_by_name(e.at("op").get<std::string>());
        ASSERT_TRUE(op);
        ref::call c;
        c.op = op->id;
        for (const auto& [name, value] : e.at("attrs").items())
            c.attrs[attr_key(*op, name)] = attribute_of(value);
        std::vector<ref::tensor> in;
        for (const json& t : e.at("in"))
            in.push_back(t.is_null() ? ref::tensor() : tensor_of(t));
        for (std::size_t i = 0; i < in.size(); ++i)
            c.in.push_back(e.at("in")[i].is_null() ? nullptr : &in[i]);
        const ref::results got = ref::compute(c);
        for (std::size_t i = 0; i < e.at("out").size(); ++i)
            EXPECT_LE(off(got.at(i), tensor_of(e.at("out")[i])), 2e-5)
                << op->name << " " << e.at("attrs").dump() << " output " << i;
    }
}

// Random123's known answer for philox4x32-10, counter 0, key 0: 6627e8d5 e169c58d bc57ac4c
// 9b00dbd8.
TEST(oracle, random_numbers_are_philox) {
    const ref::tensor zero(RLX_I32, {2});
    ref::call c;
    c.op = RLX_OP_Random;
    c.in = {&zero, &zero};
    c.attrs[RLX_ATTR_dims].list = {4};
    c.attrs[RLX_ATTR_kind].i = RLX_RANDOM_UNIFORM;
    const ref::tensor y = ref::compute(c)[0];
    const std::uint32_t words[] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_EQ(y.data[i], (words[i] >> 8) * 0x1p-24);
}

TEST(oracle, reads_packed_blocks_as_the_core_does) {
    random_numbers rng(5);
    for (const char* name : packed_types) {
        const std::uint16_t type = type_named(name);
        constexpr std::size_t n = 1024;
        std::vector<std::uint8_t> bytes(ref::bytes_of(type, n));
        for (auto& b : bytes)
            b = static_cast<std::uint8_t>(rng.bits() & 0x3f); // halves stay finite
        std::vector<float> want(n);
        ASSERT_TRUE(rlx::dequantize(type, bytes.data(), n, want.data()).ok()) << name;
        const auto got = ref::decode(type, bytes.data(), n);
        for (std::size_t i = 0; i < n; ++i)
            ASSERT_NEAR(got[i], want[i], 1e-6 * (std::abs(want[i]) + 1))
                << name << " element " << i;
    }
}

TEST(oracle, halves_and_brain_floats_go_there_and_back) {
    for (const std::uint16_t type : {RLX_F16, RLX_BF16})
        for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
            const auto half = static_cast<std::uint16_t>(bits);
            const double x = ref::decode(type, &half, 1)[0];
            if (std::isnan(x)) continue;
            const auto back = ref::encode(type, {x});
            ASSERT_EQ(std::memcmp(back.data(), &half, 2), 0) << type << " " << bits;
        }
    EXPECT_EQ(ref::round_to(RLX_F16, 2049), 2048); // to even
    EXPECT_EQ(ref::round_to(RLX_F16, 2051), 2052);
    EXPECT_TRUE(std::isinf(ref::round_to(RLX_F16, 65520)));
}

TEST(op_set, every_op_has_an_oracle_and_cases_that_build) {
    for (const rlx::op_desc& op : rlx::op_list()) {
        if (op.id == RLX_OP_Custom) continue; // the plugin brings its reference
        EXPECT_TRUE(ref::knows(op.id)) << op.name;
        const auto cases = list_cases(cases_of(op.name), false);
        EXPECT_GE(cases.size(), 5u) << op.name;
    }
}

TEST(cases, a_line_is_all_a_replay_needs) {
    for (const op_cases& of : all_cases())
        for (const test_case& t : list_cases(of, false)) {
            EXPECT_EQ(parse_case(t.line()).line(), t.line());
            EXPECT_GT(t.seed, 0u) << t.line();
        }
    EXPECT_THROW(parse_case("MatMul"), usage);
    EXPECT_THROW(parse_case("MatMul(q9_K,seed=1)"), usage);
    EXPECT_THROW(parse_case("MatMul(f32,seed=x)"), usage);
    EXPECT_THROW(cases_of("MatMull"), usage);
}

// One wrong row among a hundred right ones is small in the sum of squares, and seen all the same.
TEST(judge, sees_one_wrong_row_and_what_is_no_number) {
    ref::tensor want(RLX_F32, {100, 10});
    for (std::size_t i = 0; i < want.size(); ++i)
        want.data[i] = i / 10 == 50 ? 1e-3 : 1;
    ref::tensor got = want;
    const limit l{"", "", "", 1e-3, 1e-2, 0, false};
    EXPECT_EQ(judge(got, want, l).why, "");
    got.data[505] = 2e-3;
    EXPECT_NE(judge(got, want, l).why, "");
    got = want;
    got.data[3] = NAN;
    EXPECT_NE(judge(got, want, l).why, "");
    want.data[3] = NAN;
    EXPECT_EQ(judge(got, want, l).why, "");
    want.data[3] = INFINITY;
    EXPECT_NE(judge(got, want, l).why, "");
}

TEST(limits, exact_ops_have_no_tolerance) {
    for (const char* op : {"Copy", "Concat", "TopK", "TakeAlong", "Compare", "Cast"})
        EXPECT_EQ(limit_for(op, false, "auto").max, 0) << op;
    EXPECT_EQ(limit_for("no such op", false, "f32").op, "*");
}

TEST(report, success_is_a_case_that_passed) {
    const options o{};
    report skipped(o), mixed(o), failed(o), decomposed(o), nothing(o);
    skipped.add("MatMul(f32,seed=1)", {verdict::skipped, "no kernel"});
    EXPECT_EQ(skipped.end(), 4);
    mixed.add("MatMul(f32,seed=1)", {verdict::skipped, "no kernel"});
    mixed.add("Copy(f32,seed=1)", {});
    EXPECT_EQ(mixed.end(), 0);
    failed.add("MatMul(f32,seed=1)", {verdict::skipped, "no kernel"});
    failed.add("Copy(f32,seed=1)", {verdict::failed, "wrong", true});
    EXPECT_EQ(failed.end(), 1);
    decomposed.add("L2Norm(f32,seed=1)", {verdict::passed, "decomposed: no kernel", true});
    testing::internal::CaptureStdout();
    EXPECT_EQ(decomposed.end(), 0);
    const std::string said = testing::internal::GetCapturedStdout();
    EXPECT_NE(said.find("decomposed: 1 cases"), said.npos) << said;
    EXPECT_NE(said.find("\n1 passed, 0 failed\n"), said.npos) << said;
    nothing.add("Copy(f32,seed=1)", {verdict::none, "no case of this mode"});
    EXPECT_EQ(nothing.end(), 4);
}

// Each line, and the word its refusal must name.
TEST(cases, a_typed_line_is_refused_by_the_argument_that_is_wrong) {
    offer_weights();
    const std::pair<const char*, const char*> lines[] = {
        {"Conv()", "'d' is missing"},
        {"Conv(f32,seed=1)", "'d' is missing"},
        {"Conv(f32,x=1,d=1x3x9,out=2,k=3)", "'x=1'"},
        {"Attention(q=1x1)", "'q' has 2 entries, expected 7"},
        {"Attention(q=1x1x1x0x1x4x4)", "'q'"},
        {"MatMul(f32,f32,m=-1,k=3,n=2)", "'m' is -1"},
        {"MatMul(f32,f32,m=1,k=3,n=99999999999)", "'n'"},
        {"MatMul(f32,f32,zz=1,k=3,n=2)", "'zz' is unknown"},
        {"MatMul(f32,f32,m=1,n=2)", "'k' is missing"},
        {"MatMul(f32,f32,f32,m=1,k=3,n=2)", "element types"},
        {"MatMul(q4_K,f32,m=1,k=3,n=2)", "blocks"},
        {"Reshape()", "missing"},
        {"Conv(d=1x3x9,out=2,k=3)", "element types"},
        {"Softmax(axis=7,d=2x3)", "axis"},
        {"Softmax(axis=0,d=2x3,view=foo)", "'view'"},
    };
    for (const auto& [line, word] : lines)
        try {
            check_case(parse_case(line));
            ADD_FAILURE() << line << " is taken for a case";
        } catch (const usage& u) {
            EXPECT_NE(u.why.find(word), u.why.npos) << line << ": " << u.why;
        }
}

TEST(cases, every_listed_line_may_be_typed) {
    offer_weights();
    for (const op_cases& of : all_cases())
        for (const test_case& t : list_cases(of, false))
            EXPECT_NO_THROW(check_case(t)) << t.line();
}

// The mutant of a check that is missing has to run: one that refuses as it should is no mutant.
TEST(mutate, a_kernel_that_refuses_wrong_indices_is_not_caught) {
    const mutant careful{"GatherRows", RLX_OP_GatherRows, "as it is", ref::compute, true};
    const mutant careless{"GatherRows", RLX_OP_GatherRows, "goes on", unnoticed, true};
    offer_weights();
    int seen = 0;
    for (const test_case& t : list_cases(cases_of("GatherRows"), false)) {
        if (!t.has("bad")) continue;
        ++seen;
        EXPECT_EQ(caught(t, careful, "f32"), std::optional(false)) << t.line();
        EXPECT_EQ(caught(t, careless, "f32"), std::optional(true)) << t.line();
    }
    EXPECT_GT(seen, 0);
}

TEST(fuzz, a_smaller_graph_fails_in_the_same_way) {
    const std::string number =
        failure_kind("0 at [1] of [2], expected 3; max 1 of the row, limit 0");
    EXPECT_EQ(failure_kind("output 1: 2.5 at [0] of [4], expected 2; nmse 3, limit 1"), number);
    EXPECT_EQ(failure_kind("nmse 6.5e-08, limit 1e-08"), number);
    EXPECT_NE(failure_kind("nan at [1] of [2], expected 3"), number);
    EXPECT_NE(failure_kind("1 at [1] of [2], expected inf"), number);
    EXPECT_NE(failure_kind("wrote outside output 0"), number);
    EXPECT_EQ(failure_kind("wrote outside output 0"), failure_kind("wrote outside output 1"));
}

// x - x, grown and squeezed: what is left is rounding, and as large as its terms say.
TEST(fuzz, what_cancels_may_be_off_by_what_its_terms_lost) {
    test_case t;
    t.op = "Noise";
    t.seed = 1;
    model m(t);
    const rlx_value a = m.operand("a", {4, 8}, numbers::far);
    const rlx_value s = m.add(RLX_OP_Affine, {a}, {{RLX_ATTR_scale, 0.1}, {RLX_ATTR_shift, 0.3}});
    m.output(m.add(RLX_OP_Binary, {s, s}, {{RLX_ATTR_kind, RLX_BINARY_SUB}}));
    m.output(a);
    m.limit_name = "Model";
    const auto [want, noise] = with_noise(m, RLX_F32);
    outputs got = want;
    got[0].data[3] = 1e-6; // a unit in the last place of 100 is 8e-6
    EXPECT_EQ(compare(m, got, want, "f32").what, verdict::failed);
    EXPECT_EQ(compare(m, got, want, "f32", noise).what, verdict::passed);
    got[0].data[3] = 0.1;
    EXPECT_EQ(compare(m, got, want, "f32", noise).what, verdict::failed);
}

} // namespace
} // namespace optest
