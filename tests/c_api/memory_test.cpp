// SPDX-License-Identifier: GPL-3.0-only
// Allocations that fail one after the other: every call reports it and leaves a model that works.
#include "c_api.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

// The operators of this program serve librlx and its plugins too. < 0: nothing fails.
std::atomic<long> left{-1};
std::atomic<std::size_t> least{0}; // bytes; smaller ones never fail
std::atomic<bool> failed{false};

void* take(std::size_t n) {
    if (n >= least && left.load(std::memory_order_relaxed) >= 0 && left.fetch_sub(1) == 0) {
        failed = true;
        throw std::bad_alloc();
    }
    if (void* p = std::malloc(n == 0 ? 1 : n)) return p;
    throw std::bad_alloc();
}

} // namespace

void* operator new(std::size_t n) {
    return take(n);
}

void* operator new[](std::size_t n) {
    return take(n);
}

void operator delete(void* p) noexcept {
    std::free(p);
}

void operator delete[](void* p) noexcept {
    std::free(p);
}

void operator delete(void* p, std::size_t) noexcept {
    std::free(p);
}

void operator delete[](void* p, std::size_t) noexcept {
    std::free(p);
}

namespace rlx::test {
namespace {

// Runs the call with its n-th allocation failing, for n = 0, step, 2 step, ... until it has fewer.
// `call` gives back the error after it has freed what it got.
template <class Call>
void fail_each(const char* what, long step, Call&& call) {
    long n = 0;
    for (;; n += step) {
        failed = false;
        left = n;
        rlx_error* e = call();
        left = -1;
        const outcome done(e);
        if (!failed) {
            EXPECT_EQ(done.code, std::uint32_t{RLX_OK}) << what << " " << n << ": " << done.message;
            break;
        }
        // A failure that the library could do without is no error; another kind of error is a bug.
        if (done.code != RLX_OK) {
            ASSERT_EQ(done.code, std::uint32_t{RLX_OUT_OF_MEMORY})
                << what << " " << n << ": " << done.message;
        }
        ASSERT_LT(n, 1000000);
    }
    testing::Test::RecordProperty(what, std::to_string(n));
    EXPECT_GT(n, 5) << what;
}

TEST(c_api_memory, every_failing_allocation_of_a_call_is_reported) {
    rlx_model* const m = story();
    rlx_model* const e = story(RLX_MODEL_EMBED);
    const rlx_str text = rlx_cstr("Once upon a time there was a cat");
    // The tokenizer is opened by the first call that needs it; a failure is not for ever.
    const c_model fresh = open_story();
    fail_each("first tokenize", 7, [&] {
        std::int32_t* ids = nullptr;
        std::uint64_t n = 0;
        rlx_error* error = rlx_model_tokenize(fresh.get(), text, 0, &ids, &n);
        rlx_free(ids);
        return error;
    });
    fail_each("tokenize", 1, [&] {
        std::int32_t* ids = nullptr;
        std::uint64_t n = 0;
        rlx_error* error = rlx_model_tokenize(m, text, 0, &ids, &n);
        rlx_free(ids);
        return error;
    });
    fail_each("generate", 1, [&] {
        rlx_generate_options how;
        rlx_generate_options_init(&how);
        how.max_tokens = 4;
        rlx_generate_result result;
        rlx_generate_result_init(&result);
        rlx_error* error = rlx_model_generate(m, text, &how, nullptr, nullptr, &result);
        rlx_free(result.text);
        rlx_free(result.tokens);
        return error;
    });
    fail_each("embed", 1, [&] {
        rlx_embed_result result;
        rlx_embed_result_init(&result);
        rlx_error* error = rlx_model_embed(e, text, nullptr, &result);
        rlx_free(result.values);
        return error;
    });
}

// Opening reads JSON, and nlohmann's destructor allocates and cannot report; its small pieces are
// left alone here. Everything that scales with a model is larger.
TEST(c_api_memory, every_failing_allocation_of_a_size_while_opening_is_reported) {
    least = 4096;
    fail_each("open", 1, [] {
        const rlx_model_options o = story_options();
        rlx_model* model = nullptr;
        rlx_error* error = rlx_model_open(&o, &model);
        rlx_model_close(model);
        return error;
    });
    least = 0;
}

} // namespace
} // namespace rlx::test
