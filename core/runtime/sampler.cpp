// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/runtime/sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace rlx {
namespace {

constexpr std::size_t first_selection = 256;
constexpr std::size_t heap_limit = 1024;

error bad_option(std::string_view name, double value, std::string_view expected) {
    return {RLX_INVALID_ARGUMENT, fmt::format("{} is {}, expected {}", name, value, expected)};
}

result<void> check_options(const sample_options& o, std::int64_t vocab_size) {
    const std::pair<std::string_view, double> numbers[] = {
        {"temperature", o.temperature},
        {"top_p", o.top_p},
        {"min_p", o.min_p},
        {"repetition_penalty", o.repetition_penalty},
        {"presence_penalty", o.presence_penalty},
        {"frequency_penalty", o.frequency_penalty}};
    for (const auto& [name, value] : numbers)
        if (!std::isfinite(value)) return bad_option(name, value, "a finite number");
    if (o.repetition_penalty <= 0)
        return bad_option("repetition_penalty", o.repetition_penalty, "more than 0");
    if (o.temperature < 0) return bad_option("temperature", o.temperature, "0 or more");
    if (o.top_p < 0 || o.top_p > 1) return bad_option("top_p", o.top_p, "0 to 1");
    if (o.min_p < 0 || o.min_p > 1) return bad_option("min_p", o.min_p, "0 to 1");
    if (o.top_k < 0) return bad_option("top_k", static_cast<double>(o.top_k), "0 or more");
    if (o.repetition_window < 0 || o.repetition_window > (std::int64_t{1} << 24))
        return bad_option(
            "repetition_window", static_cast<double>(o.repetition_window), "0 to 16777216"
        );
    for (const auto& [id, bias] : o.logit_bias) {
        if (id < 0 || id >= vocab_size)
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "logit_bias has id {}, the vocabulary has ids 0 to {}", id, vocab_size - 1
                )};
        if (std::isnan(bias) || bias == std::numeric_limits<double>::infinity())
            return bad_option(
                fmt::format("logit_bias of token {}", id), bias, "a number below +inf"
            );
    }
    return {};
}

// Index of the largest logit (the first of equals), or an error for NaN, +inf and nothing but -inf.
result<std::size_t> best_of(std::span<const float> logits) {
    constexpr float inf = std::numeric_limits<float>::infinity();
    float best = -inf;
    std::size_t at = 0;
    bool broken = false;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        broken |= !(logits[i] < inf);
        if (logits[i] > best) {
            best = logits[i];
            at = i;
        }
    }
    if (broken) {
        const auto bad = std::ranges::find_if(logits, [](float x) { return !(x < inf); });
        return error{
            RLX_INTERNAL,
            fmt::format(
                "the logit of token {} is {}: the model's output is broken",
                bad - logits.begin(),
                *bad
            )};
    }
    if (best == -inf)
        return error{RLX_INTERNAL, "every logit is -inf: there is no token to choose"};
    return at;
}

// exp(below * scale) for below <= 0; 1 at 0 even when the scale of a tiny temperature is infinite.
float heat(float below, float scale) {
    return below == 0 ? 1.0F : std::exp(below * scale);
}

} // namespace

std::array<std::uint32_t, 4>
philox4x32(std::uint64_t seed, std::uint64_t index, std::uint64_t stream) {
    std::uint32_t k0 = static_cast<std::uint32_t>(seed),
                  k1 = static_cast<std::uint32_t>(seed >> 32);
    std::array<std::uint32_t, 4> c = {
        static_cast<std::uint32_t>(index),
        static_cast<std::uint32_t>(index >> 32),
        static_cast<std::uint32_t>(stream),
        static_cast<std::uint32_t>(stream >> 32)};
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
        const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
        c = {
            static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0,
            static_cast<std::uint32_t>(p1),
            static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1,
            static_cast<std::uint32_t>(p0)};
        k0 += 0x9E3779B9u; // golden ratio
        k1 += 0xBB67AE85u; // sqrt(3) - 1
    }
    return c;
}

sampler::sampler(const sample_options& options, std::int64_t vocab_size)
    : options_(options), vocab_(static_cast<std::size_t>(vocab_size)) {
    window_.reserve(static_cast<std::size_t>(options.repetition_window));
    counts_.resize(options.repetition_window > 0 ? vocab_ : 0);
    std::size_t drawn_from = vocab_;
    if (truncates())
        drawn_from = std::min(
            options.top_k > 0 ? static_cast<std::size_t>(options.top_k) : first_selection, vocab_
        );
    candidates_.reserve(truncates() ? drawn_from : 0);
    weights_.reserve(options.temperature > 0 ? drawn_from : 0);
}

result<sampler> sampler::make(const sample_options& options, std::int64_t vocab_size) {
    if (vocab_size <= 0)
        return error{RLX_INVALID_ARGUMENT, fmt::format("vocabulary of {} tokens", vocab_size)};
    RLX_CHECK(check_options(options, vocab_size));
    return sampler(options, vocab_size);
}

void sampler::accept(std::int32_t id) {
    const auto limit = static_cast<std::size_t>(options_.repetition_window);
    if (limit == 0 || id < 0 || static_cast<std::size_t>(id) >= vocab_) return;
    ++counts_[static_cast<std::size_t>(id)];
    if (window_.size() < limit) {
        window_.push_back(id);
        return;
    }
    --counts_[static_cast<std::size_t>(window_[window_next_])];
    window_[window_next_] = id;
    window_next_ = (window_next_ + 1) % limit;
}

bool sampler::truncates() const {
    return (options_.top_k > 0 && static_cast<std::size_t>(options_.top_k) < vocab_) ||
           options_.top_p < 1 || options_.min_p > 0;
}

