// SPDX-License-Identifier: GPL-3.0-only
// Templates that would run, recurse or grow without end are stopped, quickly.
#include "fake_weights.hpp"

#include <ctime>

namespace rlx::text_test {
namespace {

void expect_stopped(
    const std::string& source, const std::string& part, const std::string& messages = "[]"
) {
    const std::clock_t start = std::clock(); // processor time: the machine may be busy
    const auto t = library().parse_template(source, "", "");
    const std::string message = t.ok() ? [&] {
        const auto r = (*t)->render(messages);
        return r.ok() ? "rendered " + std::to_string(r->size()) + " bytes" : r.error().message;
    }() : t.error().message;
    EXPECT_NE(message.find(part), std::string::npos) << source.substr(0, 200) << "\n" << message;
    EXPECT_LT(std::clock() - start, 20 * CLOCKS_PER_SEC) << source.substr(0, 200);
}

std::string repeated(const std::string& s, int n) {
    std::string out;
    for (int i = 0; i < n; ++i)
        out += s;
    return out;
}

TEST(jinja_limits, steps) {
    expect_stopped(
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "steps"
    );
    expect_stopped("{{ range(100001) }}", "100000");
    expect_stopped(
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% "
        "endfor %}",
        "grows beyond"
    );
    expect_stopped(
        "{% set x = 'a' * 10000000 %}{% for i in range(90000) %}{% if x == x ~ 'b' %}{% endif %}{% "
        "endfor %}",
        "steps"
    );
    expect_stopped(
        "{% set x = 'a' * 8000000 %}{% set y = 'a' * 4000000 ~ 'b' %}{{ y in x }}", "steps"
    );
    expect_stopped("{% set x = 'a' * 8000000 %}{{ x.split('a' * 4000000 ~ 'b') }}", "steps");
    expect_stopped("{% set x = 'ab' * 8000000 %}{% for c in x %}{% endfor %}", "steps");
}

TEST(jinja_limits, recursion) {
    expect_stopped("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "deeper than 64");
    expect_stopped(
        "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{% call f() %}{% endcall %}{% "
        "endmacro %}{{ f() }}",
        "deeper than 64"
    );
    expect_stopped(
        repeated("{% if 1 %}", 1000) + repeated("{% endif %}", 1000), "nested deeper than 64"
    );
    expect_stopped(
        "{{ " + repeated("(", 5000) + "1" + repeated(")", 5000) + " }}", "nested deeper than 64"
    );
    expect_stopped(
        "{{ " + repeated("[", 5000) + repeated("]", 5000) + " }}", "nested deeper than 64"
    );
    expect_stopped("{{ " + repeated("not ", 5000) + "1 }}", "");
    expect_stopped("{{ " + repeated("-", 5000) + "1 }}", "");
    expect_stopped("{{ x" + repeated(".a", 5000) + " }}", "nested deeper than 200");
    expect_stopped("{{ x" + repeated("|trim", 5000) + " }}", "nested deeper than 200");
    expect_stopped("{{ " + repeated("1 if 1 else ", 5000) + "1 }}", "nested deeper than");
    expect_stopped(
        "{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor "
        "%}",
        "nested deeper than 128"
    );
    expect_stopped("x", "nested deeper than 64", repeated("[", 100000));
}

TEST(jinja_limits, long_chains_are_no_recursion) {
    const auto t = library().parse_template(
        "{{ 0" + repeated(" + 1", 20000) + " }}{{ ''" + repeated(" ~ 'a'", 3) + " }}", "", ""
    );
    ASSERT_TRUE(t.ok()) << t.error().message;
    EXPECT_EQ(*(*t)->render("[]"), "20000aaa");
}

TEST(jinja_limits, output_and_sizes) {
    expect_stopped("{{ 'a' * 16777217 }}", "16 MiB");
    expect_stopped("{% for i in range(20) %}{{ 'a' * 1000000 }}{% endfor %}", "16777216 bytes");
    expect_stopped(
        "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% "
        "endfor %}",
        "16 MiB"
    );
    expect_stopped("{{ ('a' * 4000000).replace('a', 'aaaaaaaa') }}", "16 MiB");
    expect_stopped("{{ ('a\n' * 4000000) | indent(1000) }}", "16 MiB");
    expect_stopped(
        "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% "
        "endfor %}{{ ns.l }}",
        "grows beyond"
    );
    expect_stopped("{{ 2 ** 100000 }}", "out of the range");
    expect_stopped(std::string((1 << 20) + 1, 'a'), "1048576");
}

TEST(jinja_limits, a_namespace_may_hold_itself) {
    const auto t = library().parse_template(
        "{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.l = [ns] %}{{ ns.me.me.l[0].me is "
        "defined }}",
        "",
        ""
    );
    ASSERT_TRUE(t.ok());
    EXPECT_EQ(*(*t)->render("[]"), "True");
}

TEST(jinja_limits, a_long_conversation_is_fine) {
    std::string messages = "[";
    for (int i = 0; i < 4000; ++i)
        messages += std::string(i ? "," : "") + R"({"role": ")" + (i % 2 ? "assistant" : "user") +
                    R"(", "content": ")" + std::string(500, 'x') + "\"}";
    const auto t = library().parse_template(read_file(RLX_TEXT_FIXTURES "/smollm2.jinja"), "", "");
    ASSERT_TRUE(t.ok());
    const auto r = (*t)->render(messages + "]");
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_GT(r->size(), 2'000'000u);
}

} // namespace
} // namespace rlx::text_test
