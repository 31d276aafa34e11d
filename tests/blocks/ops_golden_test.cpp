// SPDX-License-Identifier: GPL-3.0-only
// Every op case of the golden files on every tier: weights packed at load time and made at run
// time, composites claimed and decomposed, larger upper bounds than the run's sizes.
#include "golden.hpp"
#include "rlx/graph/ops.hpp"

#include <nlohmann/json.hpp>

using namespace rlx;
using namespace rlx::cpu_test;
using rlx::block_test::array;
using rlx::block_test::error_of;
using rlx::block_test::golden;
using rlx::block_test::golden_file;
using json = nlohmann::json;

namespace {

struct variant {
    const char* tier;
    bool weights = true; // parameters come from the checkpoint, else they are inputs
    bool claimed = true; // composites as one step
    bool symbols = true; // dims are symbols
};

constexpr double limit = 1e-5;

// make_blocks.py, make_ops.py
constexpr const char* files[] = {
    "ops.safetensors",
    "index_ops.safetensors",
    "image_ops.safetensors",
    "sequence_ops.safetensors"};

std::vector<std::uint16_t> composites() {
    std::vector<std::uint16_t> list;
    for (const op_desc& op : op_list())
        if (op.kind == op_kind::composite) list.push_back(op.id);
    return list;
}

std::vector<attr> attributes(const op_desc& op, const json& list) {
    std::vector<attr> out;
    for (const attr_desc& d : op.attrs) {
        const auto it = list.find(d.name);
        if (it == list.end()) continue;
        if (d.kind == RLX_ATTR_LIST)
            out.emplace_back(d.key, it->get<std::vector<dim>>());
        else if (d.kind == RLX_ATTR_F64)
            out.emplace_back(d.key, it->get<double>());
        else
            out.emplace_back(d.key, it->get<std::int64_t>());
    }
    return out;
}

// One case as a graph of one node.
class op_case {
public:
    op_case(const golden_file& file, const std::string& name, const json& c, const variant& v)
        : file_(file), name_(name), case_(c), variant_(v), net_(&weights_) {}

    void run();

private:
    const array& tensor(const std::string& part) const {
        return file_.tensors.at(name_ + "/" + part);
    }

    bool there(const std::string& part) const {
        return file_.tensors.count(name_ + "/" + part) != 0;
    }

    bool holds(const char* list, std::size_t i) const {
        for (const json& j : case_.at(list))
            if (j.get<std::size_t>() == i) return true;
        return false;
    }

    std::vector<dim> dims_of(std::size_t i, const array& a);
    rlx_value operand(std::size_t i);

    const golden_file& file_;
    std::string name_;
    const json& case_;
    variant variant_;
    memory_weights weights_;
    net net_;
    std::map<std::string, dim> extents_;
    std::vector<std::pair<rlx_value, const array*>> inputs_;
};

std::vector<dim> op_case::dims_of(std::size_t i, const array& a) {
    std::vector<dim> dims = a.dims;
    const auto list = case_.at("dims").find(std::to_string(i));
    if (list == case_.at("dims").end() || !variant_.symbols) return dims;
    for (std::size_t k = 0; k < dims.size(); ++k) {
        const json& d = list->at(k);
        if (!d.is_string()) continue;
        const std::string symbol = d.get<std::string>();
        extents_[symbol] = a.dims[k];
        dims[k] = net_.sym(symbol, 2 * a.dims[k] + 3);
    }
    return dims;
}

rlx_value op_case::operand(std::size_t i) {
    if (holds("absent", i)) return 0;
    const std::string part = "in" + std::to_string(i);
    const array& a = tensor(part);
    if (variant_.weights && holds("weights", i)) {
        if (case_.at("bf16").get<bool>())
            weights_.bf16(part, a.dims, a.v);
        else
            weights_.f32(part, a.dims, a.v);
        return net_.weight(part, a.dims);
    }
    const rlx_value v = net_.in(part, a.whole ? RLX_I32 : RLX_F32, dims_of(i, a));
    inputs_.emplace_back(v, &a);
    return v;
}

void op_case::run() {
    const op_desc& op = *op_by_name(case_.at("op").get<std::string>());
    std::vector<rlx_value> in;
    while (there("in" + std::to_string(in.size())) || holds("absent", in.size()))
        in.push_back(operand(in.size()));
    const auto made = net_.add_all(op.id, in, attributes(op, case_.at("attrs")), op.n_outputs);
    std::vector<std::pair<rlx_value, const array*>> outs;
    std::map<rlx_value, std::size_t> sizes;
    for (std::size_t i = 0; i < made.size(); ++i) {
        const std::string tail = i ? std::to_string(i) : "";
        const array& want = tensor("out" + tail);
        outs.emplace_back(net_.output("y" + tail, made[i]), &want);
        sizes[outs.back().first] = want.v.size() + want.ids.size();
    }
    setup how{variant_.tier};
    if (!variant_.claimed) how.refused = composites();
    session s(net_, how);
    ASSERT_EQ(s.error, "");
    for (const auto& [v, a] : inputs_)
        a->whole ? s.set(v, a->ids) : s.set(v, a->v);
    std::vector<std::pair<std::string_view, dim>> extents(extents_.begin(), extents_.end());
    for (int again = 0; again < 2; ++again) { // the second run finds used memory
        ASSERT_EQ(s.run(extents, sizes), "");
        for (const auto& [v, want] : outs) {
            if (want->whole)
                EXPECT_EQ(s.i32(v), want->ids);
            else
                EXPECT_LE(error_of(s.f32(v), want->v), limit);
        }
    }
}

class ops_golden : public block_test::tier_test {
protected:
    void all(variant v) {
        for (const char* file : files) {
            const golden_file& g = golden(file);
            ASSERT_FALSE(g.metadata.empty()) << file;
            for (const auto& [name, text] : g.metadata) {
                SCOPED_TRACE(name);
                op_case(g, name, json::parse(text), v).run();
            }
        }
    }
};

} // namespace

TEST_P(ops_golden, weights_from_a_checkpoint) {
    all({GetParam()});
}

TEST_P(ops_golden, weights_made_at_run_time) {
    all({GetParam(), false});
}

TEST_P(ops_golden, composites_decomposed) {
    all({GetParam(), true, false});
}

TEST_P(ops_golden, known_sizes) {
    all({GetParam(), true, true, false});
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    ops_golden,
    testing::Values("baseline", "avx2", "avx512", "avx512_vnni", "amx"),
    [](const auto& p) { return std::string(p.param); }
);
