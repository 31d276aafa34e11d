// SPDX-License-Identifier: GPL-3.0-only
#include "jinja/hidden_names.hpp"
#include "jinja/parser.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace rlx::text::jinja {
namespace {

constexpr std::array<std::string_view, 9> known_unsupported = {
    "include", "import", "from", "extends", "block", "autoescape", "trans", "do", "debug"};

class statement_parser {
public:
    explicit statement_parser(std::vector<token> tokens) : t_(std::move(tokens)), e_(t_) {}

    result<program> run() {
        program p;
        p.body = RLX_TRY(body({}));
        find_hidden_names(p);
        return p;
    }

private:
    using words = std::initializer_list<std::string_view>;

    // Statements up to a tag that starts with one of `ends`, whose name is the next token then.
    result<block> body(words ends) {
        if (++depth_ > max_nesting)
            return at_line(
                t_.peek().line,
                RLX_UNSUPPORTED,
                "blocks are nested deeper than " + std::to_string(max_nesting)
            );
        block out;
        for (;;) {
            const token t = t_.take();
            if (t.kind == token_kind::end) {
                if (ends.size() == 0) break;
                return at_line(
                    t.line,
                    RLX_CORRUPT_DATA,
                    "the template ends before \"" + std::string(*(ends.end() - 1)) + "\""
                );
            }
            if (t.kind == token_kind::data) {
                out.push_back(make(statement_kind::text, t.line));
                out.back().text = t.text;
            } else if (t.kind == token_kind::print_begin) {
                out.push_back(make(statement_kind::print, t.line));
                out.back().value = RLX_TRY(e_.tuple());
                if (t_.peek().kind != token_kind::print_end) return t_.unexpected();
                t_.take();
            } else {
                if (std::any_of(ends.begin(), ends.end(), [&](auto w) { return t_.is_name(w); }))
                    break;
                out.push_back(RLX_TRY(tag(t.line)));
            }
        }
        --depth_;
        return out;
    }

    static statement make(statement_kind kind, int line) {
        statement s;
        s.kind = kind;
        s.line = line;
        return s;
    }

    result<void> end_tag() {
        if (t_.peek().kind != token_kind::tag_end) return t_.unexpected();
        t_.take();
        return {};
    }

    // `name` and the end of its tag.
    result<void> end_word() {
        t_.take();
        return end_tag();
    }

    result<statement> tag(int line) {
        const std::string word = RLX_TRY(t_.expect_name());
        if (word == "if") return conditional(line);
        if (word == "for") return loop(line);
        if (word == "set") return assign(line);
        if (word == "macro") return macro(line);
        if (word == "call") return call_block(line);
        if (word == "filter") return filter_block(line);
        if (word == "with") return with(line);
        if (word == "generation") {
            statement s = make(statement_kind::scope, line);
            RLX_CHECK(end_tag());
            s.body = RLX_TRY(body({"endgeneration"}));
            RLX_CHECK(end_word());
            return s;
        }
        if (word == "break" || word == "continue") {
            if (loops_ == 0)
                return at_line(line, RLX_CORRUPT_DATA, "\"" + word + "\" outside a loop");
            RLX_CHECK(end_tag());
            return make(
                word == "break" ? statement_kind::break_loop : statement_kind::continue_loop, line
            );
        }
        const bool known = std::find(known_unsupported.begin(), known_unsupported.end(), word) !=
                           known_unsupported.end();
        return at_line(
            line,
            known ? RLX_UNSUPPORTED : RLX_CORRUPT_DATA,
            "the tag \"" + word + (known ? "\" is not supported" : "\" is unknown or out of place")
        );
    }

    result<statement> conditional(int line) {
        statement s = make(statement_kind::conditional, line);
        for (bool more = true; more;) {
            branch b;
            b.condition = RLX_TRY(e_.tuple(false));
            RLX_CHECK(end_tag());
            b.body = RLX_TRY(body({"elif", "else", "endif"}));
            s.branches.push_back(std::move(b));
            more = t_.skip_name("elif");
        }
        if (t_.skip_name("else")) {
            RLX_CHECK(end_tag());
            branch b;
            b.body = RLX_TRY(body({"endif"}));
            s.branches.push_back(std::move(b));
        }
        RLX_CHECK(end_word());
        return s;
    }

    // a   a, b   (a, b)
    result<void> targets(statement& s) {
        const bool parentheses = t_.skip_op("(");
        s.targets.push_back(RLX_TRY(t_.expect_name()));
        while (t_.skip_op(",")) {
            s.unpack = true;
            if (t_.peek().kind != token_kind::name || t_.is_name("in")) break;
            s.targets.push_back(RLX_TRY(t_.expect_name()));
        }
        if (parentheses) RLX_CHECK(t_.expect_op(")"));
        return {};
    }

