// SPDX-License-Identifier: GPL-3.0-only
// One run of a program: numbers for the extents, addresses for the bindings, then one parallel
// region in which all threads walk the steps.
#include "buffer.hpp"
#include "program.hpp"
#include "rlx/sdk/table.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace rlx::cpu {

std::int64_t tensor::rows() const {
    std::int64_t n = 1;
    for (std::uint32_t i = 0; i + 1 < rank; ++i)
        n *= dim[i];
    return n;
}

std::uint32_t element_size(std::uint16_t dtype) {
    switch (dtype) {
    case RLX_F32:
    case RLX_I32: return 4;
    case RLX_F16:
    case RLX_BF16:
    case RLX_I16: return 2;
    case RLX_I64:
    case RLX_F64: return 8;
    case RLX_I8:
    case RLX_U8:
    case RLX_BOOL:
    case RLX_F8_E4M3:
    case RLX_F8_E5M2: return 1;
    default: return 0;
    }
}

// ---- threads
// ---------------------------------------------------------------------------------------

worker::worker(control& c, std::uint32_t thread_index, std::uint32_t team_threads, void* team)
    : thread(thread_index), n(std::min(team_threads, c.prog->cfg.max_threads)), c_(c), team_(team),
      team_n_(team_threads) {
    const program& p = *c.prog;
    // Threads beyond the planned number own no memory; they only keep the barriers.
    slots_ = c.locals + (thread < n ? thread * p.thread_bytes() : 0);
    local_ = slots_ + p.n_slots * local_activation_bytes;
}

const kernels& worker::k() const {
    return *c_.prog->cfg.k;
}

const char* worker::rows(const activation& a) const {
    if (a.in_place) return a.x->data;
    return a.local ? slots_ + a.slot * local_activation_bytes
                   : c_.workspace + c_.prog->slot_offset[a.slot];
}

char* worker::rows(const activation& a) {
    return const_cast<char*>(std::as_const(*this).rows(a));
}

// Thread 0 decides before the barrier whether to stop, everybody reads the decision after it. Two
// cells in turn: a cell is written again only when all have passed the next barrier.
void worker::barrier() {
    std::atomic<std::uint32_t>& cell = c_.stop[barriers_ & 1];
    ++barriers_;
    if (thread == 0) {
        const bool cancelled = c_.cancel && *c_.cancel;
        cell.store(
            cancelled || c_.failed.load(std::memory_order_relaxed) ? 1 : 0,
            std::memory_order_relaxed
        );
    }
    if (team_n_ > 1) sdk::service<rlx_par_v1>()->barrier(team_);
    if (cell.load(std::memory_order_relaxed)) stopped_ = true;
}

void worker::fail(std::uint32_t code, const char* format, ...) {
    std::uint32_t none = 0;
    if (!c_.failed.compare_exchange_strong(none, 1)) return;
    std::va_list args;
    va_start(args, format);
    std::vsnprintf(c_.message, sizeof c_.message, format, args);
    va_end(args);
    c_.code = code;
}

const char* program::compute_name() const {
    bool have[n_act_forms] = {};
    for (const auto& a : activations)
        have[static_cast<int>(a->form)] = true;
    const bool int8 = have[static_cast<int>(act_form::q8)],
               half = have[static_cast<int>(act_form::bf16)];
    return int8 && half ? "int8 and bf16 activations"
           : int8       ? "int8 activations"
           : half       ? "bf16 activations"
                        : "f32";
}

std::int64_t program::barriers() const {
    return std::count_if(steps.begin(), steps.end(), [](const auto& s) { return s->barrier; });
}

namespace {

const char* op_name(std::uint16_t op) {
    switch (op) {
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule)                               \
    case id:                                                                                       \
        return #name;
#define RLX_OP_ATTR(op, attr, kind, required)
#include "rlx/abi/ops.def"
#undef RLX_OP
#undef RLX_OP_ATTR
    default: return "?";
    }
}

} // namespace

std::map<std::string, program::op_time> program::op_times() const {
    std::map<std::string, op_time> out;
    if (!cfg.time_ops) return out;
    for (const auto& s : steps) {
        op_time& t = out[op_name(s->op)];
        t.ns += s->ns;
        t.calls += s->calls;
    }
    return out;
}

