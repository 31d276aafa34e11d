// SPDX-License-Identifier: GPL-3.0-only
// Handles of the C API for tests, and the bundled story model.
#pragma once

#include "rlx/rlx.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace rlx::test {

struct c_deleter {
    void operator()(rlx_model* m) const { rlx_model_close(m); }

    void operator()(rlx_error* e) const { rlx_error_free(e); }
};

struct c_free {
    void operator()(void* p) const { rlx_free(p); }
};

using c_model = std::unique_ptr<rlx_model, c_deleter>;
using c_error = std::unique_ptr<rlx_error, c_deleter>;
template <class T>
using c_array = std::unique_ptr<T[], c_free>;

inline rlx_str s(const std::string& text) {
    return {text.data(), text.size()};
}

// What a call returned, freed at once.
struct outcome {
    std::uint32_t code;
    std::string message;

    outcome(rlx_error* e) : code(rlx_error_code(e)), message(rlx_error_message(e)) {
        rlx_error_free(e);
    }

    bool says(std::string_view part) const { return message.find(part) != std::string::npos; }
};

#define EXPECT_OK(call)                                                                            \
    do {                                                                                           \
        const ::rlx::test::outcome done_(call);                                                    \
        EXPECT_EQ(done_.code, std::uint32_t{RLX_OK}) << done_.message;                             \
    } while (false)

// The code is the expected one and the message has the text.
#define EXPECT_FAILS(call, expected, part)                                                         \
    do {                                                                                           \
        const ::rlx::test::outcome done_(call);                                                    \
        EXPECT_EQ(done_.code, std::uint32_t{expected}) << #call << ": " << done_.message;          \
        EXPECT_TRUE(done_.says(part)) << #call << ": " << done_.message;                           \
    } while (false)

inline rlx_model_options story_options() {
    rlx_model_options o;
    rlx_model_options_init(&o);
    o.weights = rlx_cstr(RLX_STORIES);
    o.max_seq = 256;
    return o;
}

inline c_model open_story(std::uint32_t task = RLX_MODEL_GENERATE) {
    rlx_model_options o = story_options();
    o.task = task;
    rlx_model* model = nullptr;
    EXPECT_OK(rlx_model_open(&o, &model));
    return c_model(model);
}

// One model for all tests of a process: loading is the slow part.
inline rlx_model* story(std::uint32_t task = RLX_MODEL_GENERATE) {
    static const c_model generates = open_story(), embeds = open_story(RLX_MODEL_EMBED);
    return task == RLX_MODEL_EMBED ? embeds.get() : generates.get();
}

// A generation with everything it said.
struct story_run {
    std::vector<std::int32_t> ids, called;
    std::string text, streamed;
    rlx_generate_result result{};
};

} // namespace rlx::test
