// SPDX-License-Identifier: GPL-3.0-only
// Milliseconds per step of a text encoder:  encoder_bench CHECKPOINT TEXTS TOKENS [RUNS] [COMPUTE]
// Prints the minimum and the median.
#include "chain.hpp"
#include "rlx/base/environment.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
    using namespace rlx;
    if (argc < 4) {
        std::fprintf(stderr, "usage: encoder_bench CHECKPOINT TEXTS TOKENS [RUNS] [COMPUTE]\n");
        return 2;
    }
    const std::size_t texts = std::strtoul(argv[2], nullptr, 10);
    const std::size_t tokens = std::strtoul(argv[3], nullptr, 10);
    const std::size_t runs = argc > 4 ? std::strtoul(argv[4], nullptr, 10) : 20;
    encoder_options o;
    o.max_tokens = static_cast<std::int64_t>(texts * tokens);
    if (argc > 5) o.compute = argv[5];
    test::chain_options how;
    how.tier = env_string("RLX_CPU").value_or("");
    auto c = test::chain::open_encoder(argv[1], o, how);
    if (!c) {
        std::fprintf(stderr, "encoder_bench: %s\n", c.error().message.c_str());
        return 1;
    }
    const std::vector<std::int32_t> ids(tokens, 2023);
    const std::vector<encoder_text> step(texts, encoder_text{ids});
    std::vector<double> ms;
    for (std::size_t i = 0; i < runs + 2; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        if (auto r = (*c)->encoder().encode(step); !r) {
            std::fprintf(stderr, "encoder_bench: %s\n", r.error().message.c_str());
            return 1;
        }
        const std::chrono::duration<double, std::milli> t =
            std::chrono::steady_clock::now() - begin;
        if (i >= 2) ms.push_back(t.count()); // the first ones warm up
    }
    std::sort(ms.begin(), ms.end());
    std::printf(
        "%.3f %.3f %s %s\n",
        ms.front(),
        ms[ms.size() / 2],
        (*c)->encoder().tier().c_str(),
        (*c)->encoder().compute().c_str()
    );
    return 0;
}
