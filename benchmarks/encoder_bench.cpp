// SPDX-License-Identifier: GPL-3.0-only
// Milliseconds per step of an encoder:
//   encoder_bench CHECKPOINT TEXTS TOKENS [RUNS] [COMPUTE]
//   encoder_bench CHECKPOINT image SIZE [RUNS] [COMPUTE]
// Prints the least, the median, the mean processor time of a step (all threads; they wait by
// spinning), the tier and what computed. RLX_CPU forces a tier, RLX_THREADS the threads.
#include "chain.hpp"
#include "rlx/base/environment.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <sys/resource.h>

namespace {

using namespace rlx;

double processor_ms() {
    rusage u{};
    getrusage(RUSAGE_SELF, &u);
    const auto ms = [](const timeval& t) {
        return 1e3 * static_cast<double>(t.tv_sec) + 1e-3 * static_cast<double>(t.tv_usec);
    };
    return ms(u.ru_utime) + ms(u.ru_stime);
}

// Steps and what ran them; each step returns an error or nothing.
struct bench {
    std::unique_ptr<test::chain> chain;
    std::function<result<void>()> step;
    std::string tier, compute;
};

result<bench>
open_text(const char* path, std::size_t texts, std::size_t tokens, const std::string& compute) {
    test::chain_options how;
    how.tier = env_string("RLX_CPU").value_or("");
    encoder_options o;
    o.max_tokens = static_cast<std::int64_t>(texts * tokens);
    o.compute = compute;
    bench b;
    b.chain = RLX_TRY(test::chain::open_encoder(path, o, how));
    encoder_model& m = b.chain->encoder();
    b.step = [&m, texts, ids = std::vector<std::int32_t>(tokens, 2023)]() -> result<void> {
        const std::vector<encoder_text> batch(texts, encoder_text{ids});
        RLX_TRY(m.encode(batch));
        return {};
    };
    b.tier = m.tier();
    b.compute = m.compute();
    return b;
}

result<bench> open_image(const char* path, std::int64_t size, const std::string& compute) {
    test::chain_options how;
    how.tier = env_string("RLX_CPU").value_or("");
    image_encoder_options o;
    o.max_images = 1;
    o.max_height = o.max_width = size;
    o.compute = compute;
    bench b;
    b.chain = RLX_TRY(test::chain::open_image_encoder(path, o, how));
    image_encoder_model& m = b.chain->images();
    std::vector<float> pixels(static_cast<std::size_t>(3 * size * size));
    for (std::size_t i = 0; i < pixels.size(); ++i)
        pixels[i] = static_cast<float>(i * 2654435761u % 1024) / 256.0f - 2.0f;
    b.step = [&m, size, pixels = std::move(pixels)]() -> result<void> {
        RLX_TRY(m.encode({pixels, 1, size, size}));
        return {};
    };
    b.tier = m.tier();
    b.compute = m.compute();
    return b;
}

result<void> measure(const bench& b, std::size_t runs) {
    std::vector<double> ms;
    double processor = 0;
    for (std::size_t i = 0; i < runs + 2; ++i) {
        if (i == 2) processor = processor_ms(); // the first ones warm up
        const auto begin = std::chrono::steady_clock::now();
        RLX_CHECK(b.step());
        const std::chrono::duration<double, std::milli> t =
            std::chrono::steady_clock::now() - begin;
        if (i >= 2) ms.push_back(t.count());
    }
    processor = (processor_ms() - processor) / static_cast<double>(runs);
    std::sort(ms.begin(), ms.end());
    std::printf(
        "%.3f %.3f %.3f %s %s\n",
        ms.front(),
        ms[ms.size() / 2],
        processor,
        b.tier.c_str(),
        b.compute.c_str()
    );
    return {};
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(
            stderr, "usage: encoder_bench CHECKPOINT TEXTS|image TOKENS|SIZE [RUNS] [COMPUTE]\n"
        );
        return 2;
    }
    const bool image = std::string_view(argv[2]) == "image";
    const std::size_t size = std::strtoul(argv[3], nullptr, 10);
    const std::size_t runs = argc > 4 ? std::strtoul(argv[4], nullptr, 10) : 20;
    const std::string compute = argc > 5 ? argv[5] : "auto";
    auto b = image ? open_image(argv[1], static_cast<std::int64_t>(size), compute)
                   : open_text(argv[1], std::strtoul(argv[2], nullptr, 10), size, compute);
    result<void> r = b.ok() ? measure(*b, std::max<std::size_t>(runs, 1)) : result<void>(b.error());
    if (!r.ok()) {
        std::fprintf(stderr, "encoder_bench: %s\n", r.error().message.c_str());
        return 1;
    }
    return 0;
}
