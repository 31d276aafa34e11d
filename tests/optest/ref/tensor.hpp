// SPDX-License-Identifier: GPL-3.0-only
// Tensors of the oracle: row-major doubles, whatever the type they stand for.
#pragma once

#include "rlx/abi/graph.h"

#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace optest::ref {

using dims = std::vector<std::int64_t>;

// An input that the op's text calls an error (an index outside a table); a backend must refuse it
// too.
struct bad_input : std::runtime_error {
    using runtime_error::runtime_error;
};

// The oracle has no answer: an op or a type it does not know. A defect of this program.
struct no_answer : std::runtime_error {
    using runtime_error::runtime_error;
};

inline std::size_t count(const dims& d) {
    std::size_t n = 1;
    for (const std::int64_t x : d)
        n *= static_cast<std::size_t>(x);
    return n;
}

struct tensor {
    std::uint16_t dtype = RLX_F32;
    dims shape;
    std::vector<double> data;

    tensor() = default;

    tensor(std::uint16_t type, dims d) : dtype(type), shape(std::move(d)), data(count(shape)) {}

    std::int64_t dim(std::size_t i) const { return shape.at(i); }

    std::size_t rank() const { return shape.size(); }

    std::size_t size() const { return data.size(); }

    // Rows of the last axis.
    std::int64_t last() const { return shape.empty() ? 1 : shape.back(); }

    std::size_t rows() const {
        std::size_t n = 1;
        for (std::size_t i = 0; i + 1 < shape.size(); ++i)
            n *= static_cast<std::size_t>(shape[i]);
        return n;
    }

    // Element at a full index; bounds are checked.
    std::size_t place(const dims& index) const {
        std::size_t at = 0;
        for (std::size_t i = 0; i < shape.size(); ++i) {
            if (index.at(i) < 0 || index[i] >= shape[i]) throw bad_input("index outside a tensor");
            at = at * static_cast<std::size_t>(shape[i]) + static_cast<std::size_t>(index[i]);
        }
        return at;
    }

    double operator()(const dims& index) const { return data[place(index)]; }

    double& operator()(const dims& index) { return data[place(index)]; }
};

// f(index) for every index of a shape, in row-major order.
inline void each(const dims& shape, const std::function<void(const dims&)>& f) {
    if (count(shape) == 0) return;
    dims at(shape.size(), 0);
    for (;;) {
        f(at);
        std::size_t i = shape.size();
        while (i > 0 && ++at[i - 1] == shape[i - 1])
            at[--i] = 0;
        if (i == 0) return;
    }
}

// What numpy's broadcasting makes of two shapes.
inline dims broadcast(const dims& a, const dims& b) {
    dims out(std::max(a.size(), b.size()), 1);
    for (const dims* s : {&a, &b})
        for (std::size_t i = 0; i < s->size(); ++i) {
            std::int64_t& to = out[out.size() - s->size() + i];
            if ((*s)[i] != 1) to = (*s)[i];
        }
    return out;
}

// The element of x that stands at `index` of a shape x broadcasts to.
inline double spread(const tensor& x, const dims& index) {
    dims at(x.rank());
    for (std::size_t i = 0; i < x.rank(); ++i) {
        const std::int64_t k = index[index.size() - x.rank() + i];
        at[i] = x.shape[i] == 1 ? 0 : k;
    }
    return x(at);
}

// Rows of a KV state by cache position.
struct kv_rows {
    std::int64_t heads = 0, k_dim = 0, v_dim = 0, page_tokens = 0, pages = 0;
    std::map<std::int64_t, std::pair<std::vector<double>, std::vector<double>>> rows;
};

struct attribute {
    std::int64_t i = 0;
    double f = 0;
    dims list;
};

// One node with numbers in place of handles.
struct call {
    std::uint16_t op = 0;
    std::map<std::uint16_t, attribute> attrs;
    std::vector<const tensor*> in; // null: not given
    kv_rows* state = nullptr;      // of the state input
    std::size_t n_out = 1;
    // Types and shapes the graph expects of the results; the oracle makes its own, mutants may not
    // be able to.
    std::vector<std::pair<std::uint16_t, dims>> out;

    bool has(std::size_t i) const { return i < in.size() && in[i] != nullptr; }

    const tensor& at(std::size_t i) const {
        if (!has(i)) throw no_answer("input " + std::to_string(i) + " is not given");
        return *in[i];
    }

    bool given(std::uint16_t key) const { return attrs.contains(key); }

    std::int64_t i64(std::uint16_t key, std::int64_t otherwise = 0) const {
        const auto it = attrs.find(key);
        return it == attrs.end() ? otherwise : it->second.i;
    }

    double f64(std::uint16_t key, double otherwise = 0) const {
        const auto it = attrs.find(key);
        return it == attrs.end() ? otherwise : it->second.f;
    }

    dims list(std::uint16_t key, dims otherwise = {}) const {
        const auto it = attrs.find(key);
        return it == attrs.end() ? otherwise : it->second.list;
    }

    // List entry i of a per-axis attribute, `otherwise` when the list is absent.
    std::int64_t nth(std::uint16_t key, std::size_t i, std::int64_t otherwise) const {
        const auto it = attrs.find(key);
        return it == attrs.end() || it->second.list.empty() ? otherwise : it->second.list.at(i);
    }

    // Attribute `axis` of input i, counted from the front.
    std::size_t axis(std::size_t i = 0) const {
        const std::int64_t a = i64(RLX_ATTR_axis);
        const auto rank = static_cast<std::int64_t>(at(i).rank());
        return static_cast<std::size_t>(a < 0 ? a + rank : a);
    }
};

using results = std::vector<tensor>;

} // namespace optest::ref
