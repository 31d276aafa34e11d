// SPDX-License-Identifier: GPL-3.0-only
// The cases of the self-test: a node with its data and what it has to give.
#pragma once

#include "program.hpp"

#include <functional>

namespace rlx::vulkan {

// A program of one node whose values are set by hand, no graph behind it.
class bench {
public:
    explicit bench(program& p);

    rlx_value in(std::vector<std::int64_t> dims, std::vector<float> data);
    rlx_value ids(std::vector<std::int64_t> dims, std::vector<std::int32_t> data);
    rlx_value constant(std::uint16_t dtype, std::vector<std::int64_t> dims, std::string bytes);
    rlx_value out(std::vector<std::int64_t> dims, std::uint16_t dtype = RLX_F32);
    result<rlx_value> state(const rlx_state_slot& slot, std::uint64_t pages);
    void attr(std::uint16_t key, std::int64_t v);
    void attr(std::uint16_t key, double v);
    // Adds the step. The attributes given so far are its own.
    status
    node(std::uint16_t op, std::vector<rlx_value> in, rlx_value out, rlx_value second_out = 0);
    // Runs all steps; the result of `out`.
    result<std::vector<float>> run(rlx_value out);

private:
    rlx_value add(std::uint16_t dtype, std::vector<std::int64_t> dims, std::string bytes);

    program& p_;
    std::vector<std::string> data_; // by value
    std::vector<rlx_attr> attrs_;
    std::vector<std::vector<rlx_attr>> kept_attrs_;
    std::vector<std::vector<rlx_value>> kept_values_;
    std::unique_ptr<memory_block> state_;
    rlx_value next_ = 1;
};

struct self_case {
    std::string name; // of the op, with the format of stored weights
    // Builds, runs, and gives what came out and what should have.
    std::function<status(bench& b, std::vector<float>& got, std::vector<double>& want)> run;
};

// The case for a node of an op over weights of a stored format (null: none); no run: nothing to
// try.
self_case find_case(std::uint16_t op, const matrix_format* format);

// One for every op, and for every format it has.
std::vector<self_case> all_cases();

// Element i of a row of a file's blocks, in double precision.
double stored_element(std::uint16_t dtype, const unsigned char* row, std::int64_t i);

} // namespace rlx::vulkan
