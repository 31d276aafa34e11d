// SPDX-License-Identifier: GPL-3.0-only
// ".rlxg": what is written reads back as the same text; errors name line and column.
#include "net.hpp"
#include "rlx/graph/text.hpp"

#include <nlohmann/json.hpp>

using namespace rlx;
using namespace rlx::test;

namespace {

// Everything a text can hold.
constexpr const char* sample = R"(rlxg 1
symbol T 1 to 64
symbol P 8 to 64 step 8
input %1 'ids' i32 [T]
input %2 'a \'quoted\\name' f32 [T, 4]
weight %3 'embed.weight' q8_0 [100, 32]
constant %4 f32 [2] 0000803f00000040
constant %5 i32 [0]
state %6 'kv' kv 2 x 8 x 4
state %7 'ssm' tensor 2 x 8 x 4
%8 f32 [T, 32] = GatherRows(%3, %1) @'embed'
%9 f32 [T, 3], %10 i32 [T, 3] = TopK(%8, k=3) @'embed'
%11 f32 [T, 8, 4] = Reshape(%8, dims=[T, 8, 4])
%12 f32 [T, 4, 4] = Slice(%11, axis=1, start=0, stop=4)
%13 f32 [T, 4] = Modulate(%2, _, %2)
%14 f32 [T, 4] = Affine(%13, scale=0.5, shift=-1.0)
%15 f32 [T, 4] = Clamp(%14, lo=-inf, hi=1e+30)
%16 f32 [] = Fill(dims=[], dtype=f32, value=1.0)
%17 f32 [T + 2*P + 3, P/8, ceil(T, 3)] = Fill(dims=[T + 2*P + 3, P/8, ceil(T, 3)], dtype=f32, value=1.0)
%18 f32 [min(P, T) + 2] = Fill(dims=[min(P, T) + 2], dtype=f32, value=nan)
%19 i32 [1] = Fill(dims=[1], dtype=i32, value=0.0)
%20 f32 [1, 2, 8, 4] = StateLoad(%7, %19)
%21 = StateStore(%7, %20, %19)
output 'y' %15
output 'top' %9
)";

std::string message_of(std::string_view text) {
    const auto g = graph_parse(text, "bad.rlxg");
    return g ? std::string("it parses") : g.error().message;
}

} // namespace

TEST(rlxg, text_reads_back_as_itself) {
    const auto g = graph_parse(sample);
    ASSERT_TRUE(g) << g.error().message;
    EXPECT_EQ(graph_text(**g), sample);
    const auto again = graph_parse(graph_text(**g));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(graph_text(**again), sample);
    EXPECT_TRUE((*again)->verify());
}

TEST(rlxg, a_finished_graph_reads_back_with_its_decompositions) {
    const auto g = graph_parse(R"(rlxg 1
symbol L 1 to 99
input %1 'x' f32 [2, 3, L]
%2 f32 [2, 3, min(ceil(1/2*L + 1, 1), L)] = Pool(%1, kind=2, kernel=[2], ceil=1)
output 'y' %2
)");
    EXPECT_FALSE(g) << "a quotient that is no whole number";
    const auto h = graph_parse(R"(rlxg 1
symbol L 5 to 99
input %1 'x' f32 [2, 3, L]
%2 f32 [2, 3, min(ceil(L, 2), ceil(L, 2))] = Pool(%1, kind=2, kernel=[2], ceil=1)
%3 f32 [2, 3] = LogSumExp(%2, axis=2)
output 'y' %3
)");
    ASSERT_TRUE(h) << h.error().message;
    const auto accept =
        [](std::span<const std::uint32_t>, std::span<std::uint8_t> v, std::span<std::string>) {
            std::fill(v.begin(), v.end(), std::uint8_t{1});
            return result<void>();
        };
    ASSERT_TRUE((*h)->finish(accept, {.composites = false}));
    const std::string text = graph_text(**h);
    EXPECT_NE(text.find("Im2Col"), text.npos);
    EXPECT_EQ(text.find("LogSumExp"), text.npos);
    const auto back = graph_parse(text);
    ASSERT_TRUE(back) << back.error().message << "\n" << text;
    EXPECT_EQ(graph_text(**back), text);
}

