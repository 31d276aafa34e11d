// SPDX-License-Identifier: GPL-3.0-only
#include "device.hpp"

#include <cstring>
#include <unistd.h>

namespace rlx::cpu {

namespace {

result<tier> parse_tier(std::string_view name, const cpu_features& f) {
    for (int i = 0; i < n_tiers; ++i) {
        const tier t = static_cast<tier>(i);
        if (name != tier_name(t)) continue;
        char missing[160];
        if (!tier_missing(f, t, missing, sizeof missing)) {
            if (t != tier::amx || mm_permit_tiles()) return t;
            return fail(
                RLX_UNSUPPORTED,
                "cpu: tier 'amx' needs the operating system's permission to use tile registers, "
                "which "
                "it refuses; 'avx512_vnni' works without"
            );
        }
        return fail(
            RLX_UNSUPPORTED,
            "cpu: tier '{}' needs {}, which {} lacks; the best it can run is '{}'",
            name,
            std::string_view(missing),
            f.brand[0] ? std::string_view(f.brand) : std::string_view("this processor"),
            std::string_view(tier_name(best_tier(f)))
        );
    }
    return fail(
        RLX_INVALID_ARGUMENT,
        "cpu: unknown tier '{}', expected baseline, avx2, avx512, avx512_vnni or amx",
        name
    );
}

} // namespace

status device::device_info(std::uint32_t index, sdk::options_writer out) {
    if (index != 0) return fail(RLX_NOT_FOUND, "cpu: device {} of 1", index);
    const cpu_features f = detect_features();
    const std::int64_t memory =
        static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
    return out.set("name", "cpu")
        .set("description", f.brand)
        .set("tier", tier_name(best_tier(f)))
        .set("memory", memory)
        .done();
}

result<std::unique_ptr<device>> device::open(std::uint32_t index, sdk::options_view options) {
    if (index != 0) return fail(RLX_NOT_FOUND, "cpu: device {} of 1", index);
    auto d = std::make_unique<device>();
    d->features = detect_features();
    d->isa = best_tier(d->features);
    d->time_ops = RLX_TRY(options.i64_or("time_ops", 0)) != 0;
    const std::string_view forced = RLX_TRY(options.text_or("tier", ""));
    if (!forced.empty() && forced != "auto")
        d->isa = RLX_TRY(parse_tier(forced, d->features));
    else if (d->isa == tier::amx && !mm_permit_tiles())
        d->isa = tier::avx512_vnni;
    return d;
}

result<program_config> device::configure(const rlx_compile_args& args) const {
    const sdk::options_view options(args.options);
    program_config c;
    c.mm.isa = isa;
    c.mm.features = features;
    const std::string_view compute = RLX_TRY(options.text_or("compute", "auto"));
    if (compute == "f16") {
        return fail(
            RLX_UNSUPPORTED,
            "cpu: compute 'f16': there are no f16 products; auto, f32 and, on processors with "
            "AVX512-BF16, bf16 are offered"
        );
    }
    if (compute != "auto" && compute != "f32" && compute != "bf16")
        return fail(RLX_INVALID_ARGUMENT, "cpu: compute '{}', expected auto, f32 or bf16", compute);
    c.bf16 = compute == "bf16";
    mm_packed probe;
    const char* reason = nullptr;
    if (c.bf16 &&
        !(mm_layout(c.mm, {RLX_BF16, 1, 64, 64}, &probe, &reason) && probe.form == act_form::bf16))
        return fail(
            RLX_UNSUPPORTED,
            "cpu: compute 'bf16' needs AVX512-BF16, tier {} has none; auto and f32 are offered",
            tier_name(c.mm.isa)
        );
    c.mm.exact = compute == "f32";
    const std::string_view kv = RLX_TRY(options.text_or("kv", c.mm.exact ? "f32" : "f16"));
    if (kv != "f16" && kv != "f32")
        return fail(RLX_INVALID_ARGUMENT, "cpu: kv '{}', expected f16 or f32", kv);
    c.kv_f16 = kv == "f16";
    c.k = &kernels_for(isa);
    c.page_tokens = args.page_tokens;
    c.max_threads = sdk::team_size();
    c.time_ops = time_ops;
    return c;
}

status device::supports(
    const rlx_graph* g,
    std::span<const std::uint32_t> nodes,
    std::span<std::uint8_t> verdict,
    std::span<rlx_str> reason
) {
    program p;
    p.cfg = RLX_TRY(configure(rlx_compile_args{}));
    std::vector<node> list;
    RLX_CHECK(read_graph(p, g, nodes, list));
    for (std::size_t i = 0; i < list.size(); ++i) {
        const char* why = why_not(list[i], p);
        verdict[i] = why ? RLX_NO : RLX_YES;
        if (i < reason.size())
            reason[i] = why ? rlx_str{why, std::strlen(why)} : rlx_str{nullptr, 0};
    }
    return {};
}

result<std::unique_ptr<program>> device::prepare(const rlx_compile_args& args) const {
    if (!args.graph || (args.n_nodes && !args.nodes))
        return fail(RLX_INVALID_ARGUMENT, "cpu: no graph to compile");
    auto p = std::make_unique<program>();
    p->cfg = RLX_TRY(configure(args));
    build_options how;
    how.fuse = RLX_TRY(sdk::options_view(args.options).i64_or("fuse", 1)) != 0;
    RLX_CHECK(build_program(*p, args, how));
    return p;
}

result<rlx_memory> device::measure(const rlx_compile_args& args) {
    const auto p = RLX_TRY(prepare(args));
    rlx_memory m{};
    m.size = sizeof m;
    m.weights = p->weights.resident_bytes();
    m.mapped = p->weights.mapped_bytes();
    m.scratch = p->scratch_bytes();
    return m;
}

result<std::unique_ptr<program>> device::compile(const rlx_compile_args& args) {
    auto p = RLX_TRY(prepare(args));
    const auto* api = sdk::service<rlx_graph_v1>();
    RLX_CHECK(p->weights.load(api->weights(args.graph), args));
    return p;
}

status device::program_info(program& p, sdk::options_writer out) {
    out.set("tier", tier_name(p.cfg.mm.isa))
        .set("compute", p.compute_name())
        .set("kv", p.cfg.kv_f16 ? "f16" : "f32")
        .set("steps", static_cast<std::int64_t>(p.steps.size()))
        .set("barriers", p.barriers());
    for (const auto& [name, time] : p.op_times())
        out.set("ms." + name, static_cast<double>(time.ns) * 1e-6).set("calls." + name, time.calls);
    return out.done();
}

status device::run(program& p, const rlx_run_args& args) {
    return p.run(args);
}

result<std::uint64_t> device::page_bytes(const rlx_compile_args& args, rlx_value state) {
    const program_config cfg = RLX_TRY(configure(args));
    rlx_value_info info{};
    info.size = sizeof info;
    RLX_CHECK(check(sdk::service<rlx_graph_v1>()->value(args.graph, state, &info)));
    if (info.slot.kind == RLX_STATE_TENSOR) return tensor_page_bytes(info.slot);
    const kv_layout kv = RLX_TRY(kv_layout_of(info.slot, cfg));
    return static_cast<std::uint64_t>(kv.page_bytes());
}

} // namespace rlx::cpu
