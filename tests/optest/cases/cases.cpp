// SPDX-License-Identifier: GPL-3.0-only
#include "cases.hpp"

#include "rlx/graph/ops.hpp"

#include <algorithm>

namespace optest {

void sink::add(std::vector<std::string> types, std::vector<arg> args) {
    test_case c;
    c.op = op_;
    c.types = std::move(types);
    for (arg& a : args)
        c.args.emplace_back(std::move(a.key), std::move(a.value));
    c.seed = cases.size() + 1;
    cases.push_back(std::move(c));
}

std::vector<op_cases> all_cases() {
    std::vector<op_cases> out;
    for (const auto group :
         {view_cases(),
          index_cases(),
          elementwise_cases(),
          norm_cases(),
          linear_cases(),
          rope_cases(),
          attention_cases(),
          conv_cases(),
          arrange_cases(),
          image_cases(),
          recurrent_cases(),
          pattern_cases()})
        out.insert(out.end(), group.begin(), group.end());
    return out;
}

const op_cases& cases_of(std::string_view name) {
    static const std::vector<op_cases> all = all_cases();
    for (const op_cases& c : all)
        if (c.name == name) return c;
    throw usage{"no cases are called '" + std::string(name) + "', see --list"};
}

std::vector<test_case> list_cases(const op_cases& of, bool full) {
    sink s(std::string(of.name), full);
    of.list(s);
    return std::move(s.cases);
}

std::unique_ptr<model> build_case(const test_case& c) {
    const op_cases& of = cases_of(c.op);
    auto m = std::make_unique<model>(c);
    const rlx::op_desc* op = rlx::op_by_name(c.op);
    if (op && op->kind != rlx::op_kind::view) m->tested.push_back(op->id);
    of.build(*m);
    return m;
}

std::vector<std::int64_t> sizes(bool full) {
    std::vector<std::int64_t> out{0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 67};
    if (full) out.insert(out.end(), {2, 4, 5, 32, 63, 65, 127, 128, 129, 131, 255, 256, 257, 1031});
    return out;
}

bool is_super(std::string_view type) {
    return ref::is_packed(type_named(type)) && ref::bytes_of(type_named(type), 32) == 0;
}

axes shape_of(model& m, std::string_view key, std::vector<std::int64_t> otherwise) {
    axes out = plain(m.given().list(key, std::move(otherwise)));
    if (!out.empty()) out[0] = m.dim("N", out[0].n);
    return out;
}

std::vector<std::int64_t> cuts(const std::vector<std::int64_t>& lengths) {
    std::vector<std::int64_t> out{0};
    for (const std::int64_t n : lengths)
        out.push_back(out.back() + n);
    return out;
}

} // namespace optest
