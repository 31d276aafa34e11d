// SPDX-License-Identifier: GPL-3.0-only
// Runs a program. All limits are counted here, so that no template and no message can make it run,
// recurse or grow without end.
#pragma once

#include "jinja/ast.hpp"

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rlx::text::jinja {

struct call_args {
    std::vector<value> positional;
    std::vector<std::pair<std::string, value>> keywords;
};

// Arguments sorted to parameter names. Errors for unknown names and too many arguments.
class bound_args {
public:
    static result<bound_args>
    bind(const call_args& args, std::initializer_list<std::string_view> names);

    const value* get(std::size_t i) const {
        return values_[i] ? &*values_[i] : nullptr;
    } // null when not given

    value get_or(std::size_t i, value fallback) const {
        return values_[i] ? *values_[i] : std::move(fallback);
    }

    result<std::string> text(std::size_t i, std::string_view fallback) const;
    result<std::int64_t> integer(std::size_t i, std::int64_t fallback) const;

    bool flag(std::size_t i, bool fallback) const {
        return values_[i] ? values_[i]->truthy() : fallback;
    }

private:
    std::vector<std::optional<value>> values_;
    std::vector<std::string_view> names_;
};

// Variables of one scope. A macro keeps only a weak reference to the scope that it was defined in.
struct scope {
    std::vector<std::pair<std::string, value>> variables;
    std::shared_ptr<scope> parent;

    scope() = default;
    scope(std::shared_ptr<scope> outer, const std::vector<std::string>& hidden);

    const value* find(std::string_view name) const;
    void set(std::string_view name, value v);
};

struct limits {
    std::uint64_t steps = 1'000'000; // statements and loop rounds; expressions count a sixteenth
    std::size_t output_bytes = std::size_t{16} << 20;
    int macro_depth = 64;
    int depth = 1000; // of statements and expressions inside each other, macros included
    std::uint32_t value_depth = 128;
    std::uint64_t value_weight = 2'000'000;
};

class interpreter {
public:
    interpreter(const program& p, const limits& l, const std::tm& now)
        : program_(p), limits_(l), now_(now) {}

    ~interpreter();

    result<std::string> render(scope variables);

    // For filters, tests, methods and functions.
    result<void> charge(std::uint64_t sixteenths);
    result<value> checked(value v) const; // refuses containers that are too deep or too large
    result<value> call(const value& callee, const call_args& args);
    result<value> apply_filter(std::string_view name, const value& v, const call_args& args);
    result<bool> apply_test(std::string_view name, const value& v, const call_args& args);
    result<value> attribute(const value& v, std::string_view name);
    result<value> item(const value& v, const value& key); // v[key], or the attribute of that name
    result<std::vector<value>> items_of(const value& v);  // charges for them
    result<value> new_namespace(std::vector<std::pair<std::string, value>> items);

    const std::tm& now() const { return now_; }

private:
    enum class flow : std::uint8_t { normal, broken, continued };

    result<flow> run(const block& b);
    result<flow> run(const statement& s);
    result<flow> run_conditional(const statement& s);
    result<flow> run_loop(const statement& s);
    result<void> run_assign(const statement& s);
    result<void> run_call_block(const statement& s);
    result<void> run_macro(const statement& s);
    result<flow> run_in_new_scope(const block& b, const std::vector<std::string>& hidden);
    result<std::string> capture(const block& b, std::shared_ptr<scope> where);
    result<void> emit(std::string_view text);
    result<void> bind_targets(const statement& s, const value& v, scope& where) const;
    result<value> make_callable(const statement& s, std::string name);
    result<value> call_macro(
        const statement& s,
        const std::string& name,
        const std::shared_ptr<scope>& defined_in,
        const call_args& args
    );

    result<value> eval(const expression& e);
    result<value> eval_kind(const expression& e);
    result<value> eval_name(const expression& e);
    result<value> eval_list(const expression& e);
    result<value> eval_dict(const expression& e);
    result<value> eval_unary(const expression& e);
    result<value> eval_logic(const expression& e);
    result<value> eval_concat(const expression& e);
    result<value> eval_arithmetic(const expression& e);
    result<value> eval_comparison(const expression& e);
    result<value> eval_conditional(const expression& e);
    result<value> eval_slice(const expression& e);
    result<value> eval_call(const expression& e);
    result<value> eval_filter(const expression& e, const value* subject);
    result<value> eval_test(const expression& e);
    result<call_args> eval_args(const expression& e);

    const program& program_;
    const limits limits_;
    const std::tm now_;
    std::uint64_t used_ = 0; // sixteenths of a step
    int depth_ = 0;
    int macro_depth_ = 0;
    std::string* out_ = nullptr;
    std::shared_ptr<scope> scope_;
    std::vector<std::weak_ptr<namespace_value>>
        namespaces_; // emptied at the end: they may form cycles
};

using filter_function = result<value> (*)(interpreter&, const value&, const call_args&);
using test_function = result<bool> (*)(interpreter&, const value&, const call_args&);

// nullptr when there is none of that name.
filter_function find_text_filter(std::string_view name);
filter_function find_list_filter(std::string_view name);
test_function find_test(std::string_view name);
// The method `name` of v, bound to it; undefined when v has none.
value find_method(const value& v, std::string_view name);
// range, namespace, dict, raise_exception, strftime_now; undefined when there is none.
result<value> find_global(std::string_view name);

// Code points that Python's strip() and split() take as white space.
bool is_python_space(std::uint32_t cp);
std::string strip_text(std::string_view s, const std::string* chars, bool left, bool right);
std::string capitalize_text(std::string_view s);
std::vector<std::string> split_lines(std::string_view s, bool keep_ends);
std::string
replace_text(std::string_view s, std::string_view from, std::string_view to, std::int64_t count);

} // namespace rlx::text::jinja