TEST(rlxg, errors_name_line_and_column) {
    const std::string head = "rlxg 1\ninput %1 'x' f32 [4]\n";
    EXPECT_EQ(message_of(""), "bad.rlxg:1:1: expected 'rlxg'");
    EXPECT_EQ(message_of("rlxg 2\n"), "bad.rlxg:1:7: expected version 1");
    EXPECT_EQ(
        message_of(head + "%2 f32 [4] = Nothing(%1)\n"), "bad.rlxg:3:14: unknown op 'Nothing'"
    );
    EXPECT_EQ(
        message_of(head + "%2 f32 [4] = Unary(%7, kind=1)\n"),
        "bad.rlxg:3:20: value %7 is not there yet"
    );
    EXPECT_EQ(
        message_of(head + "%2 f32 [5] = Unary(%1, kind=1)\n"), "bad.rlxg:3:4: the op gives f32 [4]"
    );
    EXPECT_EQ(
        message_of(head + "%2 f32 [4] = Unary(%1, kin=1)\n"),
        "bad.rlxg:3:24: Unary has no attribute 'kin'"
    );
    EXPECT_EQ(
        message_of(head + "%1 f32 [4] = Unary(%1, kind=1)\n"),
        "bad.rlxg:3:1: value %1 is there already"
    );
    EXPECT_EQ(message_of(head + "output 'y %1\n"), "bad.rlxg:3:13: a name without its second '");
    EXPECT_EQ(
        message_of(head + "input %2 'z' f32 [Q]\n").substr(0, 34),
        "bad.rlxg:3:19: expected a dim: a n"
    );
    EXPECT_EQ(message_of(head + "input %2 'z' f33 [4]\n"), "bad.rlxg:3:14: unknown type 'f33'");
    EXPECT_EQ(
        message_of(head + "constant %2 f32 [1] 00zz\n"),
        "bad.rlxg:3:23: expected two hexadecimal digits"
    );
    EXPECT_EQ(message_of(head + "bogus\n").substr(0, 22), "bad.rlxg:3:1: expected");
    EXPECT_EQ(
        message_of(head + "output 'y' %1 more\n"), "bad.rlxg:3:15: expected the end of the line"
    );
    const std::string unknown = message_of(head + "%2 f32 [4] = 'org.example.op' 1(%1)\n");
    EXPECT_EQ(unknown.substr(0, 29), "bad.rlxg:3:14: org.example.op") << unknown;
}

// Cut anywhere, a text is an error or a smaller graph, never a crash.
TEST(rlxg, every_beginning_of_a_text_is_handled) {
    const std::string text = sample;
    for (std::size_t n = 0; n < text.size(); ++n) {
        (void)graph_parse(std::string_view(text).substr(0, n));
        std::string broken = text;
        broken[n] = broken[n] == '[' ? ']' : '[';
        (void)graph_parse(broken);
    }
}

TEST(rlxg, json_holds_the_graph) {
    const auto g = graph_parse(sample);
    ASSERT_TRUE(g);
    const auto j = nlohmann::json::parse(graph_json(**g));
    EXPECT_EQ(j["symbols"][1]["multiple"], 8);
    EXPECT_EQ(j["nodes"].size(), 13u);
    EXPECT_EQ(j["nodes"][0]["op"], "GatherRows");
    EXPECT_EQ(j["nodes"][0]["origin"], "embed");
    EXPECT_EQ(j["nodes"][6]["attrs"]["lo"], "-inf");
    EXPECT_EQ(j["nodes"][3]["attrs"]["stop"], 4);
    EXPECT_EQ(j["values"][0]["dims"][0], "T");
    EXPECT_EQ(j["outputs"][1]["name"], "top");
}