    result<statement> loop(int line) {
        statement s = make(statement_kind::loop, line);
        RLX_CHECK(targets(s));
        if (std::find(s.targets.begin(), s.targets.end(), "loop") != s.targets.end())
            return at_line(line, RLX_CORRUPT_DATA, "\"loop\" cannot be the target of a loop");
        if (!t_.skip_name("in")) return t_.unexpected();
        s.value = RLX_TRY(e_.tuple(false));
        if (t_.skip_name("if")) s.condition = RLX_TRY(e_.any());
        if (t_.is_name("recursive"))
            return at_line(line, RLX_UNSUPPORTED, "recursive loops are not supported");
        RLX_CHECK(end_tag());
        ++loops_;
        s.body = RLX_TRY(body({"else", "endfor"}));
        --loops_;
        if (t_.skip_name("else")) {
            RLX_CHECK(end_tag());
            s.has_otherwise = true;
            s.otherwise = RLX_TRY(body({"endfor"}));
        }
        RLX_CHECK(end_word());
        return s;
    }

    result<statement> assign(int line) {
        statement s = make(statement_kind::assign, line);
        RLX_CHECK(targets(s));
        if (!s.unpack && t_.skip_op(".")) s.text = RLX_TRY(t_.expect_name());
        if (t_.skip_op("=")) {
            s.value = RLX_TRY(e_.tuple());
            RLX_CHECK(end_tag());
            return s;
        }
        if (s.unpack) return t_.unexpected();
        s.kind = statement_kind::assign_block;
        if (t_.skip_op("|")) s.value = RLX_TRY(e_.filter_chain());
        RLX_CHECK(end_tag());
        s.body = RLX_TRY(inner_body("endset"));
        return s;
    }

    // A body that is rendered apart: an outer loop cannot be left from inside.
    result<block> inner_body(std::string_view end) {
        const int outer = std::exchange(loops_, 0);
        block b = RLX_TRY(body({end}));
        loops_ = outer;
        RLX_CHECK(end_word());
        return b;
    }

    result<void> parameters(statement& s) {
        RLX_CHECK(t_.expect_op("("));
        while (!t_.is_op(")")) {
            parameter p;
            p.name = RLX_TRY(t_.expect_name());
            if (t_.skip_op("="))
                p.fallback = RLX_TRY(e_.any());
            else if (!s.parameters.empty() && s.parameters.back().fallback)
                return at_line(
                    s.line,
                    RLX_CORRUPT_DATA,
                    "a parameter without a default follows one with a default"
                );
            s.parameters.push_back(std::move(p));
            if (!t_.is_op(")")) RLX_CHECK(t_.expect_op(","));
        }
        t_.take();
        return {};
    }

    result<statement> macro(int line) {
        statement s = make(statement_kind::macro, line);
        s.text = RLX_TRY(t_.expect_name());
        RLX_CHECK(parameters(s));
        RLX_CHECK(end_tag());
        s.body = RLX_TRY(inner_body("endmacro"));
        return s;
    }

    result<statement> call_block(int line) {
        statement s = make(statement_kind::call_block, line);
        if (t_.is_op("(")) RLX_CHECK(parameters(s));
        s.value = RLX_TRY(e_.any());
        if (s.value->kind != expression_kind::call)
            return at_line(line, RLX_CORRUPT_DATA, "\"call\" needs a call");
        RLX_CHECK(end_tag());
        s.body = RLX_TRY(inner_body("endcall"));
        return s;
    }

    result<statement> filter_block(int line) {
        statement s = make(statement_kind::filter_block, line);
        s.value = RLX_TRY(e_.filter_chain());
        RLX_CHECK(end_tag());
        s.body = RLX_TRY(inner_body("endfilter"));
        return s;
    }

    result<statement> with(int line) {
        statement s = make(statement_kind::with, line);
        while (t_.peek().kind != token_kind::tag_end) {
            if (!s.targets.empty()) RLX_CHECK(t_.expect_op(","));
            s.targets.push_back(RLX_TRY(t_.expect_name()));
            RLX_CHECK(t_.expect_op("="));
            s.values.push_back(RLX_TRY(e_.any()));
        }
        RLX_CHECK(end_tag());
        s.body = RLX_TRY(body({"endwith"}));
        RLX_CHECK(end_word());
        return s;
    }

    token_stream t_;
    expression_parser e_;
    int depth_ = 0;
    int loops_ = 0;
};

} // namespace

result<program> parse_template(std::string_view source) {
    if (source.size() > max_template_bytes)
        return error{
            RLX_UNSUPPORTED,
            "a template of " + std::to_string(source.size()) + " bytes, at most " +
                std::to_string(max_template_bytes) + " are supported"};
    return statement_parser(RLX_TRY(tokenize(source))).run();
}

} // namespace rlx::text::jinja
