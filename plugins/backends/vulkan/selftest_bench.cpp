// SPDX-License-Identifier: GPL-3.0-only
#include "kv.hpp"
#include "ops/ops.hpp"
#include "selftest_cases.hpp"

namespace rlx::vulkan {

namespace {

constexpr std::size_t most_values = 32;

template <class T>
std::string bytes_of(const std::vector<T>& v) {
    return {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(T)};
}

} // namespace

bench::bench(program& p) : p_(p), data_(most_values) {
    p_.tensors.assign(most_values, tensor{}); // steps keep pointers
    p_.roots.assign(most_values, root{});
    kept_attrs_.reserve(most_values);
    kept_values_.reserve(2 * most_values);
}

rlx_value bench::add(std::uint16_t dtype, std::vector<std::int64_t> dims, std::string bytes) {
    const rlx_value v = next_++;
    tensor& t = p_.tensors[v];
    t.id = t.root = v;
    t.dtype = dtype;
    t.rank = static_cast<std::uint32_t>(dims.size());
    t.count = 1;
    for (std::uint32_t a = t.rank; a-- > 0;) {
        t.dim[a] = dims[a];
        t.stride[a] = t.count;
        t.count *= dims[a];
    }
    t.contiguous = true;
    data_[v] = std::move(bytes);
    root& r = p_.roots[v];
    r.where = memory::bound;
    r.kind = RLX_VALUE_INPUT;
    r.packed = element_size(dtype) == 0;
    r.host = data_[v].data();
    return v;
}

rlx_value bench::in(std::vector<std::int64_t> dims, std::vector<float> data) {
    const rlx_value v = add(RLX_F32, std::move(dims), bytes_of(data));
    p_.bound.push_back(v);
    return v;
}

rlx_value bench::ids(std::vector<std::int64_t> dims, std::vector<std::int32_t> data) {
    const rlx_value v = add(RLX_I32, std::move(dims), bytes_of(data));
    p_.bound.push_back(v);
    return v;
}

rlx_value bench::constant(std::uint16_t dtype, std::vector<std::int64_t> dims, std::string bytes) {
    const rlx_value v = add(dtype, std::move(dims), std::move(bytes));
    root& r = p_.roots[v];
    r.where = memory::none;
    r.kind = RLX_VALUE_CONSTANT;
    r.data = {data_[v].data(), data_[v].size()};
    return v;
}

rlx_value bench::out(std::vector<std::int64_t> dims, std::uint16_t dtype) {
    std::size_t n = element_size(dtype);
    for (const std::int64_t d : dims)
        n *= static_cast<std::size_t>(d);
    const rlx_value v = add(dtype, std::move(dims), std::string(n, '\0'));
    p_.roots[v].kind = RLX_VALUE_TEMP;
    p_.roots[v].output = true;
    p_.bound.push_back(v);
    return v;
}

result<rlx_value> bench::state(const rlx_state_slot& slot, std::uint64_t pages) {
    const rlx_value v = add(RLX_F32, {}, {});
    root& r = p_.roots[v];
    r.kind = RLX_VALUE_STATE;
    r.slot = slot;
    r.host = nullptr;
    r.bound_bytes = kv_layout::of(slot, p_.cfg).page_words() * 4 * pages;
    state_ = RLX_TRY(memory_block::make(p_.g, r.bound_bytes, placement::device));
    r.buffer = state_->handle();
    return v;
}

void bench::attr(std::uint16_t key, std::int64_t v) {
    attrs_.push_back({key, RLX_ATTR_I64, 1, v, 0, nullptr, 0});
}

void bench::attr(std::uint16_t key, double v) {
    attrs_.push_back({key, RLX_ATTR_F64, 1, 0, v, nullptr, 0});
}

status
bench::node(std::uint16_t op, std::vector<rlx_value> in, rlx_value out, rlx_value second_out) {
    std::unique_ptr<step> s = find_op(op)->make();
    for (const rlx_value v : in)
        s->n.in.push_back(v ? &p_.tensors[v] : nullptr);
    s->n.out.push_back(&p_.tensors[out]);
    if (second_out) s->n.out.push_back(&p_.tensors[second_out]);
    kept_attrs_.push_back(std::exchange(attrs_, {}));
    kept_values_.push_back(std::move(in));
    rlx_node_info& info = s->n.view.info;
    info.op = op;
    info.n_in = static_cast<std::uint32_t>(kept_values_.back().size());
    info.in = kept_values_.back().data();
    info.attr = kept_attrs_.back().data();
    info.n_attr = static_cast<std::uint32_t>(kept_attrs_.back().size());
    RLX_CHECK(s->prepare(p_));
    p_.steps.push_back(std::move(s));
    return {};
}

result<std::vector<float>> bench::run(rlx_value out) {
    rlx_compile_args none{};
    RLX_CHECK(p_.weights.load(nullptr, none));
    RLX_CHECK(p_.run_bound(nullptr));
    std::vector<float> y(data_[out].size() / 4);
    if (!y.empty()) std::memcpy(y.data(), data_[out].data(), data_[out].size());
    return y;
}

} // namespace rlx::vulkan
