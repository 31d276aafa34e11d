// SPDX-License-Identifier: GPL-3.0-only
// Every op case of ops.safetensors on every tier: weights packed at load time and made at run time,
// composites claimed and decomposed, larger upper bounds than the run's sizes.
#include "golden.hpp"
#include "rlx/graph/ops.hpp"

#include <nlohmann/json.hpp>

using namespace rlx;
using namespace rlx::cpu_test;
using rlx::block_test::array;
using rlx::block_test::error_of;
using rlx::block_test::golden;
using json = nlohmann::json;

namespace {

struct variant {
    const char* tier;
    bool weights = true; // parameters come from the checkpoint, else they are inputs
    bool claimed = true; // composites as one step
    bool symbols = true; // dims are symbols
};

constexpr double limit = 1e-5;

const std::vector<std::uint16_t> composites = {
    RLX_OP_LayerNorm, RLX_OP_GroupNorm, RLX_OP_Snake, RLX_OP_Modulate, RLX_OP_Attention};

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
    op_case(const std::string& name, const json& c, const variant& v)
        : name_(name), case_(c), variant_(v), net_(&weights_) {}

    void run();

private:
    const array& tensor(const std::string& part) {
        return golden("ops.safetensors").tensors.at(name_ + "/" + part);
    }

    bool holds(const char* list, std::size_t i) const {
        for (const json& j : case_.at(list))
            if (j.get<std::size_t>() == i) return true;
        return false;
    }

    std::vector<dim> dims_of(std::size_t i, const array& a);
    rlx_value operand(std::size_t i);

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
    const rlx_value v = net_.in(part, RLX_F32, dims_of(i, a));
    inputs_.emplace_back(v, &a);
    return v;
}

void op_case::run() {
    const op_desc& op = *op_by_name(case_.at("op").get<std::string>());
    std::vector<rlx_value> in;
    while (golden("ops.safetensors").tensors.count(name_ + "/in" + std::to_string(in.size())) ||
           holds("absent", in.size()))
        in.push_back(operand(in.size()));
    const array& want = tensor("out");
    const rlx_value y = net_.output("y", net_.add(op.id, in, attributes(op, case_.at("attrs"))));
    setup how{variant_.tier};
    if (!variant_.claimed) how.refused = composites;
    session s(net_, how);
    ASSERT_EQ(s.error, "");
    for (const auto& [v, a] : inputs_)
        s.set(v, a->v);
    std::vector<std::pair<std::string_view, dim>> extents(extents_.begin(), extents_.end());
    for (int again = 0; again < 2; ++again) { // the second run finds used memory
        ASSERT_EQ(s.run(extents, {{y, want.v.size()}}), "");
        EXPECT_LE(error_of(s.f32(y), want.v), limit);
    }
}

class ops_golden : public block_test::tier_test {
protected:
    void all(variant v) {
        for (const auto& [name, text] : golden("ops.safetensors").metadata) {
            SCOPED_TRACE(name);
            op_case(name, json::parse(text), v).run();
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