// All threads meet after every step, so that a step's time is that of its slowest thread.
void program::execute_timed(control& c) {
    using clock = std::chrono::steady_clock;
    const auto body = [&c, this](sdk::team t) noexcept {
        worker w(c, t.thread, t.n_threads, t.handle);
        for (const auto& s : steps) {
            const auto start = clock::now();
            s->run(w);
            w.barrier();
            if (w.stopped()) return;
            if (t.thread != 0) continue;
            s->ns += std::chrono::nanoseconds(clock::now() - start).count();
            ++s->calls;
        }
    };
    sdk::parallel(body);
}

void program::execute(control& c) {
    const auto body = [&c, this](sdk::team t) noexcept {
        worker w(c, t.thread, t.n_threads, t.handle);
        for (const auto& s : steps) {
            if (s->barrier) {
                w.barrier();
                if (w.stopped()) return;
            }
            s->run(w);
        }
    };
    sdk::parallel(body);
}

// ---- hazards
// ---------------------------------------------------------------------------------------

range step::whole(const program& p, const tensor& t) const {
    const root& r = p.roots[t.root];
    if (r.where == memory::scratch) return {space_scratch, r.offset, r.offset + r.bytes, 0};
    return {space_root + t.root, 0, UINT64_MAX, 0};
}

void step::touches(const program& p, std::vector<range>& reads, std::vector<range>& writes) const {
    // Row by row only holds for tensors that are their whole root and that the step walks in order.
    const auto add = [&](std::vector<range>& list, const tensor& t) {
        list.push_back(whole(p, t));
        const bool all = t.contiguous && t.offset == 0 && t.count == p.tensors[t.root].count;
        if (row_units && all && t.rows() == row_units) list.back().rows = row_units;
    };
    for (const tensor* t : in) {
        if (t) add(reads, *t);
    }
    for (const tensor* t : out)
        add(writes, *t);
}

namespace {

bool overlap(const std::vector<range>& a, const std::vector<range>& b) {
    for (const range& x : a) {
        for (const range& y : b) {
            if (x.space != y.space || x.lo >= y.hi || y.lo >= x.hi) continue;
            if (x.rows && x.rows == y.rows && x.lo == y.lo && x.hi == y.hi) continue;
            return true;
        }
    }
    return false;
}

} // namespace

void program::place_barriers() {
    std::vector<range> seen_reads, seen_writes, reads, writes;
    for (const auto& s : steps) {
        reads.clear();
        writes.clear();
        s->touches(*this, reads, writes);
        s->barrier = overlap(writes, seen_reads) || overlap(writes, seen_writes) ||
                     overlap(reads, seen_writes);
        if (s->barrier) {
            seen_reads.clear();
            seen_writes.clear();
        }
        seen_reads.insert(seen_reads.end(), reads.begin(), reads.end());
        seen_writes.insert(seen_writes.end(), writes.begin(), writes.end());
    }
}

// ---- extents and bindings
// --------------------------------------------------------------------------

status program::size_tensors(const std::int64_t* values, std::uint32_t n) {
    const auto* api = sdk::service<rlx_graph_v1>();
    numbers.resize(handles.size());
    RLX_CHECK(check(api->eval_dims(
        graph, values, n, handles.data(), static_cast<std::uint32_t>(handles.size()), numbers.data()
    )));
    for (tensor& t : tensors) {
        if (!t.id) continue;
        const std::int64_t* at = numbers.data() + t.first_handle;
        t.count = 1;
        std::int64_t expect = 1;
        t.contiguous = true;
        for (std::uint32_t i = t.rank; i-- > 0;) {
            t.dim[i] = at[i];
            t.stride[i] = at[t.rank + i];
            if (t.dim[i] < 0)
                return fail(
                    RLX_INVALID_ARGUMENT, "a tensor would have a dimension of {}", t.dim[i]
                );
            if (t.dim[i] != 1 && t.stride[i] != expect) t.contiguous = false;
            expect *= t.dim[i];
            t.count *= t.dim[i];
        }
        if (t.count == 0) t.contiguous = true;
        t.offset = at[2 * t.rank];
    }
    return {};
}

