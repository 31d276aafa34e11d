// SPDX-License-Identifier: GPL-3.0-only
// StateLoad and StateStore: one f32 tensor per page, in the order of its elements.
#include "steps/steps.hpp"

#include <cstring>

namespace rlx::cpu {

namespace {

class tensor_state_step final : public step {
public:
    explicit tensor_state_step(const rlx_state_slot& slot, bool store)
        : bytes_(slot.n_heads * slot.k_dim * slot.v_dim * 4),
          page_(static_cast<std::int64_t>(tensor_page_bytes(slot))), store_(store) {}

    status resize(program& p) override {
        state_ = &p.roots[in[0]->root];
        return {};
    }

    void run(worker& w) override {
        const tensor &ids = *in[store_ ? 2 : 1], &x = store_ ? *in[1] : *out[0];
        const std::int64_t pages = static_cast<std::int64_t>(state_->bound_bytes) / page_;
        const worker::share mine = w.split(ids.count);
        for (std::int64_t b = mine.begin; b < mine.end; ++b) {
            const std::int64_t id = ids.i32()[b];
            if (id < 0 || id >= pages) {
                w.fail(
                    RLX_INVALID_ARGUMENT,
                    "state page %lld is outside [0, %lld)",
                    static_cast<long long>(id),
                    static_cast<long long>(pages)
                );
                continue;
            }
            char *page = state_->base + id * page_, *mem = x.data + b * bytes_;
            std::memcpy(store_ ? page : mem, store_ ? mem : page, static_cast<std::size_t>(bytes_));
        }
    }

private:
    std::int64_t bytes_, page_;
    bool store_;
    const root* state_ = nullptr;
};

} // namespace

std::uint64_t tensor_page_bytes(const rlx_state_slot& slot) {
    return align64(static_cast<std::uint64_t>(slot.n_heads * slot.k_dim * slot.v_dim) * 4);
}

step_ptr make_tensor_state(const node& n, const rlx_state_slot& slot) {
    const bool store = n.info.op == RLX_OP_StateStore;
    return with_tensors(std::make_unique<tensor_state_step>(slot, store), n);
}

} // namespace rlx::cpu
