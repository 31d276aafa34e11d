// SPDX-License-Identifier: GPL-3.0-only
// Attention, AttentionState, RaggedAttention, KvAppend.
#include "ref.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace optest::ref {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

// One query against keys that are given by functions; hidden keys have a score of -inf.
struct query {
    std::int64_t keys = 0;
    std::int64_t width = 0; // of a result row
    std::function<double(std::int64_t)> score;
    std::function<double(std::int64_t, std::int64_t)> value;
};

std::vector<double> attend(const query& q) {
    std::vector<double> p(static_cast<std::size_t>(q.keys)), out(static_cast<std::size_t>(q.width));
    double top = -inf, sum = 0;
    for (std::int64_t j = 0; j < q.keys; ++j) {
        p[static_cast<std::size_t>(j)] = q.score(j);
        top = std::max(top, p[static_cast<std::size_t>(j)]);
    }
    if (std::all_of(p.begin(), p.end(), [](double s) { return s == -inf; })) return out;
    for (double& v : p)
        sum += v = std::exp(v - top);
    for (std::int64_t j = 0; j < q.keys; ++j) {
        const double weight = p[static_cast<std::size_t>(j)] / sum;
        if (weight == 0) continue; // hidden: whatever its value is
        for (std::int64_t d = 0; d < q.width; ++d)
            out[static_cast<std::size_t>(d)] += weight * q.value(j, d);
    }
    return out;
}

double capped(const call& c, double s) {
    s *= c.f64(RLX_ATTR_scale);
    const double cap = c.f64(RLX_ATTR_softcap);
    return cap > 0 ? cap * std::tanh(s / cap) : s;
}

// Whether the query at `position` sees key j.
bool sees(const call& c, std::int64_t position, std::int64_t j) {
    const std::int64_t window = c.i64(RLX_ATTR_window);
    return j <= position && (window <= 0 || j > position - window);
}

results attention(const call& c) {
    const tensor &q = c.at(0), &k = c.at(1), &v = c.at(2);
    const std::int64_t tk = k.dim(1), group = q.dim(2) / k.dim(2);
    const bool causal = c.i64(RLX_ATTR_causal) == 1;
    tensor y(RLX_F32, {q.dim(0), q.dim(1), q.dim(2), v.dim(3)});
    each({q.dim(0), q.dim(1), q.dim(2)}, [&](const dims& at) {
        const std::int64_t b = at[0], i = at[1], h = at[2], kh = h / group;
        query one{tk, v.dim(3), {}, {}};
        one.score = [&](std::int64_t j) {
            if (causal && !sees(c, i + tk - q.dim(1), j)) return -inf;
            double s = 0;
            for (std::int64_t d = 0; d < q.dim(3); ++d)
                s += q({b, i, h, d}) * k({b, j, kh, d});
            s = capped(c, s);
            return c.has(3) ? s + spread(c.at(3), {b, h, i, j}) : s;
        };
        one.value = [&](std::int64_t j, std::int64_t d) { return v({b, j, kh, d}); };
        const auto row = attend(one);
        for (std::int64_t d = 0; d < v.dim(3); ++d)
            y({b, i, h, d}) = row[static_cast<std::size_t>(d)];
    });
    return {y};
}

void check_cuts(const tensor& cu, std::int64_t tokens) {
    for (std::size_t i = 0; i < cu.size(); ++i)
        if (cu.data[i] < 0 || cu.data[i] > static_cast<double>(tokens) ||
            (i == 0 && cu.data[i] != 0) || (i > 0 && cu.data[i] < cu.data[i - 1]) ||
            (i + 1 == cu.size() && cu.data[i] != static_cast<double>(tokens)))
            throw bad_input("cu_seqlens is no partition of the tokens");
}