bool sampler::adjusts() const {
    const bool penalties = options_.repetition_penalty != 1 || options_.presence_penalty != 0 ||
                           options_.frequency_penalty != 0;
    return !options_.logit_bias.empty() || (penalties && !window_.empty());
}

void sampler::adjust(std::span<const float> logits) {
    adjusted_.assign(logits.begin(), logits.end());
    for (const auto& [id, bias] : options_.logit_bias)
        adjusted_[static_cast<std::size_t>(id)] += static_cast<float>(bias);
    // counts_ is negated while a token is done, so each is adjusted once however often it occurs.
    for (const std::int32_t id : window_) {
        std::int32_t& count = counts_[static_cast<std::size_t>(id)];
        if (count < 0) continue;
        double x = adjusted_[static_cast<std::size_t>(id)];
        x -= options_.presence_penalty + options_.frequency_penalty * count;
        if (options_.repetition_penalty != 1)
            x = x > 0 ? x / options_.repetition_penalty : x * options_.repetition_penalty;
        adjusted_[static_cast<std::size_t>(id)] = static_cast<float>(x);
        count = -count;
    }
    for (const std::int32_t id : window_) {
        std::int32_t& count = counts_[static_cast<std::size_t>(id)];
        count = std::abs(count);
    }
}

// The n best logits above -inf, in order, into candidates_: one pass with a heap while n is small,
// a selection of all of them otherwise.
void sampler::select_best(std::span<const float> logits, std::size_t n) {
    const auto better = [](const candidate& a, const candidate& b) {
        return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
    };
    const bool heap = n <= heap_limit;
    candidates_.clear();
    float bar = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (!(logits[i] > bar)) continue; // equals come later, so they lose on the id
        if (heap && candidates_.size() == n) {
            std::pop_heap(candidates_.begin(), candidates_.end(), better);
            candidates_.pop_back();
        }
        candidates_.push_back({logits[i], static_cast<std::int32_t>(i)});
        if (!heap) continue;
        std::push_heap(candidates_.begin(), candidates_.end(), better);
        if (candidates_.size() == n) bar = candidates_.front().logit;
    }
    if (!heap && candidates_.size() > n) {
        const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(n);
        std::nth_element(candidates_.begin(), end, candidates_.end(), better);
        candidates_.erase(end, candidates_.end());
    }
    std::sort(candidates_.begin(), candidates_.end(), better);
}

// Fills candidates_ and returns how many of them survive top-k, top-p and min-p: each keeps a
// prefix of the ordered tokens, so the result is the shortest prefix.
std::size_t sampler::truncate(std::span<const float> logits, float best) {
    const bool by_k = options_.top_k > 0 && static_cast<std::size_t>(options_.top_k) < vocab_;
    const bool by_p = options_.top_p < 1;
    const bool by_min = options_.min_p > 0;
    const auto p_of = [best](float x) { return static_cast<double>(std::exp(x - best)); };
    double total = 0;
    std::size_t n =
        by_k ? static_cast<std::size_t>(options_.top_k) : std::min(first_selection, vocab_);
    select_best(logits, n);
    if (by_k)
        for (const candidate& c : candidates_)
            total += p_of(c.logit);
    else if (by_p)
        for (const float x : logits)
            total += p_of(x);
    while (true) {
        std::size_t kept = 0;
        double mass = 0;
        bool closed = by_k || candidates_.size() < n || n == vocab_;
        while (kept < candidates_.size()) {
            const double p = p_of(candidates_[kept].logit);
            if ((by_min && kept > 0 && p < options_.min_p) ||
                (by_p && kept > 0 && mass >= options_.top_p * total)) {
                closed = true;
                break;
            }
            mass += p;
            ++kept;
        }
        if (closed) return kept;
        n = std::min(n * 8, vocab_); // a flat distribution: look further down
        select_best(logits, n);
    }
}

double sampler::uniform() {
    const auto block = philox4x32(options_.seed, drawn_++);
    const std::uint64_t bits = (std::uint64_t{block[1]} << 32) | block[0];
    return static_cast<double>(bits >> 11) * 0x1p-53; // [0, 1)
}

// The first i with r < weight[0] + ... + weight[i]. Rounding may leave r at the total: then the
// last with a chance.
std::size_t sampler::draw(double total) {
    const double r = uniform() * total;
    double sum = 0;
    std::size_t last = 0;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        sum += static_cast<double>(weights_[i]);
        if (weights_[i] > 0) last = i;
        if (r < sum) break;
    }
    return last;
}

std::int32_t sampler::draw_all(std::span<const float> logits, float best) {
    const auto scale = static_cast<float>(1 / options_.temperature);
    double total = 0;
    weights_.resize(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
        weights_[i] = heat(logits[i] - best, scale);
        total += static_cast<double>(weights_[i]);
    }
    return static_cast<std::int32_t>(draw(total));
}

std::int32_t sampler::draw_candidates(std::size_t n) {
    const auto scale = static_cast<float>(1 / options_.temperature);
    const float best = candidates_.front().logit;
    double total = 0;
    weights_.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
        weights_[i] = heat(candidates_[i].logit - best, scale);
        total += static_cast<double>(weights_[i]);
    }
    return candidates_[draw(total)].id;
}

result<std::int32_t> sampler::sample(std::span<const float> logits) {
    if (logits.size() != vocab_)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("{} logits for a vocabulary of {} tokens", logits.size(), vocab_)};
    if (adjusts()) {
        adjust(logits);
        logits = adjusted_;
    }
    const std::size_t best = RLX_TRY(best_of(logits));
    if (options_.temperature <= 0) return static_cast<std::int32_t>(best);
    if (!truncates()) return draw_all(logits, logits[best]);
    return draw_candidates(truncate(logits, logits[best]));
}

} // namespace rlx
