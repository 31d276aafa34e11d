// SPDX-License-Identifier: GPL-3.0-only
// The device: what the host calls, and the entry point.
#include "toy.hpp"

#include <cstring>

namespace {

using namespace toy;

// Buffers are host memory; the SDK has the five members for that.
class device : public sdk::host_buffers<> {
public:
    using program = toy::program;

    static std::uint32_t device_count() { return 1; }

    static status device_info(std::uint32_t index, sdk::options_writer out) {
        if (index != 0) return fail(RLX_NOT_FOUND, "toy: device {} of 1", index);
        return out.set("name", "toy").set("description", "one scalar at a time").done();
    }

    static result<std::unique_ptr<device>> open(std::uint32_t index, sdk::options_view options) {
        if (index != 0) return fail(RLX_NOT_FOUND, "toy: device {} of 1", index);
        const std::string_view tier = RLX_TRY(options.text_or("tier", ""));
        if (!tier.empty() && tier != "scalar")
            return fail(RLX_UNSUPPORTED, "toy: tier '{}', there is only scalar", tier);
        return std::make_unique<device>();
    }

    status supports(
        const rlx_graph* g,
        std::span<const std::uint32_t> nodes,
        std::span<std::uint8_t> verdict,
        std::span<rlx_str> reasons
    ) {
        rlx_compile_args args{};
        args.graph = g;
        args.nodes = nodes.data();
        args.n_nodes = nodes.size();
        program p;
        RLX_CHECK(p.read(args));
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            const char* why = why_not(p.nodes[i], p);
            verdict[i] = why ? RLX_NO : RLX_YES;
            if (i < reasons.size()) reasons[i] = why ? sdk::str(why) : rlx_str{nullptr, 0};
        }
        return {};
    }

    result<rlx_memory> measure(const rlx_compile_args& args) {
        const auto p = RLX_TRY(prepare(args));
        rlx_memory m{};
        m.weights = p->weight_bytes();
        return m;
    }

    result<std::unique_ptr<program>> compile(const rlx_compile_args& args) {
        auto p = RLX_TRY(prepare(args));
        RLX_CHECK(p->load_weights(args));
        return p;
    }

    // What really runs: the host shows it to the user.
    status program_info(program&, sdk::options_writer out) {
        return out.set("tier", "scalar").set("compute", "f32").set("kv", "f32").done();
    }

    status run(program& p, const rlx_run_args& args) {
        RLX_CHECK(p.prepare(args));
        for (const node_view& n : p.nodes) {
            if (sdk::cancelled(args.cancel)) return fail(RLX_CANCELLED, "toy: cancelled");
            RLX_CHECK(run_node(n, p));
        }
        return {};
    }

    result<std::uint64_t> page_bytes(const rlx_compile_args& args, rlx_value state) {
        const rlx_value_info info = RLX_TRY(sdk::graph_reader(args.graph).value(state));
        return program::page_bytes(info.slot, args.page_tokens);
    }

private:
    static result<std::unique_ptr<program>> prepare(const rlx_compile_args& args) {
        const sdk::options_view options(args.options);
        const std::string_view compute = RLX_TRY(options.text_or("compute", "auto"));
        if (compute != "auto" && compute != "f32")
            return fail(RLX_UNSUPPORTED, "toy: compute '{}', this backend has f32 only", compute);
        auto p = std::make_unique<program>();
        RLX_CHECK(p->read(args));
        return p;
    }
};

struct plugin {
    using backend = device;
};

} // namespace

RLX_PLUGIN(plugin)
