// SPDX-License-Identifier: GPL-3.0-only
// A graph under construction together with the numbers of one run: what a case's builder writes
// into.
#pragma once

#include "case.hpp"
#include "weights.hpp"

#include "../ref/ref.hpp"

#include <memory>

namespace optest {

// An extent: a plain number, or a symbol of the graph with the number of this run.
struct axis {
    std::int64_t handle = 0;
    std::int64_t n = 0;

    axis(std::int64_t plain) : handle(plain), n(plain) {}

    axis(int plain) : axis(static_cast<std::int64_t>(plain)) {}

    axis(std::int64_t h, std::int64_t number) : handle(h), n(number) {}
};

using axes = std::vector<axis>;

axes plain(const std::vector<std::int64_t>& dims);

struct attr {
    attr(std::uint16_t key, std::int64_t v) : raw{key, RLX_ATTR_I64, 1, v, 0, nullptr, 0} {}

    attr(std::uint16_t key, int v) : attr(key, static_cast<std::int64_t>(v)) {}

    attr(std::uint16_t key, double v) : raw{key, RLX_ATTR_F64, 1, 0, v, nullptr, 0} {}

    attr(std::uint16_t key, std::vector<std::int64_t> v)
        : raw{key, RLX_ATTR_LIST, 1, 0, 0, nullptr, v.size()}, list(std::move(v)) {}

    rlx_attr raw;
    std::vector<std::int64_t> list;
};

// The numbers of one run: what is bound to the inputs, and the extents.
struct feed {
    std::vector<std::pair<std::string, std::int64_t>> extents;
    std::map<rlx_value, ref::tensor> inputs;
};

// How the numbers of an operand are drawn. Argument `x` of a case names another way for its first
// operand, or for operand number `on`.
enum class numbers {
    usual,    // [-1, 1)
    positive, // [0.1, 2)
    wide,     // [-8, 8)
    ties,     // -1, 0 or 1
    extreme,  // zeros of both signs, denormals, 1e-30 .. 1e30
    masked,   // [-1, 1) with -inf among them, whole rows of -inf too
    far,      // around 1000, all close together
    huge,     // around +-1e4: exp overflows unless the maximum is taken off
    infinite, // some +inf, -inf
    nan,      // some NaN
    some_nan, // few: most rows have none
    some_inf
};

class model {
public:
    explicit model(test_case c);

    const test_case& given() const { return case_; }

    // A named extent; a symbol with room above n when the case says sym=1.
    axis dim(const char* name, std::int64_t n);
    // a op b for RLX_DIM_*.
    axis dim_op(std::uint32_t op, axis a, axis b);

    // A floating-point operand. Argument `view` of the case makes each of them another kind of
    // view.
    rlx_value operand(const std::string& name, axes dims, numbers how = numbers::usual);
    // An operand of any plain type, small whole numbers (or `how` for floats), views as above.
    rlx_value
    typed(const std::string& name, std::uint16_t dtype, axes dims, numbers how = numbers::usual);
    // An input with these numbers, in their order.
    rlx_value
    input(const std::string& name, std::uint16_t dtype, axes dims, std::vector<double> data);
    rlx_value ints(const std::string& name, axes dims, const std::vector<std::int64_t>& data);
    // A checkpoint's tensor, any type; packed ones hold random blocks.
    rlx_value weight(
        const std::string& name,
        std::uint16_t dtype,
        const ref::dims& dims,
        numbers how = numbers::usual
    );
    rlx_value state(
        const std::string& name,
        std::int64_t heads,
        std::int64_t k,
        std::int64_t v,
        std::uint32_t kind = RLX_STATE_KV
    );

    rlx_value add(std::uint32_t op, std::vector<rlx_value> in, std::vector<attr> attrs = {});
    std::vector<rlx_value> add_many(
        std::uint32_t op, std::vector<rlx_value> in, std::vector<attr> attrs, std::size_t n_out
    );
    rlx_value reshape(rlx_value x, const axes& dims);
    void output(rlx_value v);

    random_numbers& rng() { return rng_; }

    rlx::graph& graph() { return *graph_; }

    const rlx::graph& graph() const { return *graph_; }

    std::vector<std::int64_t> extents(const feed& f) const;
    rlx_value_info info(rlx_value v) const;

    feed inputs;                    // of the case; state mode runs other ones too
    std::vector<rlx_value> outputs; // in the order of output()
    std::vector<rlx_value> states;
    std::int64_t page_tokens = 16, pages = 0;
    bool must_fail = false;            // the inputs are an error; a run that succeeds is wrong
    std::vector<std::uint16_t> tested; // ops the case is about: refused ones make it skipped
    bool packed = false;               // a packed weight takes part
    std::string limit_name;            // row of the table of limits; the case's op unless set
    std::map<rlx_value, ref::tensor> weights;

private:
    std::vector<double> draw(std::size_t n, std::size_t row, numbers how, bool exact = false);
    rlx_value viewed(const std::string& name, std::uint16_t dtype, const axes& dims, numbers how);

    test_case case_;
    random_numbers rng_;
    memory_weights checkpoint_;
    std::unique_ptr<rlx::graph> graph_;
    int n_viewed_ = 0;
};

// A graph rule refused what a case builds, or a builder got it wrong.
struct bad_case {
    std::string why;
};

void must(rlx_error* e);

} // namespace optest
