// SPDX-License-Identifier: GPL-3.0-only
// Mode split: graphs whose nodes are dealt out to two devices at random, through the runtime's own
// partition, must give what one device gives. Finds copies that are forgotten, values that are
// overwritten and states that live on the wrong side. Line of one case:
// Split(seed=7,of=Pattern.mlp(q4_K,m=5,sym=1,seed=11)), or Split(seed=7,of=PATH) of a checkpoint.
#include "modes.hpp"

#include "program.hpp"
#include "rlx/runtime/lm.hpp"

#include <fmt/format.h>

namespace optest {
namespace {

// The same answer for a node however often it is asked for; one seed in four gives long runs
// instead of single nodes.
int dealt(std::uint64_t seed, std::uint32_t node) {
    const std::uint32_t run = seed % 4 == 0 ? node / 5 : node;
    return static_cast<int>(random_numbers(seed * 1000003 + run).bits() & 1);
}

rlx::model_parts parts_of(const context& c, device& second, std::uint64_t seed) {
    rlx::model_parts p{};
    p.backend = &c.dev.api();
    p.backend_self = c.dev.self();
    p.device = c.dev.handle();
    p.device_name = c.dev.name();
    p.second = {&second.api(), second.self(), second.handle(), 0, "second"};
    p.fallback = rlx::fallback_policy::allow;
    p.force = [seed](std::uint32_t node) { return dealt(seed, node); };
    return p;
}

template <class T>
T need(rlx::result<T> r, const char* doing) {
    if (r.ok()) return std::move(*r);
    if (r.error().code == RLX_UNSUPPORTED) throw refused{r.error().message};
    throw broken{fmt::format("{}: {}", doing, r.error().message)};
}

// Input and output memory of one run.
struct run_memory {
    std::vector<std::vector<char>> bytes;
    std::vector<rlx_binding> bind;

    void add(rlx_value v, std::vector<char> content) {
        bytes.push_back(std::move(content));
        bind.push_back({v, 0, bytes.back().data(), nullptr, bytes.back().size()});
    }
};

outcome run_split(const context& c, device& second, const test_case& t, std::uint64_t seed) {
    auto m = build_case(t);
    if (m->must_fail) return {verdict::none, "its inputs are an error"};
    const outputs want = oracle(*m).run(m->inputs);
    const rlx::model_parts p = parts_of(c, second, seed);
    rlx::program_options how;
    how.compute = c.opt.how.compute;
    how.kv = c.opt.how.kv;
    how.page_tokens = static_cast<std::uint32_t>(m->page_tokens);
    const rlx::program_plan plan = need(rlx::program_plan::make(m->graph(), p, how), "plan");
    rlx::graph_program program = need(rlx::graph_program::load(plan, p, {}, nullptr), "load");
    run_memory io;
    for (const auto& [v, x] : m->inputs.inputs)
        io.add(v, ref::encode(x.dtype, x.data));
    for (std::size_t i = 0; i < m->outputs.size(); ++i)
        io.add(
            m->outputs[i], std::vector<char>(ref::bytes_of(want[i].dtype, want[i].size()), '\xff')
        );
    std::vector<rlx::device_buffer> states;
    for (const rlx_value v : m->states) {
        const std::uint64_t page = need(plan.page_bytes(p, v), "page_bytes");
        const std::uint64_t bytes = page * static_cast<std::uint64_t>(m->pages);
        states.push_back(need(program.make_state(v, bytes), "state"));
        io.bind.push_back({v, 0, nullptr, states.back().get(), bytes});
    }
    const auto extents = m->extents(m->inputs);
    for (int round = 0; round < 2; ++round) { // the second time everything is warm
        const auto done = program.run(io.bind, extents, nullptr);
        if (!done.ok()) throw broken{"run: " + done.error().message};
    }
    outputs got;
    const std::size_t first = m->inputs.inputs.size();
    for (std::size_t i = 0; i < want.size(); ++i) {
        ref::tensor y(want[i].dtype, want[i].shape);
        y.data = ref::decode(y.dtype, io.bytes[first + i].data(), y.size());
        got.push_back(std::move(y));
    }
    return compare(*m, got, want, how.compute);
}

// ---- whole checkpoints
// ---------------------------------------------------------------------------------

constexpr std::int64_t evaluated = 21; // tokens of a checkpoint's text

std::vector<float> logits_of(const rlx::model_parts& p, const context& c) {
    rlx::lm_options o;
    o.max_seq = 64;
    o.max_batch = 16; // several steps
    o.compute = c.opt.how.compute;
    o.kv = c.opt.how.kv;
    const auto model = need(rlx::lm_model::open(p, o), "open");
    const auto sequence = need(model->new_sequence(), "sequence");
    std::vector<std::int32_t> tokens;
    random_numbers rng(1);
    for (std::int64_t i = 0; i < evaluated; ++i)
        tokens.push_back(static_cast<std::int32_t>(rng.below(model->vocab_size())));
    std::vector<float> out;
    // A prompt in two steps, then single tokens.
    for (const auto& [first, last] : {std::pair{0, 18}, {18, 19}, {19, 20}, {20, 21}}) {
        const std::span<const std::int32_t> now(
            tokens.data() + first, static_cast<std::size_t>(last - first)
        );
        const rlx::lm_batch_item item{sequence.get(), now, true};
        const auto rows = need(model->eval({&item, 1}), "eval");
        out.insert(out.end(), rows.begin(), rows.end());
    }
    return out;
}

// A checkpoint on one device and on two.
class checkpoint {
public:
    checkpoint(const context& c, device& second, const std::string& path)
        : c_(c), second_(second), path_(path), w_(need(rlx::weights::open(path), "checkpoint")) {
        rlx::plugin_catalog* catalog = c.dev.catalog();
        const auto match = need(catalog->find_family(w_->format(), w_->architecture()), "family");
        plugin_ = need(catalog->load(*match.owner), "family");
        family_ = static_cast<const rlx_family_v1*>(need(plugin_->iface("rlx.family/1"), "family"));
        rlx::model_parts alone = parts(0);
        alone.second = {};
        alone.force = {};
        whole_ = logits_of(alone, c);
    }

