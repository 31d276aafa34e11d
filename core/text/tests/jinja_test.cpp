// SPDX-License-Identifier: GPL-3.0-only
// The template language, feature by feature. Every expectation was checked against Jinja2 3.1.6 in
// transformers' environment (trim_blocks, lstrip_blocks).
#include "fake_weights.hpp"

namespace rlx::text_test {
namespace {

constexpr const char* variables = R"json({
    "n": 5, "f": 2.5, "t": true, "z": null, "s": "Hello World", "u": "ÄÖü 🦙!", "e": "",
    "l": [3, 1, 2], "w": ["b", "A", "c"], "d": {"b": 1, "a": [1, 2], "C": "x"},
    "p": [{"k": "x", "v": 2}, {"k": "y", "v": 1}, {"k": "x"}]
})json";

std::string render(const std::string& source) {
    const auto t = library().parse_template(source, "<s>", "</s>");
    if (!t.ok()) return "ERROR " + t.error().message;
    render_options o;
    o.extra_json = variables;
    const auto r = (*t)->render("[]", o);
    return r.ok() ? *r : "ERROR " + r.error().message;
}

struct row {
    const char* source;
    const char* expected;
};

void check(std::initializer_list<row> rows) {
    for (const row& r : rows)
        EXPECT_EQ(render(r.source), r.expected) << r.source;
}

TEST(jinja, prints_values_as_python_does) {
    check({
        {"{{ n }} {{ f }} {{ t }} {{ z }} {{ s }} {{ missing }}", "5 2.5 True None Hello World "},
        {"{{ l }} {{ w }} {{ d }}", "[3, 1, 2] ['b', 'A', 'c'] {'b': 1, 'a': [1, 2], 'C': 'x'}"},
        {"{{ (1,) }} {{ (1, 'a') }} {{ () }} {{ 1, 2 }}", "(1,) (1, 'a') () (1, 2)"},
        {"{{ 1.0 }} {{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1/3 }}",
         "1.0 1e+16 1000000000000000.0 0.0001 1e-05 0.3333333333333333"},
        {R"({{ ["it's", 'a"b', "\n\t\\", "é🦙", "\x07\u200b"] }})",
         R"(["it's", 'a"b', '\n\t\\', 'é🦙', '\x07\u200b'])"},
    });
}

TEST(jinja, computes_as_python_does) {
    check({
        {"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ -2 ** "
         "2 }}",
         "3 -4 2 -2 3.5 1024 4"},
        {"{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 'a' * 3 }} {{ [1] * 2 + [2] }} {{ 1 + f }}",
         "7 9 aaa [1, 1, 2] 3.5"},
        {"{{ 'a' ~ 1 ~ none ~ missing }}", "a1None"},
        {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 == 1.0 == "
         "true }}",
         "True False True True True"},
        {"{{ 2 in l }} {{ 'ell' in s }} {{ 'b' in d }} {{ 9 not in l }} {{ not 9 in l }}",
         "True True True True True"},
        {"{{ 0 or 'x' }} {{ '' and 'x' }} {{ 'a' or 1/0 }} {{ not l }}", "x  a False"},
        {"{{ 'yes' if n > 3 else 'no' }} {{ 'yes' if n > 9 }} {{ 1 if e else 2 if z else 3 }}",
         "yes  3"},
        {"{{ 0x1F }} {{ 1_000 }} {{ 0b101 }} {{ 0o17 }}", "31 1000 5 15"},
    });
}

TEST(jinja, indexes_and_slices) {
    check({
        {"{{ l[0] }} {{ l[-1] }} {{ l[7] }} {{ d['b'] }} {{ d.b }} {{ d.a.1 }} {{ d['a'][-1] }}",
         "3 2  1 1 2 2"},
        {"{{ l[1:] }} {{ l[:-1] }} {{ l[::-1] }} {{ l[::2] }} {{ l[5:] }} {{ l[-2:] }}",
         "[1, 2] [3, 1] [2, 1, 3] [3, 2] [] [1, 2]"},
        {"{{ u[0] }} {{ u[-2] }} {{ u[4:5] }} {{ u[::-1] }} {{ u | length }}",
         "Ä 🦙 🦙 !🦙 üÖÄ 6"},
        {"{{ s[0:5] }} {{ s[-5:] }} {{ s[10:2:-3] }}", "Hello World doo"},
    });
}

