// SPDX-License-Identifier: GPL-3.0-only
#include "driver.hpp"
#include "loan.hpp"

#include "rlx/abi/op.h"
#include "rlx/base/wall.hpp"
#include "rlx/graph/graph.hpp"

#include <cstring>

namespace conformance {
namespace {

// One guess of what an op may take: every input alike.
struct guess {
    std::uint16_t dtype;
    std::vector<std::int64_t> dims;
};

const std::vector<guess>& guesses() {
    static const std::vector<guess> list = {
        {RLX_F32, {2, 4}},
        {RLX_F32, {8}},
        {RLX_F32, {2, 4, 4}},
        {RLX_F32, {1, 2, 4, 4}},
        {RLX_F32, {}},
        {RLX_I32, {2, 4}},
        {RLX_I32, {8}}};
    return list;
}

std::uint64_t bytes_of(const rlx_op_shape& s) {
    std::uint64_t n = s.dtype == RLX_F64 || s.dtype == RLX_I64 ? 8 : 4;
    for (int i = 0; i < s.rank; i++)
        n *= static_cast<std::uint64_t>(s.dim[i]);
    return n;
}

class op_driver final : public driver {
public:
    op_driver(const subject& s, const void* table)
        : t_(static_cast<const rlx_op_v1*>(table)), self_(s.table().self) {}

    std::string name() const override { return "rlx.op/1"; }

    std::string missing_members() const override {
        std::string out;
        if (!RLX_HAS(t_, count)) out += " count";
        if (!RLX_HAS(t_, describe)) out += " describe";
        if (!RLX_HAS(t_, infer)) out += " infer";
        if (!RLX_HAS(t_, run)) out += " run";
        return out;
    }

    std::vector<std::string> names() override {
        std::vector<std::string> out;
        const std::uint32_t n = count();
        for (std::uint32_t i = 0; i < n; i++) {
            rlx_op_desc d{};
            d.size = sizeof d;
            if (rlx_error* e = describe(i, &d)) throw failed{"describe fails: " + take(e).message};
            out.emplace_back(rlx::view(d.name));
        }
        return out;
    }

    life_result life() override {
        const std::uint32_t n = count();
        for (std::uint32_t i = 0; i < n; i++) {
            rlx_op_desc d{};
            d.size = sizeof d;
            if (rlx_error* e = describe(i, &d)) return {take(e), "describe"};
            check_description(d);
            if (life_result r = use(i, d); !r.ok()) return r;
        }
        return {};
    }

    void null_arguments() override {
        const std::uint32_t n = count();
        rlx_op_desc d{};
        d.size = sizeof d;
        must_fail("describe without a result", describe(0, nullptr));
        must_fail("describe of op " + std::to_string(n), describe(n, &d));
        must_fail("infer without args", infer(0, nullptr));
        must_fail("run without args", run(0, nullptr));
        for (const std::uint32_t op : {0U, n}) {
            rlx_op_infer a{};
            a.size = sizeof a;
            if (op == n)
                must_fail("infer of op " + std::to_string(n), infer(op, &a));
            else if (rlx_error* e = infer(op, &a))
                take(e); // no inputs: an op may allow that
            rlx_op_run r{};
            r.size = sizeof r;
            must_fail("run without outputs", run(op, &r));
        }
        // Numbers of operands without the operands.
        rlx_op_infer a{};
        a.size = sizeof a;
        a.n_in = a.n_out = 1;
        a.shape_stride = sizeof(rlx_op_shape);
        must_fail("infer with operands at NULL", infer(0, &a));
        rlx_op_run r{};
        r.size = sizeof r;
        r.n_in = r.n_out = 1;
        r.tensor_stride = sizeof(rlx_tensor);
        must_fail("run with operands at NULL", run(0, &r));
    }

    void short_structs() override {
        for (const std::uint32_t size : {0U, 4U, 8U}) {
            rlx_op_desc two[2];
            std::memset(two, 0x5a, sizeof two);
            two[0].size = size;
            if (rlx_error* e = describe(0, two)) take(e);
            const auto* bytes = reinterpret_cast<const unsigned char*>(two);
            for (std::size_t i = std::max<std::size_t>(size, 4); i < sizeof two; i++)
                if (bytes[i] != 0x5a)
                    throw failed{
                        "describe wrote behind the " + std::to_string(size) +
                        " bytes of its result"};
            rlx_op_infer a{};
            a.size = size;
            must_fail("infer with args of " + std::to_string(size) + " bytes", infer(0, &a));
            rlx_op_run r{};
            r.size = size;
            must_fail("run with args of " + std::to_string(size) + " bytes", run(0, &r));
        }
    }

private:
    std::uint32_t count() {
        return call("rlx.op/1 count", [&] { return t_->count(self_); });
    }

    rlx_error* describe(std::uint32_t i, rlx_op_desc* out) {
        return call("rlx.op/1 describe", [&] { return t_->describe(self_, i, out); });
    }

