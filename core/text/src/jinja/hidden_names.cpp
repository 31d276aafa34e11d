// SPDX-License-Identifier: GPL-3.0-only
#include "jinja/hidden_names.hpp"

#include <set>

namespace rlx::text::jinja {
namespace {

// The names that one scope's own statements refer to.
struct scope_names {
    const scope_names* parent = nullptr;
    std::set<std::string> known;
    std::vector<std::string> hidden;

    bool known_outside(const std::string& name) const {
        for (const scope_names* s = parent; s; s = s->parent)
            if (s->known.count(name)) return true;
        return false;
    }

    void load(const std::string& name) { known.insert(name); }

    void store(const std::string& name, bool certain) {
        if (known.insert(name).second && certain && !known_outside(name)) hidden.push_back(name);
    }
};

void load_names(const expression* e, scope_names& s) {
    if (!e) return;
    if (e->kind == expression_kind::name) s.load(e->text);
    for (const auto& a : e->args)
        load_names(a.get(), s);
    for (const auto& k : e->keywords)
        load_names(k.value.get(), s);
}

void visit_own(const block& b, scope_names& s, bool certain);
void visit_inner(block& b, const scope_names& s);

// What a statement reads and assigns in its own scope, in order.
void visit_own(const statement& s, scope_names& names, bool certain) {
    switch (s.kind) {
    case statement_kind::conditional:
        for (const branch& b : s.branches)
            load_names(b.condition.get(), names);
        for (const branch& b : s.branches)
            visit_own(b.body, names, false);
        break;
    case statement_kind::assign:
        load_names(s.value.get(), names);
        for (const std::string& t : s.targets) {
            if (s.text.empty())
                names.store(t, certain);
            else
                names.load(t);
        }
        break;
    case statement_kind::assign_block: names.store(s.targets.front(), certain); break;
    case statement_kind::macro: names.store(s.text, certain); break;
    case statement_kind::with:
        for (const auto& v : s.values)
            load_names(v.get(), names);
        break;
    default: load_names(s.value.get(), names); break;
    }
}

void visit_own(const block& b, scope_names& s, bool certain) {
    for (const statement& st : b)
        visit_own(st, s, certain);
}

// Analyses a block that is a scope of its own; `given` are names that it gets with a value.
std::vector<std::string>
analyse(block& b, const scope_names* parent, const std::vector<std::string>& given) {
    scope_names s;
    s.parent = parent;
    s.known.insert(given.begin(), given.end());
    visit_own(b, s, true);
    visit_inner(b, s);
    return std::move(s.hidden);
}

void visit_inner(statement& st, const scope_names& s) {
    std::vector<std::string> given = st.targets;
    for (const parameter& p : st.parameters)
        given.push_back(p.name);
    switch (st.kind) {
    case statement_kind::conditional:
        for (branch& b : st.branches)
            visit_inner(b.body, s);
        break;
    case statement_kind::loop:
        given.push_back("loop");
        st.hidden = analyse(st.body, &s, given);
        st.hidden_otherwise = analyse(st.otherwise, &s, {});
        break;
    case statement_kind::assign_block: st.hidden = analyse(st.body, &s, {}); break;
    case statement_kind::macro:
        given.push_back("caller");
        st.hidden = analyse(st.body, &s, given);
        break;
    case statement_kind::call_block:
    case statement_kind::filter_block:
    case statement_kind::with:
    case statement_kind::scope: st.hidden = analyse(st.body, &s, given); break;
    default: break;
    }
}

void visit_inner(block& b, const scope_names& s) {
    for (statement& st : b)
        visit_inner(st, s);
}

} // namespace

void find_hidden_names(program& p) {
    p.hidden = analyse(p.body, nullptr, {});
}

} // namespace rlx::text::jinja