TEST(jinja, controls_white_space) {
    check({
        {"a\n  {% if t %}\n  b\n  {% endif %}\nc", "a\n  b\nc"},
        {"a  {%- if t -%}  b  {%- endif -%}  c", "abc"},
        {"a\n  {{ n }}\n  {{- n -}}\n  b", "a\n  55b"},
        {"a {%+ if t %} b {% endif %}", "a  b "},
        {"  {%+ if t %}x{% endif %}", "  x"},
        {"a\n  {# note #}\nb\n", "a\nb"},
        {"a\n\n", "a\n"},
        {"{% set x = 1 %}\n\nx", "\nx"},
        {"{% set x = 1 +%}\nx", "\nx"},
        {"a {#- c -#} b", "ab"},
        {"x{% raw %}{{ no }}{% endraw %}y", "x{{ no }}y"},
        {"{% raw -%}\n  a {% if %} {%- endraw %} b", "a {% if %} b"},
        {"a\r\nb\rc", "a\nb\nc"},
        {"{{ '{%' }} { {{ '}}' }} {", "{% { }} {"},
    });
}

TEST(jinja, loops) {
    check({
        {"{% for x in l %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ ',' if not loop.last }}{% "
         "endfor %}",
         "1/3:3,2/3:1,3/3:2"},
        {"{% for x in l %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first "
         "}}{% endfor %}",
         "032True121False210False"},
        {"{% for x in l if x > 1 %}{{ x }}{{ loop.length }}{% else %}none{% endfor %}", "3222"},
        {"{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}{% for x in missing %}{% else "
         "%}!{% endfor %}",
         "none!"},
        {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor "
         "%}",
         "b=1;a=[1, 2];C=x;baC"},
        {"{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
         "<3>1 3<1>2 1<2> "},
        {"{% for a, b in [(1, 2), [3, 4]] %}{{ a + b }} {% endfor %}", "3 7 "},
        {"{% for x in l %}{% for y in l %}{{ loop.depth }}{{ loop.cycle('a', 'b') }}{% endfor %}{% "
         "endfor %}",
         "1a1b1a1a1b1a1a1b1a"},
        {"{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %}", "True False True "},
        {"{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}{% for x in l "
         "%}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}",
         "323"},
        {"{% for c in 'äb' %}[{{ c }}]{% endfor %}", "[ä][b]"},
    });
}

TEST(jinja, scopes) {
    check({
        {"{% set x = 1 %}{% for i in l %}{% set x = i %}{% endfor %}{{ x }}", "1"},
        {"{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}", "2"},
        {"{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ "
         "ns.x }}",
         "7"},
        {"{% for i in l %}{{ x }}{% set x = i %}{{ x }}{% endfor %}", "312"},
        {"{% set a, b = 1, [2] %}{{ a }}{{ b }}", "1[2]"},
        {"{% set x %}a{{ n }}{% set y = 1 %}{% endset %}{{ x }}{{ y }}", "a5"},
        {"{% set x | upper | trim %} a {% endset %}[{{ x }}]", "[A]"},
        {"{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}", "15"},
        {"{% filter upper %}a{{ n }}b{% endfilter %}", "A5B"},
        {"{% generation %}g{% set q = 1 %}{% endgeneration %}{{ q }}", "g"},
    });
}

TEST(jinja, macros) {
    check({
        {"{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} "
         "{{ m(b=0, a=9) }} {{ m() }}",
         "121 123 909 2"},
        {"{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
         "3210"},
        {"{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}{% for x in "
         "[7] %}{{ m() }}{% endfor %}",
         "22"},
        {"{% macro m() %}<{{ caller('q') }}>{% endmacro %}{% call(v) m() %}{{ v }}{{ n }}{% "
         "endcall %}",
         "<q5>"},
        {"{% macro m() %}a{% endmacro %}{{ m() | upper }}{{ m() ~ m() }}{{ m() is string }}",
         "AaaTrue"},
    });
}