    rlx_error* infer(std::uint32_t i, const rlx_op_infer* a) {
        return call("rlx.op/1 infer", [&] { return t_->infer(self_, i, a); });
    }

    rlx_error* run(std::uint32_t i, const rlx_op_run* a) {
        return call("rlx.op/1 run", [&] { return t_->run(self_, i, a); });
    }

    static void check_description(const rlx_op_desc& d) {
        const std::string name(rlx::view(d.name));
        if (name.find('.') == name.npos)
            throw failed{
                "describe gives the name '" + name + "', expected one of a reverse domain"};
        if (d.version < 1 || d.version > 65535 || d.min_inputs > d.max_inputs ||
            d.max_inputs > 64 || d.n_outputs < 1)
            throw failed{
                "describe of " + name + " gives version " + std::to_string(d.version) + ", " +
                std::to_string(d.min_inputs) + " to " + std::to_string(d.max_inputs) + " inputs, " +
                std::to_string(d.n_outputs) + " outputs"};
    }

    // The first guess that infer takes is run; none is no fault, the op may be choosy. Once found
    // it is kept.
    life_result use(std::uint32_t index, const rlx_op_desc& d) {
        const bool known = chosen_.size() > index;
        if (known && chosen_[index] < 0) return {};
        int picked = -1;
        for (std::size_t g = 0; g < guesses().size(); g++) {
            if (known && static_cast<int>(g) != chosen_[index]) continue;
            const life_result r = try_guess(index, d, guesses()[g]);
            if (r.ok()) {
                picked = static_cast<int>(g);
                break;
            }
            if (known || r.where != "infer") return r;
        }
        if (!known) chosen_.push_back(picked);
        return {};
    }

    life_result try_guess(std::uint32_t index, const rlx_op_desc& d, const guess& g) {
        const auto graph = rlx::graph::create(nullptr);
        rlx_op_shape shape{};
        shape.size = sizeof shape;
        shape.dtype = g.dtype;
        shape.rank = static_cast<std::uint16_t>(g.dims.size());
        shape.given = 1;
        std::copy(g.dims.begin(), g.dims.end(), shape.dim);
        const std::vector<rlx_op_shape> in(d.min_inputs, shape);
        const lent<rlx_op_shape> lent_in{std::span(in)};
        rlx_op_shape empty{};
        empty.size = sizeof empty;
        std::vector<rlx_op_shape> out(d.n_outputs, empty);
        rlx_op_infer a{};
        a.size = sizeof a;
        a.n_in = d.min_inputs;
        a.n_out = d.n_outputs;
        a.graph = graph->handle();
        const lent<rlx_op_shape> lent_out{std::span<const rlx_op_shape>(out)};
        a.in = lent_in.data();
        a.out = lent_out.data();
        a.shape_stride = sizeof(rlx_op_shape);
        const lent args(a);
        if (rlx_error* e = infer(index, args.data())) return {take(e), "infer"};
        std::ranges::copy(lent_out.all(), out.begin());
        return compute(index, in, out);
    }

    life_result compute(
        std::uint32_t index,
        const std::vector<rlx_op_shape>& in,
        const std::vector<rlx_op_shape>& out
    ) {
        std::vector<std::vector<std::byte>> memory;
        const auto tensors = [&](const std::vector<rlx_op_shape>& shapes) {
            std::vector<rlx_tensor> list;
            for (const rlx_op_shape& s : shapes) {
                for (int i = 0; i < s.rank && i < RLX_MAX_RANK; i++)
                    if (s.dim[i] < 0 || s.dim[i] > 1 << 20)
                        throw failed{"infer gives a dimension of " + std::to_string(s.dim[i])};
                rlx_tensor t{};
                t.size = sizeof t;
                t.dtype = s.dtype;
                t.rank = s.rank;
                std::copy_n(s.dim, RLX_MAX_RANK, t.dim);
                t.n_bytes = bytes_of(s);
                memory.emplace_back(t.n_bytes + 64, std::byte{0});
                t.data = memory.back().data();
                list.push_back(t);
            }
            return list;
        };
        const auto in_host = tensors(in), out_host = tensors(out);
        const lent<rlx_tensor> inputs{std::span(in_host)}, outputs{std::span(out_host)};
        rlx_op_run r{};
        r.size = sizeof r;
        r.n_in = static_cast<std::uint32_t>(in.size());
        r.n_out = static_cast<std::uint32_t>(out.size());
        r.in = inputs.data();
        r.out = outputs.data();
        r.tensor_stride = sizeof(rlx_tensor);
        const lent args(r);
        if (rlx_error* e = run(index, args.data())) return {take(e), "run"};
        return {};
    }

    const rlx_op_v1* t_;
    void* self_;
    std::vector<int> chosen_; // per op, -1: nothing here fits it
};

} // namespace

std::unique_ptr<driver> drive_op(const subject& s, const void* table) {
    return std::make_unique<op_driver>(s, table);
}

} // namespace conformance