results ragged_attention(const call& c) {
    const tensor &q = c.at(0), &k = c.at(1), &v = c.at(2), &cu = c.at(3);
    check_cuts(cu, q.dim(0));
    const std::int64_t group = q.dim(1) / k.dim(1);
    const bool causal = c.i64(RLX_ATTR_causal) == 1;
    tensor y(RLX_F32, {q.dim(0), q.dim(1), v.dim(2)});
    for (std::int64_t b = 0; b + 1 < cu.dim(0); ++b) {
        const auto first = static_cast<std::int64_t>(cu({b})),
                   last = static_cast<std::int64_t>(cu({b + 1}));
        each({last - first, q.dim(1)}, [&](const dims& at) {
            const std::int64_t i = at[0], h = at[1], kh = h / group;
            query one{last - first, v.dim(2), {}, {}};
            one.score = [&](std::int64_t j) {
                if (causal && !sees(c, i, j)) return -inf;
                double s = 0;
                for (std::int64_t d = 0; d < q.dim(2); ++d)
                    s += q({first + i, h, d}) * k({first + j, kh, d});
                s = capped(c, s);
                if (!c.has(4)) return s;
                const std::int64_t r = (c.at(4).dim(1) - 1) / 2;
                return s + c.at(4)({h, std::clamp(j - i, -r, r) + r});
            };
            one.value = [&](std::int64_t j, std::int64_t d) { return v({first + j, kh, d}); };
            const auto row = attend(one);
            for (std::int64_t d = 0; d < v.dim(2); ++d)
                y({first + i, h, d}) = row[static_cast<std::size_t>(d)];
        });
    }
    return {y};
}

results kv_append(const call& c) {
    const tensor &k = c.at(1), &v = c.at(2), &slots = c.at(3);
    kv_rows& s = *c.state;
    for (std::int64_t t = 0; t < slots.dim(0); ++t) {
        const auto at = static_cast<std::int64_t>(slots({t}));
        if (at < 0 || at >= s.page_tokens * s.pages)
            throw bad_input("KvAppend: slot outside the state");
        auto& row = s.rows[at];
        row.first.clear();
        row.second.clear();
        for (std::int64_t h = 0; h < s.heads; ++h) {
            for (std::int64_t d = 0; d < s.k_dim; ++d)
                row.first.push_back(k({t, h, d}));
            for (std::int64_t d = 0; d < s.v_dim; ++d)
                row.second.push_back(v({t, h, d}));
        }
    }
    return {tensor()};
}

struct sequence {
    std::int64_t first, last, length; // tokens of this step, rows in the cache
    std::int64_t index;
};

const std::pair<std::vector<double>, std::vector<double>>&
cached(const call& c, const sequence& s, std::int64_t j) {
    const kv_rows& rows = *c.state;
    const auto page = static_cast<std::int64_t>(c.at(4)({s.index, j / rows.page_tokens}));
    if (page < 0 || page >= rows.pages) throw bad_input("AttentionState: page outside the state");
    const auto it = rows.rows.find(page * rows.page_tokens + j % rows.page_tokens);
    if (it == rows.rows.end()) throw no_answer("AttentionState reads a row nobody wrote");
    return it->second;
}

results attention_state(const call& c) {
    const tensor &q = c.at(0), &cu = c.at(2), &lengths = c.at(3);
    const kv_rows& rows = *c.state;
    check_cuts(cu, q.dim(0));
    const std::int64_t group = q.dim(1) / rows.heads;
    tensor y(RLX_F32, {q.dim(0), q.dim(1), rows.v_dim});
    for (std::int64_t b = 0; b < lengths.dim(0); ++b) {
        const sequence s{
            static_cast<std::int64_t>(cu({b})),
            static_cast<std::int64_t>(cu({b + 1})),
            static_cast<std::int64_t>(lengths({b})),
            b};
        if (s.length < s.last - s.first || s.length > c.at(4).dim(1) * rows.page_tokens)
            throw bad_input("AttentionState: kv_lengths do not fit the step or the table");
        each({s.last - s.first, q.dim(1)}, [&](const dims& at) {
            const std::int64_t t = s.first + at[0], h = at[1], kh = h / group;
            const std::int64_t position = s.length - (s.last - t);
            query one{position + 1, rows.v_dim, {}, {}};
            one.score = [&](std::int64_t j) {
                if (!sees(c, position, j)) return -inf;
                const auto& row = cached(c, s, j).first;
                double sum = 0;
                for (std::int64_t d = 0; d < rows.k_dim; ++d)
                    sum += q({t, h, d}) * row[static_cast<std::size_t>(kh * rows.k_dim + d)];
                return capped(c, sum);
            };
            one.value = [&](std::int64_t j, std::int64_t d) {
                return cached(c, s, j).second[static_cast<std::size_t>(kh * rows.v_dim + d)];
            };
            const auto row = attend(one);
            for (std::int64_t d = 0; d < rows.v_dim; ++d)
                y({t, h, d}) = row[static_cast<std::size_t>(d)];
        });
    }
    return {y};
}

} // namespace

std::vector<entry> attention_ops() {
    return {
        {RLX_OP_Attention, attention},
        {RLX_OP_RaggedAttention, ragged_attention},
        {RLX_OP_KvAppend, kv_append},
        {RLX_OP_AttentionState, attention_state},
    };
}

} // namespace optest::ref