TEST(jinja, filters) {
    check({
        {"{{ '  a ' | trim }}|{{ 'xax' | trim('x') }}|{{ s | upper }}|{{ s | lower }}|{{ 'ab cd' | "
         "title }}|{{ 'aB' | capitalize }}",
         "a|a|HELLO WORLD|hello world|Ab Cd|Ab"},
        {"{{ missing | default('x') }}{{ e | default('y') }}{{ e | default('y', true) }}{{ z | "
         "d('q') }}",
         "xyNone"},
        {"{{ l | sort }} {{ w | sort }} {{ w | sort(case_sensitive=true) }} {{ l | "
         "sort(reverse=true) }} {{ p | sort(attribute='k') | map(attribute='v') | list }}",
         "[1, 2, 3] ['A', 'b', 'c'] ['A', 'b', 'c'] [3, 2, 1] [2, Undefined, 1]"},
        {"{{ d | dictsort }} {{ d | dictsort(case_sensitive=true) | map('first') | join }}",
         "[('a', [1, 2]), ('b', 1), ('C', 'x')] Cab"},
        {"{{ l | join(', ') }} {{ p | map(attribute='k') | join('') }} {{ p | join('-', "
         "attribute='k') }}",
         "3, 1, 2 xyx x-y-x"},
        {"{{ l | first }}{{ l | last }}{{ l | reverse | list }}{{ s | reverse }}{{ l | min }}{{ l "
         "| max }}{{ l | sum }}",
         "32[2, 1, 3]dlroW olleH136"},
        {"{{ p | selectattr('k', 'equalto', 'x') | list | length }}{{ p | rejectattr('v') | list | "
         "length }}{{ l | select('odd') | list }}{{ l | reject('gt', 2) | list }}",
         "21[3, 1][1, 2]"},
        {"{{ ['a', 'A', 'b'] | unique | list }} {{ l | list }} {{ 'ab' | list }} {{ d | items | "
         "list }}",
         "['a', 'b'] [3, 1, 2] ['a', 'b'] [('b', 1), ('a', [1, 2]), ('C', 'x')]"},
        {"{{ '42' | int }} {{ 'x' | int(7) }} {{ '3.9' | int }} {{ '2.5' | float }} {{ 2.675 | "
         "round(2) }} {{ 2.5 | round }} {{ 2.1 | round(0, 'ceil') }} {{ -3 | abs }}",
         "42 7 3 2.5 2.67 2.0 3.0 3"},
        {"{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(1, "
         "blank=true) }}",
         "a\n    b\n\n    c|  a\n  b|a\n \n b"},
        {"{{ s | replace('o', '0') }} {{ s | replace('o', '0', 1) }} {{ 'a b-c' | wordcount }} {{ "
         "5 | string + 'x' }}",
         "Hell0 W0rld Hell0 World 3 5x"},
        {"{{ '<' | escape }}{{ '<b>' | safe }}{{ 'a<' + ('<b>' | safe) }}", "&lt;<b>a&lt;<b>"},
    });
}

TEST(jinja, writes_json_as_python_does) {
    check({
        {"{{ d | tojson }}", R"({"b": 1, "a": [1, 2], "C": "x"})"},
        {"{{ d | tojson(sort_keys=true, separators=(',', ':')) }}", R"({"C":"x","a":[1,2],"b":1})"},
        {"{{ {'a': [1, {}], 'b': []} | tojson(indent=2) }}",
         "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}"},
        {R"({{ ['é"\\/<>&\x01\n\x7f', 1.0, 1e-7, true, none] | tojson }})",
         "[\"é\\\"\\\\/<>&\\u0001\\n\x7f\", 1.0, 1e-07, true, null]"},
        {"{{ 'é🦙' | tojson(ensure_ascii=true) }}", R"("\u00e9\ud83e\udd99")"},
        {"{{ {1: 2, none: 3} | tojson }}", R"({"1": 2, "null": 3})"},
    });
}

TEST(jinja, methods) {
    check({
        {"{{ 'a,b,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ "
         "'a,b,c'.rsplit(',', 1) }} {{ 'a b c'.split(None, 1) }}",
         "['a', 'b', 'c'] ['a', 'b'] ['a', 'b,c'] ['a,b', 'c'] ['a', 'b c']"},
        {"[{{ ' x '.strip() }}] [{{ 'xxaxx'.lstrip('x') }}] [{{ 'abcba'.rstrip('ab') }}]",
         "[x] [axx] [abc]"},
        {"{{ s.startswith('Hell') }}{{ s.endswith(('x', 'ld')) }}{{ s.startswith('ello', 1) }}",
         "TrueTrueTrue"},
        {"{{ s.find('o') }}{{ s.rfind('o') }}{{ s.find('q') }}{{ s.count('l') }}{{ s.index('W') "
         "}}{{ u.find('!') }}",
         "47-1365"},
        {"{{ s.replace('l', 'L', 2) }} {{ '-'.join(w) }} {{ 'a\nb\r\nc'.splitlines() }} {{ "
         "'ab'.removeprefix('a') }} {{ 'k=v'.partition('=') }}",
         "HeLLo World b-A-c ['a', 'b', 'c'] b ('k', '=', 'v')"},
        {"{{ d.get('b') }}{{ d.get('q') }}{{ d.get('q', 0) }}{{ d.keys() | list }}{{ d.values() | "
         "list }}",
         "1None0['b', 'a', 'C'][1, [1, 2], 'x']"},
        {"{{ l.index(1) }}{{ l.count(3) }}{{ 'ab'.upper() }}{{ 'äB'.title() }}{{ '12'.isdigit() "
         "}}{{ ''.isalpha() }}",
         "11ABÄbTrueFalse"},
    });
}