status program::resize(const std::int64_t* values, std::uint32_t n) {
    sized = false; // nothing is known to fit until the end
    RLX_CHECK(size_tensors(values, n));
    for (const auto& a : activations) {
        a->cols = a->x->last();
        a->rows = a->x->rows();
        a->stride =
            a->in_place ? static_cast<std::uint64_t>(a->cols) * 4 : act_row_bytes(a->form, a->cols);
        a->local = !a->in_place && !a->from_product &&
                   a->rows * a->cols <= local_activation_elements &&
                   a->stride * static_cast<std::uint64_t>(a->rows) <= local_activation_bytes;
    }
    for (const auto& s : steps)
        RLX_CHECK(s->resize(*this));
    place_barriers();
    extents.assign(values, values + n);
    sized = true;
    return {};
}

status program::bind(const rlx_run_args& args) {
    for (rlx_value v : bound)
        roots[v].base = nullptr;
    for (std::uint64_t i = 0; i < args.n_bind; ++i) {
        const rlx_binding b = sdk::read_element(args.bind, args.bind_stride, i);
        if (b.value == 0 || b.value >= roots.size()) {
            return fail(
                RLX_INVALID_ARGUMENT,
                "binding {} names value {}, the graph has {}",
                i,
                b.value,
                roots.size() - 1
            );
        }
        root& r = roots[b.value];
        if (r.where != memory::bound) continue; // a value this program does not touch
        r.base = static_cast<char*>(b.host);
        r.bound_bytes = b.bytes;
        if (!b.buffer) continue;
        const buffer& have = *reinterpret_cast<const buffer*>(b.buffer);
        r.base = have.memory.data();
        r.bound_bytes = std::min<std::uint64_t>(b.bytes ? b.bytes : have.bytes, have.bytes);
    }
    for (rlx_value v : bound) {
        const root& r = roots[v];
        const tensor& t = tensors[v];
        const bool state = r.kind == RLX_VALUE_STATE;
        const std::uint64_t need =
            state ? 0 : static_cast<std::uint64_t>(t.count) * element_size(t.dtype);
        if (!r.base && (state || need)) {
            return fail(RLX_INVALID_ARGUMENT, "'{}' is not bound", r.name);
        }
        if (r.bound_bytes < need) {
            return fail(
                RLX_INVALID_ARGUMENT,
                "'{}' is bound to {} bytes, {} are needed",
                r.name,
                r.bound_bytes,
                need
            );
        }
    }
    return {};
}

status program::run(const rlx_run_args& args) {
    if ((args.n_extents && !args.extents) || (args.n_bind && !args.bind)) {
        return fail(RLX_INVALID_ARGUMENT, "run: extents or bindings are NULL");
    }
    const bool same = args.n_extents == extents.size() &&
                      std::equal(extents.begin(), extents.end(), args.extents) && sized;
    if (!same) RLX_CHECK(resize(args.extents, args.n_extents));
    RLX_CHECK(bind(args));
    const std::uint64_t need = graph_scratch + scratch_bytes();
    const buffer* scratch = reinterpret_cast<const buffer*>(args.scratch);
    if (!scratch || scratch->bytes < need) {
        return fail(
            RLX_INVALID_ARGUMENT,
            "scratch buffer of {} bytes, {} are needed",
            scratch ? scratch->bytes : 0,
            need
        );
    }
    char* arena = scratch->memory.data();
    for (root& r : roots) {
        if (r.where == memory::scratch) r.base = arena + r.offset;
    }
    for (tensor& t : tensors) {
        if (t.id && roots[t.root].base)
            t.data = roots[t.root].base + t.offset * element_size(t.dtype);
    }
    for (const auto& s : steps) {
        for (auto& ticket : s->ticket)
            ticket.store(0, std::memory_order_relaxed);
    }
    control c;
    c.prog = this;
    c.cancel = args.cancel;
    c.workspace = arena + align64(graph_scratch);
    c.locals = c.workspace + shared_bytes;
    if (args.cancel && *args.cancel) return fail(RLX_CANCELLED, "cancelled before the run");
    cfg.time_ops ? execute_timed(c) : execute(c);
    if (c.failed.load()) return fail(c.code, "{}", std::string_view(c.message));
    if (args.cancel && *args.cancel) return fail(RLX_CANCELLED, "cancelled during the run");
    return {};
}

} // namespace rlx::cpu
