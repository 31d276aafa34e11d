// SPDX-License-Identifier: GPL-3.0-only
// Mode perf: time, bytes moved and operations done per op and shape. Bytes: every input and weight
// read once, every output written once.
#include "modes.hpp"

#include "rlx/base/threads.hpp"

#include <fmt/format.h>

namespace optest {
namespace {

using clock = std::chrono::steady_clock;

// Shapes of models of about 1e9 parameters, in the notation of the cases.
constexpr const char* shapes[] = {
    "MatMul(f32,f32,m=1,k=2048,n=2048)",
    "MatMul(bf16,f32,m=1,k=2048,n=2048)",
    "MatMul(f16,f32,m=1,k=2048,n=2048)",
    "MatMul(q8_0,f32,m=1,k=2048,n=2048)",
    "MatMul(q4_0,f32,m=1,k=2048,n=2048)",
    "MatMul(q4_K,f32,m=1,k=2048,n=2048)",
    "MatMul(q6_K,f32,m=1,k=2048,n=2048)",
    "MatMul(f32,f32,m=128,k=1024,n=1024)",
    "MatMul(bf16,f32,m=128,k=1024,n=1024)",
    "MatMul(q8_0,f32,m=128,k=1024,n=1024)",
    "MatMul(q4_0,f32,m=128,k=1024,n=1024)",
    "MatMul(q4_K,f32,m=128,k=1024,n=1024)",
    "MatMul(q6_K,f32,m=128,k=1024,n=1024)",
    "BatchMatMul(a=12x128x64,b=12x128x64)",
    "RmsNorm(f32,d=128x2048,p=1)",
    "LayerNorm(f32,d=128x768,p=2)",
    "Softmax(axis=-1,d=128x2048)",
    "Unary(kind=13,d=128x4096)",
    "Binary(f32,kind=1,a=128x4096,b=128x4096)",
    "Glu(kind=1,d=128x4096)",
    "Rope(t=128,h=16,hd=128,dim=128)",
    "Attention(q=1x128x12x12x128x64x64)",
    "RaggedAttention(lengths=128x128x128x128,h=12x12x64x64)",
    "AttentionState(new=1,cached=1023,h=16x8x128x128)",
    "Conv(f32,d=1x64x64x64,out=64,k=3x3,lo=1x1,hi=1x1)",
    "Copy(f32,d=1024x1024,view=perm)",
    "TopK(d=16x32000,k=40)",
    "GatherRows(q4_K,rows=4096,d=2048,ids=128)"};

double flops(const test_case& t) {
    const auto product = [&](const char* key) {
        double n = 1;
        for (const std::int64_t x : t.list(key))
            n *= static_cast<double>(x);
        return n;
    };
    const auto real = [](std::int64_t n) { return static_cast<double>(n); };
    if (t.op == "MatMul") return 2 * real(t.num("m")) * real(t.num("k")) * real(t.num("n"));
    if (t.op == "BatchMatMul") {
        const auto b = t.list("b");
        return 2 * product("a") * real(b[b.size() - 2]);
    }
    if (t.op == "Attention") {
        const auto q = t.list("q");
        return 2 * real(q[0]) * real(q[1]) * real(q[2]) * real(q[4]) * real(q[5] + q[6]);
    }
    if (t.op == "RaggedAttention") {
        double pairs = 0;
        for (const std::int64_t n : t.list("lengths"))
            pairs += real(n) * real(n);
        const auto h = t.list("h");
        return 2 * pairs * real(h[0]) * real(h[2] + h[3]);
    }
    if (t.op == "AttentionState") {
        const auto h = t.list("h");
        return 2 * real(t.list("new")[0]) * real(t.list("new")[0] + t.list("cached")[0]) *
               real(h[0]) * real(h[2] + h[3]);
    }
    if (t.op == "Conv") {
        const auto d = t.list("d");
        return 2 * product("d") * real(t.num("out")) * product("k");
    }
    return 0;
}

double bytes(const model& m, const outputs& out) {
    double n = 0;
    const auto add = [&](const ref::tensor& t) {
        n += static_cast<double>(ref::bytes_of(t.dtype, t.size()));
    };
    for (const auto& [v, t] : m.inputs.inputs)
        add(t);
    if (m.given().op == "GatherRows") {
        n += static_cast<double>(out[0].rows()) *
             static_cast<double>(ref::bytes_of(
                 m.weights.begin()->second.dtype, static_cast<std::size_t>(out[0].last())
             ));
    } else {
        for (const auto& [v, t] : m.weights)
            add(t);
    }
    for (const ref::tensor& t : out)
        add(t);
    return n;
}

// The best of several rounds of at least 20 ms each: what the op costs when nothing disturbs it.
double seconds_of(session& s) {
    double best = 1e30;
    std::int64_t n = 1;
    for (int round = 0; round < 5;) {
        const auto start = clock::now();
        for (std::int64_t i = 0; i < n; ++i)
            s.again();
        const double took = std::chrono::duration<double>(clock::now() - start).count();
        if (took < 0.02 && n < 1000000) {
            n *= 4;
            continue;
        }
        best = std::min(best, took / static_cast<double>(n));
        ++round;
    }
    return best;
}

} // namespace

void mode_perf(const context& c) {
    c.out.note(fmt::format(
        "{}: {}, compute {}, {} threads",
        c.dev.name(),
        c.dev.description(),
        c.opt.how.compute,
        rlx::threads()
    ));
    std::vector<test_case> cases = c.opt.cases;
    if (cases.empty())
        for (const char* line : shapes) {
            test_case t = parse_case(line);
            if (c.opt.ops.empty() ||
                std::find(c.opt.ops.begin(), c.opt.ops.end(), t.op) != c.opt.ops.end())
                cases.push_back(std::move(t));
        }
    for (const test_case& t : cases) {
        nlohmann::json numbers;
        const outcome o = guarded([&]() -> outcome {
            auto m = build_case(t);
            session s(c.dev, *m, c.opt.how);
            const outputs out = s.run(m->inputs);
            const double took = seconds_of(s);
            numbers = {
                {"case", t.line()},
                {"microseconds", took * 1e6},
                {"gb_per_s", bytes(*m, out) / took / 1e9},
                {"gflop_per_s", flops(t) / took / 1e9}};
            return {};
        });
        if (o.what == verdict::passed)
            c.out.note(
                fmt::format(
                    "{:>11.1f} us  {:>8.2f} GB/s  {:>9.2f} GFLOP/s  {}",
                    numbers["microseconds"].get<double>(),
                    numbers["gb_per_s"].get<double>(),
                    numbers["gflop_per_s"].get<double>(),
                    t.line()
                ),
                numbers
            );
        c.out.add(t.line(), o);
    }
}

} // namespace optest
