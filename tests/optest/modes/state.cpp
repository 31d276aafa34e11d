// SPDX-License-Identifier: GPL-3.0-only
// Mode state: a decoder fed in one step, token by token, in ragged batches, and after a rollback
// gives the same logits; each way is also held against the oracle.
#include "modes.hpp"

#include "../cases/lm.hpp"

#include <fmt/format.h>

namespace optest {
namespace {

constexpr std::int64_t length = 37; // crosses two page edges

using step = std::vector<lm_sequence>;

struct plan {
    std::string name; // in lines: State(q4_K,way=ragged,seed=1)
    // The steps, and in each the rows whose logits belong to the text: first row of the step, place
    // in the text.
    std::vector<step> steps;
    std::vector<std::vector<std::pair<std::size_t, std::size_t>>> rows;
};

std::vector<std::int64_t> text_of(std::uint64_t seed) {
    random_numbers rng(seed);
    std::vector<std::int64_t> out(length);
    for (std::int64_t& t : out)
        t = rng.below(lm_vocab);
    return out;
}

std::vector<std::int64_t>
part(const std::vector<std::int64_t>& t, std::size_t first, std::size_t last) {
    return {
        t.begin() + static_cast<std::ptrdiff_t>(first),
        t.begin() + static_cast<std::ptrdiff_t>(last)};
}

const std::vector<std::int64_t> pages{5, 2, 7}, other_pages{1, 4, 0}, third_pages{6};

// Adds a step that feeds text[first, last) alone.
void feed_part(
    plan& p, const std::vector<std::int64_t>& text, std::size_t first, std::size_t last
) {
    p.steps.push_back({{part(text, first, last), static_cast<std::int64_t>(first), pages}});
    p.rows.emplace_back();
    for (std::size_t i = first; i < last; ++i)
        p.rows.back().emplace_back(i - first, i);
}

plan prefill(const std::vector<std::int64_t>& text) {
    plan p{"prefill", {}, {}};
    feed_part(p, text, 0, text.size());
    return p;
}

plan decode(const std::vector<std::int64_t>& text, std::size_t first) {
    plan p{first ? "prefill-decode" : "decode", {}, {}};
    if (first) feed_part(p, text, 0, first);
    for (std::size_t i = first; i < text.size(); ++i)
        feed_part(p, text, i, i + 1);
    return p;
}

plan chunks(const std::vector<std::int64_t>& text, std::size_t n) {
    plan p{fmt::format("chunks-{}", n), {}, {}};
    for (std::size_t i = 0; i < text.size(); i += n)
        feed_part(p, text, i, std::min(i + n, text.size()));
    return p;
}

// The text between two others, all three at different lengths, in pages that interleave.
plan ragged(const std::vector<std::int64_t>& text, const std::vector<std::int64_t>& noise) {
    plan p{"ragged", {}, {}};
    const std::size_t at[] = {0, 9, 10, 26, text.size()};
    const std::size_t before[] = {0, 3, 20, 20, 33};
    for (std::size_t i = 0; i + 1 < std::size(at); ++i) {
        step s;
        s.push_back(
            {part(noise, before[i], before[i + 1]),
             static_cast<std::int64_t>(before[i]),
             other_pages}
        );
        s.push_back({part(text, at[i], at[i + 1]), static_cast<std::int64_t>(at[i]), pages});
        s.push_back({part(noise, i, i + 1), static_cast<std::int64_t>(i), third_pages});
        p.rows.emplace_back();
        const std::size_t first = before[i + 1] - before[i];
        for (std::size_t k = at[i]; k < at[i + 1]; ++k)
            p.rows.back().emplace_back(first + k - at[i], k);
        p.steps.push_back(std::move(s));
    }
    return p;
}

// Another continuation first; then the length goes back and the rows are written again.
plan rollback(const std::vector<std::int64_t>& text, const std::vector<std::int64_t>& noise) {
    plan p{"rollback", {}, {}};
    feed_part(p, text, 0, 19);
    p.steps.push_back({{part(noise, 0, 15), 19, pages}});
    p.rows.emplace_back();
    feed_part(p, text, 19, 33);
    p.steps.push_back({{part(noise, 3, 4), 33, pages}});
    p.rows.emplace_back();
    feed_part(p, text, 33, text.size());
    return p;
}

// Logits of the whole text, [length, vocab]; the oracle's too.
std::pair<ref::tensor, ref::tensor> logits(const context& c, const test_case& t, const plan& p) {
    model m(t);
    const lm_values v = build_lm(m, {});
    oracle o(m);
    // The oracle reads the graph as built; feeds name values, which finish() keeps.
    std::vector<feed> feeds;
    std::vector<outputs> want;
    for (const step& s : p.steps) {
        feeds.push_back(lm_feed(m, v, s));
        want.push_back(o.run(feeds.back()));
    }
    session s(c.dev, m, c.opt.how);
    ref::tensor got_all(RLX_F32, {length, lm_vocab}), want_all = got_all;
    for (std::size_t i = 0; i < feeds.size(); ++i) {
        const outputs got = s.run(feeds[i]);
        for (const auto& [row, at] : p.rows[i])
            for (std::size_t k = 0; k < lm_vocab; ++k) {
                got_all.data[at * lm_vocab + k] = got[0].data[row * lm_vocab + k];
                want_all.data[at * lm_vocab + k] = want[i][0].data[row * lm_vocab + k];
            }
    }
    return {std::move(got_all), std::move(want_all)};
}

// All ways of one element type, or the one that is asked for.
void run_ways(const context& c, const char* type, std::uint64_t seed, const std::string& only) {
    test_case t;
    t.op = "Pattern.lm";
    t.types = {type};
    t.seed = seed;
    const auto text = text_of(seed), noise = text_of(seed + 1);
    const limit& l = limit_for("Model", ref::is_packed(type_named(type)), c.opt.how.compute);
    std::optional<ref::tensor> first;
    bool found = false;
    for (const plan& p :
         {prefill(text),
          decode(text, 0),
          decode(text, 16),
          chunks(text, 5),
          chunks(text, 16),
          ragged(text, noise),
          rollback(text, noise)}) {
        if (!only.empty() && p.name != only) continue;
        found = true;
        const std::string line = fmt::format("State({},way={},seed={})", type, p.name, seed);
        c.out.add(line, guarded([&]() -> outcome {
                      const auto [got, want] = logits(c, t, p);
                      const distance d = judge(got, want, l);
                      if (!d.why.empty()) return {verdict::failed, "against the oracle: " + d.why};
                      // A replay has the first way to be held against too.
                      if (!first) first = only.empty() ? got : logits(c, t, prefill(text)).first;
                      const distance same = judge(got, *first, l);
                      if (!same.why.empty())
                          return {verdict::failed, "against the first way: " + same.why};
                      return {};
                  }));
    }
    if (!found)
        throw usage{fmt::format(
            "State(way={}): expected prefill, decode, prefill-decode, chunks-5, chunks-16, ragged "
            "or rollback",
            only
        )};
}

} // namespace

void mode_state(const context& c) {
    if (!c.opt.replay.empty()) {
        const test_case t = parse_case(c.opt.replay);
        if (t.op != "State" || t.types.size() != 1)
            throw usage{"--case of mode state is State(TYPE,way=NAME,seed=N)"};
        constexpr std::string_view all[] = {"way"};
        check_arguments(t, all);
        return run_ways(c, t.types[0].c_str(), t.seed, t.text("way", "prefill"));
    }
    for (const char* type : {"f32", "bf16", "q8_0", "q4_K"})
        run_ways(c, type, c.opt.seed, {});
}

} // namespace optest
