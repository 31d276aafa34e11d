// SPDX-License-Identifier: GPL-3.0-only
// Counts allocations of steady-state decoding. An executable of its own: it replaces operator new.
#include "fake_lm.hpp"

#include "rlx/runtime/generate.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

namespace {

std::size_t allocations = 0;

} // namespace

__attribute__((noinline)) void* operator new(std::size_t n) {
    ++allocations;
    if (void* p = std::malloc(n ? n : 1)) return p;
    throw std::bad_alloc();
}

__attribute__((noinline)) void operator delete(void* p) noexcept {
    std::free(p);
}

__attribute__((noinline)) void operator delete(void* p, std::size_t) noexcept {
    std::free(p);
}

namespace rlx::test {

TEST(allocation, decoding_allocates_nothing) {
    fake_lm fake;
    fake.record = false;
    const auto opened = lm_model::open(fake.parts(), {});
    ASSERT_TRUE(opened);
    lm_model& model = **opened;
    const auto s = model.new_sequence();
    ASSERT_TRUE(s);
    auto choose = sampler::make(
        {.temperature = 1, .top_k = 10, .top_p = 0.9, .min_p = 0.01, .repetition_penalty = 1.1},
        model.vocab_size()
    );
    ASSERT_TRUE(choose);
    std::int32_t id = 1;
    const auto step = [&] {
        const lm_batch_item item{s->get(), {&id, 1}};
        const auto logits = model.eval({&item, 1});
        if (!logits) return false;
        const auto next = choose->sample(*logits);
        if (!next) return false;
        id = *next;
        choose->accept(id);
        return true;
    };
    for (int i = 0; i < 3; ++i)
        ASSERT_TRUE(step());
    const std::size_t before = allocations;
    bool fine = true;
    for (int i = 0; i < 300; ++i)
        fine &= step(); // crosses several pages
    EXPECT_EQ(allocations, before);
    EXPECT_TRUE(fine);
}

} // namespace rlx::test