    void judge_seed(std::uint64_t seed) {
        c_.out.add(fmt::format("Split(seed={},of={})", seed, path_), guarded([&]() -> outcome {
                       const std::vector<float> split = logits_of(parts(seed), c_);
                       ref::tensor want(
                           RLX_F32,
                           {evaluated, static_cast<std::int64_t>(whole_.size()) / evaluated}
                       );
                       ref::tensor got = want;
                       want.data.assign(whole_.begin(), whole_.end());
                       got.data.assign(split.begin(), split.end());
                       const distance d =
                           judge(got, want, limit_for("Model", false, c_.opt.how.compute));
                       return d.why.empty() ? outcome{} : outcome{verdict::failed, d.why};
                   }));
    }

private:
    rlx::model_parts parts(std::uint64_t seed) {
        rlx::model_parts p = parts_of(c_, second_, seed);
        p.w = w_.get();
        p.family = family_;
        p.family_self = plugin_->table().self;
        return p;
    }

    const context& c_;
    device& second_;
    std::string path_;
    std::unique_ptr<rlx::weights> w_;
    rlx::plugin* plugin_ = nullptr;
    const rlx_family_v1* family_ = nullptr;
    std::vector<float> whole_;
};

// A checkpoint that cannot be opened is one case, skipped or failed.
void run_checkpoint(
    const context& c, device& second, const std::string& path, std::uint64_t seed, std::int64_t n
) {
    std::optional<checkpoint> model;
    const outcome opened = guarded([&]() -> outcome {
        model.emplace(c, second, path);
        return {};
    });
    if (!model) return c.out.add(fmt::format("Split(seed={},of={})", seed, path), opened);
    for (std::int64_t i = 0; i < n; ++i)
        model->judge_seed(seed + static_cast<std::uint64_t>(i));
}

// Split(seed=7,of=X): X is a case when it names an op or a pattern, else the path of a checkpoint.
void replay_split(const context& c, device& second) {
    const std::string& line = c.opt.replay;
    const std::size_t of = line.find(",of=");
    if (!line.starts_with("Split(seed=") || of == line.npos || line.back() != ')')
        throw usage{"--case of mode split is Split(seed=N,of=CASE) or Split(seed=N,of=PATH)"};
    const std::uint64_t seed = parse_case(line.substr(0, of) + ")").seed;
    const std::string what = line.substr(of + 4, line.size() - of - 5);
    if (what.find('(') == what.npos || what.find('/') < what.find('(')) {
        run_checkpoint(c, second, what, seed, 1);
        return;
    }
    const test_case t = parse_case(what);
    check_case(t);
    c.out.add(line, guarded([&] { return run_split(c, second, t, seed); }));
}

} // namespace

void mode_split(const context& c) {
    device_options o = c.opt.device;
    o.backend = c.opt.other;
    if (o.backend != c.opt.device.backend) o.tier.clear(), o.cpu_tier.clear();
    device second(o);
    const std::int64_t n = c.opt.count ? c.opt.count : c.opt.full ? 40 : 4;
    if (!c.opt.replay.empty()) return replay_split(c, second);
    if (!c.opt.model.empty()) return run_checkpoint(c, second, c.opt.model, c.opt.seed, n);
    for (const op_cases& of : pattern_cases()) {
        if (!c.opt.ops.empty() &&
            std::find(c.opt.ops.begin(), c.opt.ops.end(), of.name) == c.opt.ops.end())
            continue;
        for (const test_case& t : list_cases(of, c.opt.full))
            for (std::int64_t i = 0; i < n; ++i) {
                const std::uint64_t seed = c.opt.seed + static_cast<std::uint64_t>(i);
                c.out.add(fmt::format("Split(seed={},of={})", seed, t.line()), guarded([&] {
                              return run_split(c, second, t, seed);
                          }));
            }
    }
}

} // namespace optest
