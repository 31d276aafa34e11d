// SPDX-License-Identifier: GPL-3.0-only
#include "backend_graph.hpp"
#include "loan.hpp"

#include "rlx/base/wall.hpp"

#include <cstring>
#include <numeric>

namespace conformance {
namespace {

using rlx::str;

// Everything a compiled sample needs, released in the right order.
struct session {
    void* device = nullptr;
    void* program = nullptr;
    std::vector<rlx_buffer*> buffers;
    std::vector<rlx_binding> bindings;
    rlx_buffer* scratch = nullptr;
    sample_graph sample{};
    rlx::options options;
    rlx_memory memory{};

    rlx_compile_args compile_args() {
        rlx_compile_args a{};
        a.size = sizeof a;
        a.page_tokens = sample_page_tokens;
        a.graph = sample.g->handle();
        a.nodes = sample.nodes.data();
        a.n_nodes = sample.nodes.size();
        a.options = options.handle();
        return a;
    }

    rlx_run_args run_args() {
        rlx_run_args a{};
        a.size = sizeof a;
        a.n_extents = static_cast<std::uint32_t>(sample.extents.size());
        a.extents = sample.extents.data();
        a.bind = bindings.data();
        a.n_bind = bindings.size();
        a.bind_stride = sizeof(rlx_binding);
        a.scratch = scratch;
        return a;
    }
};

#define RLX_CALL(member, ...)                                                                      \
    call("rlx.backend/1 " #member, [&] { return t_->member(__VA_ARGS__); })

// Ends a step of a life at its first error.
#define RLX_STEP(member, ...)                                                                      \
    if (rlx_error* e = RLX_CALL(member, __VA_ARGS__)) return life_result {                         \
            take(e), #member                                                                       \
        }

class backend_driver final : public driver {
public:
    backend_driver(const subject& s, const void* table)
        : subject_(s), t_(static_cast<const rlx_backend_v1*>(table)), self_(s.table().self) {}

    std::string name() const override { return "rlx.backend/1"; }

    std::string missing_members() const override {
        std::string out;
#define M(member)                                                                                  \
    if (!RLX_HAS(t_, member)) out += " " #member;
        M(device_count)
        M(device_info)
        M(open)
        M(close)
        M(supports)
        M(measure)
        M(compile)
        M(program_free)
        M(run)
        M(page_bytes)
        M(alloc)
        M(free)
        M(copy)
        M(upload)
        M(download)
#undef M
        return out;
    }

    life_result life() override {
        choose_sample();
        return life_with(which_);
    }

    void while_open(const std::function<void()>& fn) override {
        choose_sample();
        session s;
        open_all(s);
        fn();
        release(s);
    }

    void null_arguments() override {
        choose_sample();
        null_device();
        session s;
        open_all(s);
        null_compile(s);
        null_run(s);
        null_memory(s);
        release(s);
    }

    void short_structs() override {
        choose_sample();
        session s;
        open_all(s);
        for (const std::uint32_t size : {0U, 4U, 8U}) {
            rlx_compile_args a = s.compile_args();
            a.size = size;
            const std::string with = " with args of " + std::to_string(size) + " bytes";
            void* program = nullptr;
            must_fail("compile" + with, RLX_CALL(compile, s.device, &a, &program));
            rlx_memory m{};
            m.size = sizeof m;
            must_fail("measure" + with, RLX_CALL(measure, s.device, &a, &m));
            std::uint64_t bytes = 0;
            must_fail("page_bytes" + with, RLX_CALL(page_bytes, s.device, &a, 1, &bytes));
            short_result(s, size);
            rlx_run_args r = s.run_args();
            r.size = size;
            must_fail("run" + with, RLX_CALL(run, s.device, s.program, &r));
        }
        release(s);
    }

    std::optional<life_result> cancelled() override {
        choose_sample();
        session s;
        open_all(s);
        const volatile std::uint32_t raised = 1;
        rlx_compile_args a = s.compile_args();
        a.cancel = &raised;
        void* program = nullptr;
        if (rlx_error* e = RLX_CALL(compile, s.device, &a, &program)) {
            const returned_error why = take(e);
            if (why.code != RLX_CANCELLED) return life_result{why, "compile"};
        } else {
            RLX_CALL(program_free, s.device, program);
            throw failed{
                "compile succeeded although its cancel flag was raised, expected RLX_CANCELLED"};
        }
        rlx_run_args r = s.run_args();
        r.cancel = &raised;
        rlx_error* e = RLX_CALL(run, s.device, s.program, &r);
        if (!e)
            throw failed{
                "run succeeded although its cancel flag was raised, expected RLX_CANCELLED"};
        const life_result out{take(e), "run"};
        release(s);
        return out;
    }

private:
    // The first sample this backend runs to the end. Asked once, in a host without faults.
    void choose_sample() {
        if (which_ >= 0) return;
        if (!why_none_.empty()) throw skipped{why_none_};
        if (call("rlx.backend/1 device_count", [&] { return t_->device_count(self_); }) == 0)
            throw skipped{why_none_ = "it has no device on this machine"};
        auto w = rlx::weights::open(subject_.about().samples / "llama");
        if (!w.ok()) throw failed{"the checker stumbled: " + w.error().message};
        weights_ = std::move(*w);
        for (int i = 0; i < n_sample_graphs; i++) {
            const life_result r = life_with(i);
            if (r.ok()) {
                which_ = i;
                return;
            }
            if (r.error.code != RLX_UNSUPPORTED)
                throw failed{r.where + " fails: " + r.error.message};
            why_none_ += std::string(i ? "; " : "") + r.error.message;
        }
        throw skipped{why_none_ = "it runs none of the built-in graphs: " + why_none_};
    }

    life_result life_with(int which) {
        session s;
        const life_result r = whole_life(s, which);
        release(s);
        if (r.ok()) s.sample.check_results();
        return r;
    }

    life_result whole_life(session& s, int which) {
        if (life_result r = open_device(s); !r.ok()) return r;
        if (life_result r = finish_graph(s, which); !r.ok()) return r;
        if (life_result r = compile(s); !r.ok()) return r;
        if (life_result r = bind(s); !r.ok()) return r;
        for (int i = 0; i < 2; i++) {
            rlx_run_args a = s.run_args();
            const lent<rlx_binding> bindings{std::span<const rlx_binding>(s.bindings)};
            const lent<std::int64_t> extents{std::span<const std::int64_t>(s.sample.extents)};
            a.bind = bindings.data();
            a.extents = extents.data();
            const lent args(a);
            RLX_STEP(run, s.device, s.program, args.data());
        }
        return round_trip(s);
    }

    life_result open_device(session& s) {
        // Out of memory it may be 0; the open tells.
        call("rlx.backend/1 device_count", [&] { return t_->device_count(self_); });
        rlx::options facts;
        RLX_STEP(device_info, self_, 0, facts.handle());
        const rlx::options none;
        RLX_STEP(open, self_, 0, none.handle(), &s.device);
        return {};
    }

    life_result finish_graph(session& s, int which) {
        s.sample = make_sample_graph(which, weights_.get());
        returned_error refusal;
        const rlx::graph::claim_fn claims = [&](std::span<const std::uint32_t> nodes,
                                                std::span<std::uint8_t> verdict,
                                                std::span<std::string> reason
                                            ) -> rlx::result<void> {
            std::vector<rlx_str> why(nodes.size());
            rlx_error* e = RLX_CALL(
                supports,
                s.device,
                s.sample.g->handle(),
                nodes.data(),
                nodes.size(),
                verdict.data(),
                why.data()
            );
            if (e) {
                refusal = take(e);
                return rlx::error{refusal.code, refusal.message};
            }
            for (std::size_t i = 0; i < why.size(); i++)
                reason[i] = verdict[i] == RLX_NO ? std::string(rlx::view(why[i])) : "";
            return {};
        };
        auto done = s.sample.g->finish(claims);
        if (refusal.code) return {refusal, "supports"};
        if (!done.ok()) return {{done.error().code, done.error().message}, "supports"};
        s.sample.nodes.resize(rlx::graph_table()->node_count(s.sample.g->handle()));
        std::iota(s.sample.nodes.begin(), s.sample.nodes.end(), 0U);
        s.sample.tensors.back().value = s.sample.g->find_output("y");
        s.options.set_string("compute", "f32").set_string("kv", "f32");
        return {};
    }

    life_result compile(session& s) {
        s.memory = {};
        s.memory.size = sizeof s.memory;
        {
            rlx_compile_args a = s.compile_args();
            const lent<std::uint32_t> nodes{std::span<const std::uint32_t>(s.sample.nodes)};
            a.nodes = nodes.data();
            const lent args(a);
            RLX_STEP(measure, s.device, args.data(), &s.memory);
            RLX_STEP(compile, s.device, args.data(), &s.program);
        }
        if (RLX_HAS(t_, program_info)) {
            rlx::options facts;
            RLX_STEP(program_info, s.device, s.program, facts.handle());
        }
        return {};
    }

    life_result bind(session& s) {
        const auto alloc = [&](std::uint64_t bytes, rlx_buffer** out) -> life_result {
            RLX_STEP(alloc, s.device, bytes, out);
            s.buffers.push_back(*out);
            return {};
        };
        const std::uint64_t arena = s.sample.g->scratch_bytes() + s.memory.scratch;
        if (life_result r = alloc(arena, &s.scratch); !r.ok()) return r;
        for (auto& t : s.sample.tensors)
            s.bindings.push_back({t.value, 0, t.bytes.data(), nullptr, t.bytes.size()});
        const rlx_compile_args args = s.compile_args();
        for (const rlx_value state : s.sample.g->states()) {
            std::uint64_t bytes = 0;
            RLX_STEP(page_bytes, s.device, &args, state, &bytes);
            rlx_buffer* pages = nullptr;
            if (life_result r = alloc(bytes, &pages); !r.ok()) return r;
            s.bindings.push_back({state, 0, nullptr, pages, bytes});
        }
        return {};
    }

    // What is uploaded comes back, also through a copy.
    life_result round_trip(session& s) {
        rlx_buffer* two[2] = {};
        for (rlx_buffer*& b : two) {
            RLX_STEP(alloc, s.device, 64, &b);
            s.buffers.push_back(b);
        }
        char sent[32] = "what goes in has to come out", got[32] = {};
        RLX_STEP(upload, s.device, two[0], 16, rlx_bytes{sent, sizeof sent});
        RLX_STEP(copy, s.device, two[1], 8, two[0], 16, sizeof sent);
        RLX_STEP(download, s.device, two[1], 8, got, sizeof got);
        if (std::memcmp(sent, got, sizeof got) != 0)
            throw failed{"upload, copy and download change the bytes"};
        return {};
    }

    void open_all(session& s) {
        life_result r = open_device(s);
        if (r.ok()) r = finish_graph(s, which_);
        if (r.ok()) r = compile(s);
        if (r.ok()) r = bind(s);
        if (!r.ok()) throw failed{r.where + " fails the second time: " + r.error.message};
    }

    void release(session& s) {
        if (!s.device) return;
        for (rlx_buffer* b : s.buffers)
            RLX_CALL(free, s.device, b);
        if (s.program) RLX_CALL(program_free, s.device, s.program);
        RLX_CALL(close, self_, s.device);
        s.device = s.program = nullptr;
    }

    void null_device() {
        rlx::options bag;
        void* device = nullptr;
        must_fail("device_info without a bag", RLX_CALL(device_info, self_, 0, nullptr));
        must_fail("device_info of device 9999", RLX_CALL(device_info, self_, 9999, bag.handle()));
        must_fail(
            "open without a place for the device", RLX_CALL(open, self_, 0, nullptr, nullptr)
        );
        must_fail("open of device 9999", RLX_CALL(open, self_, 9999, nullptr, &device));
        RLX_CALL(close, self_, nullptr);
        rlx_memory m{};
        m.size = sizeof m;
        rlx_compile_args a{};
        a.size = sizeof a;
        must_fail("measure without a device", RLX_CALL(measure, nullptr, &a, &m));
        must_fail("compile without a device", RLX_CALL(compile, nullptr, &a, &device));
        must_fail(
            "supports without a device",
            RLX_CALL(supports, nullptr, nullptr, nullptr, 0, nullptr, nullptr)
        );
        must_fail("run without a device", RLX_CALL(run, nullptr, nullptr, nullptr));
        rlx_buffer* b = nullptr;
        must_fail("alloc without a device", RLX_CALL(alloc, nullptr, 8, &b));
        std::uint64_t bytes = 0;
        must_fail("page_bytes without a device", RLX_CALL(page_bytes, nullptr, &a, 1, &bytes));
        must_fail("copy without a device", RLX_CALL(copy, nullptr, nullptr, 0, nullptr, 0, 0));
        must_fail("upload without a device", RLX_CALL(upload, nullptr, nullptr, 0, rlx_bytes{}));
        must_fail("download without a device", RLX_CALL(download, nullptr, nullptr, 0, nullptr, 0));
        if (RLX_HAS(t_, program_info))
            must_fail(
                "program_info without a device",
                RLX_CALL(program_info, nullptr, nullptr, bag.handle())
            );
        RLX_CALL(free, nullptr, nullptr);
        RLX_CALL(program_free, nullptr, nullptr);
        // Options are optional.
        if (rlx_error* e = RLX_CALL(open, self_, 0, nullptr, &device))
            throw failed{"open without options fails: " + take(e).message};
        RLX_CALL(close, self_, device);
    }

    void null_compile(session& s) {
        const rlx_compile_args good = s.compile_args();
        rlx_memory m{};
        m.size = sizeof m;
        void* p = nullptr;
        std::uint8_t verdict = 0;
        const std::uint32_t node = 0;
        std::uint64_t bytes = 0;
        must_fail(
            "supports without a graph",
            RLX_CALL(supports, s.device, nullptr, &node, 1, &verdict, nullptr)
        );
        must_fail(
            "supports without nodes",
            RLX_CALL(supports, s.device, good.graph, nullptr, 1, &verdict, nullptr)
        );
        must_fail(
            "supports without verdicts",
            RLX_CALL(supports, s.device, good.graph, &node, 1, nullptr, nullptr)
        );
        if (rlx_error* e = RLX_CALL(supports, s.device, good.graph, &node, 1, &verdict, nullptr))
            throw failed{"supports without reasons fails: " + take(e).message};
        must_fail("measure without args", RLX_CALL(measure, s.device, nullptr, &m));
        must_fail("measure without a result", RLX_CALL(measure, s.device, &good, nullptr));
        must_fail("compile without args", RLX_CALL(compile, s.device, nullptr, &p));
        must_fail(
            "compile without a place for the program", RLX_CALL(compile, s.device, &good, nullptr)
        );
        rlx_compile_args bad = good;
        bad.graph = nullptr;
        must_fail("compile without a graph", RLX_CALL(compile, s.device, &bad, &p));
        must_fail("page_bytes without args", RLX_CALL(page_bytes, s.device, nullptr, 1, &bytes));
        must_fail("page_bytes without a result", RLX_CALL(page_bytes, s.device, &good, 1, nullptr));
        must_fail("page_bytes of no value", RLX_CALL(page_bytes, s.device, &good, 0, &bytes));
        must_fail(
            "page_bytes of value 99999", RLX_CALL(page_bytes, s.device, &good, 99999, &bytes)
        );
        RLX_CALL(program_free, s.device, nullptr);
    }

    void null_run(session& s) {
        const rlx_run_args good = s.run_args();
        must_fail("run without a program", RLX_CALL(run, s.device, nullptr, &good));
        must_fail("run without args", RLX_CALL(run, s.device, s.program, nullptr));
        rlx_run_args bad = good;
        bad.n_bind = 0;
        bad.bind = nullptr;
        must_fail("run without bindings", RLX_CALL(run, s.device, s.program, &bad));
        bad = good;
        bad.n_extents = 0;
        bad.extents = nullptr;
        must_fail("run without extents", RLX_CALL(run, s.device, s.program, &bad));
        bad = good;
        std::vector<rlx_binding> empty = s.bindings;
        for (auto& b : empty)
            b = {b.value, 0, nullptr, nullptr, 0};
        bad.bind = empty.data();
        must_fail("run with bindings to nothing", RLX_CALL(run, s.device, s.program, &bad));
        if (RLX_HAS(t_, program_info)) {
            rlx::options bag;
            must_fail(
                "program_info without a program",
                RLX_CALL(program_info, s.device, nullptr, bag.handle())
            );
            must_fail(
                "program_info without a bag", RLX_CALL(program_info, s.device, s.program, nullptr)
            );
        }
    }

    void null_memory(session& s) {
        rlx_buffer* b = nullptr;
        must_fail("alloc without a result", RLX_CALL(alloc, s.device, 8, nullptr));
        must_fail("alloc of 2^63 bytes", RLX_CALL(alloc, s.device, std::uint64_t{1} << 63, &b));
        RLX_CALL(free, s.device, nullptr);
        if (rlx_error* e = RLX_CALL(alloc, s.device, 8, &b))
            throw failed{"alloc of 8 bytes fails: " + take(e).message};
        char byte = 0;
        must_fail("copy to nothing", RLX_CALL(copy, s.device, nullptr, 0, b, 0, 1));
        must_fail("copy from nothing", RLX_CALL(copy, s.device, b, 0, nullptr, 0, 1));
        must_fail("copy behind the end", RLX_CALL(copy, s.device, b, 8, b, 0, 1));
        must_fail("copy of 2^64-1 bytes", RLX_CALL(copy, s.device, b, 1, b, 1, UINT64_MAX));
        must_fail("upload to nothing", RLX_CALL(upload, s.device, nullptr, 0, rlx_bytes{&byte, 1}));
        must_fail("upload from NULL", RLX_CALL(upload, s.device, b, 0, rlx_bytes{nullptr, 1}));
        must_fail("upload behind the end", RLX_CALL(upload, s.device, b, 8, rlx_bytes{&byte, 1}));
        must_fail(
            "upload at 2^64-1", RLX_CALL(upload, s.device, b, UINT64_MAX, rlx_bytes{&byte, 1})
        );
        must_fail("download from nothing", RLX_CALL(download, s.device, nullptr, 0, &byte, 1));
        must_fail("download to NULL", RLX_CALL(download, s.device, b, 0, nullptr, 1));
        must_fail("download behind the end", RLX_CALL(download, s.device, b, 8, &byte, 1));
        RLX_CALL(free, s.device, b);
    }

    // A result struct shorter than the plugin's: nothing may be written behind its size.
    void short_result(session& s, std::uint32_t size) {
        const rlx_compile_args a = s.compile_args();
        rlx_memory m[2];
        std::memset(m, 0x5a, sizeof m);
        m[0].size = size;
        if (rlx_error* e = RLX_CALL(measure, s.device, &a, m)) take(e);
        const auto* bytes = reinterpret_cast<const unsigned char*>(m);
        for (std::size_t i = std::max<std::size_t>(size, sizeof m[0].size); i < sizeof m; i++) {
            if (bytes[i] != 0x5a)
                throw failed{
                    "measure wrote behind the " + std::to_string(size) + " bytes of its result"};
        }
    }

    const subject& subject_;
    const rlx_backend_v1* t_;
    void* self_;
    std::unique_ptr<rlx::weights> weights_;
    int which_ = -1;
    std::string why_none_;
};

} // namespace

std::unique_ptr<driver> drive_backend(const subject& s, const void* table) {
    return std::make_unique<backend_driver>(s, table);
}

} // namespace conformance
