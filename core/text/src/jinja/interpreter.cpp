// SPDX-License-Identifier: GPL-3.0-only
#include "jinja/interpreter.hpp"

#include "jinja/lexer.hpp"

#include <algorithm>

namespace rlx::text::jinja {
namespace {

error too_much(const std::string& what) {
    return {RLX_CORRUPT_DATA, what};
}

// Restores a variable when the block ends.
template <class T>
struct restore {
    T& target;
    T old;

    restore(T& t, T now) : target(t), old(std::exchange(t, std::move(now))) {}

    ~restore() { target = std::move(old); }
};

} // namespace

const value* scope::find(std::string_view name) const {
    for (const auto& [n, v] : variables)
        if (n == name) return &v;
    return nullptr;
}

scope::scope(std::shared_ptr<scope> outer, const std::vector<std::string>& hidden)
    : parent(std::move(outer)) {
    for (const std::string& name : hidden)
        variables.emplace_back(name, value::missing("\"" + name + "\""));
}

void scope::set(std::string_view name, value v) {
    for (auto& [n, old] : variables)
        if (n == name) {
            old = std::move(v);
            return;
        }
    variables.emplace_back(name, std::move(v));
}

result<bound_args>
bound_args::bind(const call_args& args, std::initializer_list<std::string_view> names) {
    bound_args b;
    b.names_ = names;
    b.values_.resize(names.size());
    if (args.positional.size() > names.size())
        return error{
            RLX_INVALID_ARGUMENT,
            std::to_string(args.positional.size()) + " arguments, at most " +
                std::to_string(names.size()) + " are taken"};
    std::copy(args.positional.begin(), args.positional.end(), b.values_.begin());
    for (const auto& [name, v] : args.keywords) {
        const auto it = std::find(names.begin(), names.end(), name);
        if (it == names.end())
            return error{RLX_INVALID_ARGUMENT, "unknown argument \"" + name + "\""};
        auto& slot = b.values_[static_cast<std::size_t>(it - names.begin())];
        if (slot) return error{RLX_INVALID_ARGUMENT, "argument \"" + name + "\" is given twice"};
        slot = v;
    }
    return b;
}

result<std::string> bound_args::text(std::size_t i, std::string_view fallback) const {
    if (!values_[i]) return std::string(fallback);
    if (!values_[i]->is_string())
        return error{
            RLX_INVALID_ARGUMENT,
            "argument \"" + std::string(names_[i]) + "\" is a " +
                std::string(values_[i]->type_name()) + ", expected a string"};
    return values_[i]->string();
}

result<std::int64_t> bound_args::integer(std::size_t i, std::int64_t fallback) const {
    if (!values_[i]) return fallback;
    const auto n = as_integer(*values_[i]);
    if (!n)
        return error{
            RLX_INVALID_ARGUMENT,
            "argument \"" + std::string(names_[i]) + "\" is a " +
                std::string(values_[i]->type_name()) + ", expected a whole number"};
    return *n;
}

interpreter::~interpreter() {
    for (const auto& weak : namespaces_)
        if (const auto ns = weak.lock()) ns->items.clear();
}

result<std::string> interpreter::render(scope variables) {
    // The variables lie outside the template's own scope, which may hide them.
    scope_ =
        std::make_shared<scope>(std::make_shared<scope>(std::move(variables)), program_.hidden);
    std::string out;
    out_ = &out;
    RLX_TRY(run(program_.body));
    return out;
}

result<void> interpreter::charge(std::uint64_t sixteenths) {
    used_ += sixteenths;
    if (used_ > limits_.steps * 16)
        return too_much("the template takes more than " + std::to_string(limits_.steps) + " steps");
    return {};
}

result<value> interpreter::checked(value v) const {
    if (v.depth() > limits_.value_depth)
        return too_much("a value is nested deeper than " + std::to_string(limits_.value_depth));
    if (v.weight() > limits_.value_weight)
        return too_much("a value grows beyond " + std::to_string(limits_.value_weight) + " items");
    return v;
}

result<std::vector<value>> interpreter::items_of(const value& v) {
    RLX_CHECK(charge(v.is_string() ? v.string().size() : 1));
    auto items = RLX_TRY(iterate(v));
    RLX_CHECK(charge(items.size()));
    return items;
}

result<value> interpreter::new_namespace(std::vector<std::pair<std::string, value>> items) {
    for (const auto& item : items)
        if (item.first.starts_with('_'))
            return error{
                RLX_INVALID_ARGUMENT,
                "a namespace attribute must not start with an underscore: \"" + item.first + "\""};
    auto ns = std::make_shared<namespace_value>();
    ns->items = std::move(items);
    namespaces_.push_back(ns);
    return value(std::move(ns));
}

result<void> interpreter::emit(std::string_view text) {
    if (out_->size() + text.size() > limits_.output_bytes)
        return too_much(
            "the template writes more than " + std::to_string(limits_.output_bytes) + " bytes"
        );
    RLX_CHECK(charge(text.size() / 64));
    *out_ += text;
    return {};
}

result<interpreter::flow> interpreter::run(const block& b) {
    for (const statement& s : b) {
        const flow f = RLX_TRY(run(s));
        if (f != flow::normal) return f;
    }
    return flow::normal;
}

result<interpreter::flow> interpreter::run(const statement& s) {
    const restore<int> guard(depth_, depth_ + 1);
    if (depth_ > limits_.depth)
        return at_line(
            s.line,
            RLX_CORRUPT_DATA,
            "statements and macros are nested deeper than " + std::to_string(limits_.depth)
        );
    RLX_CHECK(charge(16));
    switch (s.kind) {
    case statement_kind::text: RLX_CHECK(emit(s.text)); break;
    case statement_kind::print: {
        const value v = RLX_TRY(eval(*s.value));
        RLX_CHECK(charge(v.weight()));
        if (v.is_generator())
            return at_line(s.line, RLX_UNSUPPORTED, "printing a generator is not supported");
        RLX_CHECK(v.is_string() ? emit(v.string()) : emit(to_text(v)));
        break;
    }
    case statement_kind::conditional: return run_conditional(s);
    case statement_kind::loop: return run_loop(s);
    case statement_kind::assign: RLX_CHECK(run_assign(s)); break;
    case statement_kind::assign_block:
    case statement_kind::filter_block: {
        value v(RLX_TRY(capture(s.body, std::make_shared<scope>(scope_, s.hidden))));
        if (s.value) v = RLX_TRY(eval_filter(*s.value, &v));
        if (s.kind == statement_kind::filter_block)
            RLX_CHECK(emit(to_text(v)));
        else
            RLX_CHECK(bind_targets(s, v, *scope_));
        break;
    }
    case statement_kind::macro: RLX_CHECK(run_macro(s)); break;
    case statement_kind::call_block: RLX_CHECK(run_call_block(s)); break;
    case statement_kind::with: {
        auto inner = std::make_shared<scope>(scope_, s.hidden);
        for (std::size_t i = 0; i < s.targets.size(); ++i)
            inner->set(s.targets[i], RLX_TRY(eval(*s.values[i])));
        const restore<std::shared_ptr<scope>> back(scope_, std::move(inner));
        return run(s.body);
    }
    case statement_kind::scope: return run_in_new_scope(s.body, s.hidden);
    case statement_kind::break_loop: return flow::broken;
    case statement_kind::continue_loop: return flow::continued;
    }
    return flow::normal;
}

result<interpreter::flow>
interpreter::run_in_new_scope(const block& b, const std::vector<std::string>& hidden) {
    const restore<std::shared_ptr<scope>> back(scope_, std::make_shared<scope>(scope_, hidden));
    return run(b);
}

result<interpreter::flow> interpreter::run_conditional(const statement& s) {
    for (const branch& b : s.branches)
        if (!b.condition || RLX_TRY(eval(*b.condition)).truthy()) return run(b.body);
    return flow::normal;
}

result<void> interpreter::bind_targets(const statement& s, const value& v, scope& where) const {
    if (!s.unpack) {
        where.set(s.targets.front(), v);
        return {};
    }
    const auto items = iterate(v);
    if (!items.ok()) return at_line(s.line, RLX_INVALID_ARGUMENT, items.error().message);
    if (items->size() != s.targets.size())
        return at_line(
            s.line,
            RLX_INVALID_ARGUMENT,
            std::to_string(items->size()) + " values for " + std::to_string(s.targets.size()) +
                " names"
        );
    for (std::size_t i = 0; i < s.targets.size(); ++i)
        where.set(s.targets[i], (*items)[i]);
    return {};
}

// `for a in b if c`: the items that pass c, with only the targets in sight.
result<interpreter::flow> interpreter::run_loop(const statement& s) {
    const value source = RLX_TRY(eval(*s.value));
    auto items = items_of(source);
    if (!items.ok()) return at_line(s.line, items.error().code, items.error().message);
    const std::shared_ptr<scope> outer = scope_;
    if (s.condition) {
        std::vector<value> kept;
        for (value& v : *items) {
            auto inner = std::make_shared<scope>();
            inner->parent = outer;
            RLX_CHECK(bind_targets(s, v, *inner));
            const restore<std::shared_ptr<scope>> back(scope_, std::move(inner));
            if (RLX_TRY(eval(*s.condition)).truthy()) kept.push_back(std::move(v));
        }
        *items = std::move(kept);
    }
    if (items->empty())
        return s.has_otherwise ? run_in_new_scope(s.otherwise, s.hidden_otherwise) : flow::normal;
    loop_value state;
    auto list = std::make_shared<list_value>();
    list->items = std::move(*items);
    state.items = list;
    state.last_changed = std::make_shared<value>();
    for (std::size_t i = 0; i < list->items.size(); ++i) {
        RLX_CHECK(charge(16));
        auto inner = std::make_shared<scope>(outer, s.hidden);
        RLX_CHECK(bind_targets(s, list->items[i], *inner));
        state.index0 = i;
        inner->set("loop", std::shared_ptr<const loop_value>(std::make_shared<loop_value>(state)));
        const restore<std::shared_ptr<scope>> back(scope_, std::move(inner));
        if (RLX_TRY(run(s.body)) == flow::broken) break;
    }
    return flow::normal;
}

result<void> interpreter::run_assign(const statement& s) {
    value v = RLX_TRY(eval(*s.value));
    if (s.text.empty()) return bind_targets(s, v, *scope_);
    const scope* where = scope_.get();
    const value* target = nullptr;
    for (; where && !target; where = where->parent.get())
        target = where->find(s.targets.front());
    const auto* ns = target ? target->as<std::shared_ptr<namespace_value>>() : nullptr;
    if (!ns)
        return at_line(
            s.line,
            RLX_INVALID_ARGUMENT,
            "\"" + s.targets.front() + "\" is no namespace, so its attribute cannot be set"
        );
    if (s.text.starts_with('_'))
        return at_line(
            s.line, RLX_INVALID_ARGUMENT, "a namespace attribute must not start with an underscore"
        );
    auto& items = (*ns)->items;
    const auto it =
        std::find_if(items.begin(), items.end(), [&](auto& i) { return i.first == s.text; });
    if (it != items.end())
        it->second = std::move(v);
    else
        items.emplace_back(s.text, std::move(v));
    return {};
}

result<std::string> interpreter::capture(const block& b, std::shared_ptr<scope> where) {
    std::string out;
    const restore<std::string*> output(out_, &out);
    const restore<std::shared_ptr<scope>> back(scope_, std::move(where));
    RLX_TRY(run(b));
    return out;
}

result<value> interpreter::make_callable(const statement& s, std::string name) {
    auto c = std::make_shared<callable_value>();
    c->name = name;
    const std::weak_ptr<scope> defined_in = scope_;
    c->call = [&s, name, defined_in](interpreter& self, const call_args& args) -> result<value> {
        const auto where = defined_in.lock();
        if (!where)
            return at_line(
                s.line,
                RLX_UNSUPPORTED,
                "\"" + name + "\" is called after the block it was defined in has ended"
            );
        return self.call_macro(s, name, where, args);
    };
    return value(std::shared_ptr<const callable_value>(std::move(c)));
}

result<void> interpreter::run_macro(const statement& s) {
    scope_->set(s.text, RLX_TRY(make_callable(s, s.text)));
    return {};
}

result<void> interpreter::run_call_block(const statement& s) {
    const value callee = RLX_TRY(eval(*s.value->args[0]));
    call_args args = RLX_TRY(eval_args(*s.value));
    args.keywords.emplace_back("caller", RLX_TRY(make_callable(s, "caller")));
    auto v = call(callee, args);
    if (!v.ok()) return std::move(v.error());
    return emit(to_text(*v));
}

result<value> interpreter::call_macro(
    const statement& s,
    const std::string& name,
    const std::shared_ptr<scope>& defined_in,
    const call_args& args
) {
    const restore<int> guard(macro_depth_, macro_depth_ + 1);
    if (macro_depth_ > limits_.macro_depth)
        return at_line(
            s.line,
            RLX_CORRUPT_DATA,
            "macros call each other deeper than " + std::to_string(limits_.macro_depth)
        );
    auto inner = std::make_shared<scope>(defined_in, s.hidden);
    if (args.positional.size() > s.parameters.size())
        return at_line(
            s.line,
            RLX_INVALID_ARGUMENT,
            "macro \"" + name + "\" takes " + std::to_string(s.parameters.size()) + " arguments, " +
                std::to_string(args.positional.size()) + " are given"
        );
    for (const auto& [key, v] : args.keywords) {
        const auto it = std::find_if(s.parameters.begin(), s.parameters.end(), [&](auto& p) {
            return p.name == key;
        });
        const auto index = static_cast<std::size_t>(it - s.parameters.begin());
        if (it == s.parameters.end() && key != "caller")
            return at_line(
                s.line,
                RLX_INVALID_ARGUMENT,
                "macro \"" + name + "\" has no argument \"" + key + "\""
            );
        if (index < args.positional.size())
            return at_line(
                s.line,
                RLX_INVALID_ARGUMENT,
                "macro \"" + name + "\" got the argument \"" + key + "\" twice"
            );
        inner->set(key, v);
    }
    const restore<std::shared_ptr<scope>> back(scope_, inner);
    for (std::size_t i = 0; i < s.parameters.size(); ++i) {
        const parameter& p = s.parameters[i];
        if (i < args.positional.size())
            inner->set(p.name, args.positional[i]);
        else if (!inner->find(p.name))
            inner->set(
                p.name,
                p.fallback ? RLX_TRY(eval(*p.fallback))
                           : value::missing("parameter \"" + p.name + "\"")
            );
    }
    return value(RLX_TRY(capture(s.body, inner)));
}

} // namespace rlx::text::jinja
