// SPDX-License-Identifier: GPL-3.0-only
// An op of another plugin: the host runs its CPU reference, on one thread of the region.
#include "steps/steps.hpp"

#include "rlx/sdk/text.hpp"

namespace rlx::cpu {

namespace {

class custom_step final : public step {
public:
    custom_step(std::uint32_t index, const rlx_graph* g) : index_(index), graph_(g) {}

    void run(worker& w) override {
        if (w.thread != 0) return;
        rlx_tensor ins[max_inputs], outs[RLX_CUSTOM_OUTPUTS];
        for (std::size_t i = 0; i < in.size(); ++i)
            ins[i] = show(in[i]);
        for (std::size_t i = 0; i < out.size(); ++i)
            outs[i] = show(out[i]);
        rlx_error* e = sdk::service<rlx_graph_v1>()->run_custom(
            graph_,
            index_,
            ins,
            static_cast<std::uint32_t>(in.size()),
            outs,
            static_cast<std::uint32_t>(out.size()),
            sizeof(rlx_tensor)
        );
        if (!e) return;
        const rlx_str text = sdk::host()->error_message(e);
        w.fail(sdk::host()->error_code(e), "%.*s", static_cast<int>(text.n), text.p);
        sdk::host()->error_free(e);
    }

private:
    static constexpr std::size_t max_inputs = 64;

    static rlx_tensor show(const tensor* t) {
        rlx_tensor out{};
        out.size = sizeof out;
        if (!t) return out;
        out.dtype = t->dtype;
        out.rank = static_cast<std::uint16_t>(t->rank);
        for (std::uint32_t i = 0; i < t->rank; ++i)
            out.dim[i] = t->dim[i];
        out.data = t->data;
        out.n_bytes = static_cast<std::uint64_t>(t->count) * element_size(t->dtype);
        return out;
    }

    std::uint32_t index_;
    const rlx_graph* graph_;
};

} // namespace

step_ptr make_custom(const node& n, const rlx_graph* g) {
    return with_tensors(std::make_unique<custom_step>(n.index, g), n);
}

} // namespace rlx::cpu
