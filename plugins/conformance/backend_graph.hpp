// SPDX-License-Identifier: GPL-3.0-only
// Small graphs to run on a backend, from a decoder's attention step down to one addition.
#pragma once

#include "driver.hpp"

#include "rlx/base/options.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"

#include <span>
#include <vector>

namespace conformance {

inline constexpr std::uint32_t sample_page_tokens = 16;

// Memory of one input or output in host memory.
struct host_tensor {
    rlx_value value = 0;
    std::vector<std::byte> bytes;
};

struct sample_graph {
    const char* name;
    std::unique_ptr<rlx::graph> g;
    std::vector<host_tensor> tensors; // inputs, then outputs
    std::size_t n_inputs = 0;
    std::vector<std::uint32_t> nodes;
    std::vector<std::int64_t> extents;
    bool output_is_twice_input = false; // what "add" computes

    // Throws failed when the outputs are no numbers, or the wrong ones.
    void check_results() const;
};

inline constexpr int n_sample_graphs = 3; // 0 "attention", 1 "linear", 2 "add"

// Not finished yet: claims decide what stays.
sample_graph make_sample_graph(int which, rlx::weights* w);

} // namespace conformance