TEST(jinja, tests) {
    check({
        {"{{ n is defined }}{{ q is defined }}{{ q is undefined }}{{ z is none }}{{ z is not none "
         "}}",
         "TrueFalseTrueTrueFalse"},
        {"{{ s is string }}{{ d is mapping }}{{ l is mapping }}{{ l is sequence }}{{ s is sequence "
         "}}{{ d is sequence }}{{ n is iterable }}{{ q is iterable }}",
         "TrueTrueFalseTrueTrueTrueFalseTrue"},
        {"{{ t is boolean }}{{ t is true }}{{ n is true }}{{ n is number }}{{ t is number }}{{ t "
         "is integer }}{{ f is float }}{{ n is integer }}",
         "TrueTrueFalseTrueTrueFalseTrueTrue"},
        {"{{ 3 is odd }}{{ 3 is even }}{{ 6 is divisibleby 3 }}{{ n is eq 5 }}{{ n is in [5] }}{{ "
         "'a' is lower }}{{ n is sameas 5 }}{{ range is callable }}",
         "TrueFalseTrueTrueTrueTrueTrueTrue"},
        {"{{ not n is none and t }}{{ n is not defined or t }}", "TrueTrue"},
    });
}

TEST(jinja, functions) {
    check({
        {"{{ range(3) | list }}{{ range(5, 0, -2) | list }}{{ range(2, 4) | list }}",
         "[0, 1, 2][5, 3, 1][2, 3]"},
        {"{{ dict(a=1, b=2) }}{{ namespace({'a': 1}, b=2).b }}", "{'a': 1, 'b': 2}2"},
        {"{{ bos_token }}{{ eos_token }}{{ unk_token is defined }}{{ tools is none }}{{ "
         "add_generation_prompt }}",
         "<s></s>FalseTrueTrue"},
    });
}

TEST(jinja, errors_name_line_and_construct) {
    const auto error_of = [](const char* source) { return render(source); };
    const row rows[] = {
        {"\n\n{{ raise_exception('no ' ~ n) }}",
         "line 3: the template refuses these messages: no 5"},
        {"{{ x.y }}", "\"x\" is undefined, so it has no \"y\""},
        {"{{ 1 + 'a' }}", "\"+\" does not work on int and str"},
        {"{{ 'a' | nofilter }}", "the filter \"nofilter\" is not supported"},
        {"{{ 'a' is notest }}", "the test \"notest\" is not supported"},
        {"{{ 'a'.nomethod() }}", "\"nomethod\" of a str is undefined and cannot be called"},
        {"{% if t %}\n{{ 1 }}", "line 2: the template ends before \"endif\""},
        {"{% import 'x' as y %}", "line 1: the tag \"import\" is not supported"},
        {"{% bogus %}", "the tag \"bogus\" is unknown"},
        {"{{ 1 }", "line 1:"},
        {"{{ f(*l) }}", "\"*\" arguments are not supported"},
        {"{{ l.append(1) }}", "may not change a list"},
        {"{% for x in n %}{% endfor %}", "a int is not iterable"},
        {"{% for x in l recursive %}{% endfor %}", "recursive loops are not supported"},
        {"{{ 1 / 0 }}", "division by zero"},
        {"{{ 9223372036854775807 + 1 }}", "out of the range"},
        {"{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "macro \"m\" takes 1 arguments"},
        {"{% set ns = namespace() %}{% set ns._x = 1 %}", "underscore"},
        {"{% set n.x = 1 %}", "\"n\" is no namespace"},
    };
    for (const row& r : rows)
        EXPECT_NE(error_of(r.source).find(r.expected), std::string::npos) << r.source << "\n"
                                                                          << error_of(r.source);
}

} // namespace
} // namespace rlx::text_test
