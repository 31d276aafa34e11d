// SPDX-License-Identifier: GPL-3.0-only
// Whole models for a plugin that runs them (a command, a server): an owning handle over
// "rlx.models/1". Part of the header-only SDK that is compiled into every plugin.
//
//   auto o = sdk::sized<rlx_model_options>();
//   o.weights = sdk::str(path);
//   sdk::hosted_model m = RLX_TRY(sdk::hosted_model::open(o));
//   auto how = sdk::sized<rlx_generate_options>();
//   how.cancel = cancelled;  // of rlx.io/1, say
//   RLX_TRY(m.generate("Once upon a time", how, [&](std::int32_t, std::string_view text) {
//       return print(text);  // false ends the answer
//   }));
#pragma once

#include "rlx/abi/models.h"
#include "rlx/sdk/host.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rlx::sdk {
inline namespace sdk_v1 {

template <>
inline constexpr const char* service_name<rlx_models_v1> = "rlx.models/1";

// A zeroed struct of the wall with its size set: all defaults.
template <class T>
T sized() {
    T out{};
    out.size = static_cast<std::uint32_t>(sizeof out);
    return out;
}

struct generated {
    std::string text;
    std::vector<std::int32_t> tokens;
    rlx_generate_result facts{}; // its text and tokens are null: they are above
};

// [one thread per model]. Errors are those of rlx/abi/models.h; RLX_UNSUPPORTED from open() and
// plan() when librlx is not part of the process.
class hosted_model {
public:
    static result<hosted_model> open(const rlx_model_options& options) {
        RLX_CHECK(there());
        hosted_model out;
        RLX_CHECK(check(table()->open(&options, &out.handle_)));
        return out;
    }

    static result<rlx_memory_plan> plan(const rlx_model_options& options) {
        RLX_CHECK(there());
        auto out = sized<rlx_memory_plan>();
        RLX_CHECK(check(table()->plan(&options, &out)));
        return out;
    }

    hosted_model(hosted_model&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

    hosted_model& operator=(hosted_model&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }

    ~hosted_model() {
        if (handle_) table()->close(handle_);
    }

    rlx_model* raw() const { return handle_; }

    // The strings borrow from the model.
    result<rlx_model_info> info() const {
        auto out = sized<rlx_model_info>();
        RLX_CHECK(check(table()->info(handle_, &out)));
        return out;
    }

    result<std::vector<std::int32_t>> tokenize(std::string_view text, std::uint32_t flags = 0) {
        std::int32_t* ids = nullptr;
        std::uint64_t n = 0;
        RLX_CHECK(check(table()->tokenize(handle_, str(text), flags, &ids, &n)));
        return taken(ids, n);
    }

    result<std::string> detokenize(std::span<const std::int32_t> ids) {
        char* text = nullptr;
        std::uint64_t n = 0;
        RLX_CHECK(check(table()->detokenize(handle_, ids.data(), ids.size(), &text, &n)));
        return taken_text(text, n);
    }

    result<std::string>
    render_chat(std::span<const rlx_message> messages, const rlx_chat_options* options = nullptr) {
        char* text = nullptr;
        std::uint64_t n = 0;
        RLX_CHECK(check(
            table()->render_chat(handle_, messages.data(), messages.size(), options, &text, &n)
        ));
        return taken_text(text, n);
    }

    // on_token(id, text) -> bool, false ends the answer; what it throws comes back as an error.
    template <class Fn>
    result<generated>
    generate(std::string_view prompt, const rlx_generate_options& options, Fn&& on_token) {
        return run(on_token, [&](rlx_token_fn fn, void* ctx, rlx_generate_result* out) {
            return table()->generate(handle_, str(prompt), &options, fn, ctx, out);
        });
    }

    template <class Fn>
    result<generated> generate(
        std::span<const std::int32_t> ids, const rlx_generate_options& options, Fn&& on_token
    ) {
        return run(on_token, [&](rlx_token_fn fn, void* ctx, rlx_generate_result* out) {
            return table()->generate_ids(handle_, ids.data(), ids.size(), &options, fn, ctx, out);
        });
    }

    // After the last id: [vocab_size].
    result<std::vector<float>> logits(std::span<const std::int32_t> ids) {
        float* row = nullptr;
        std::uint64_t n = 0;
        RLX_CHECK(check(table()->logits(handle_, ids.data(), ids.size(), &row, &n)));
        return taken(row, n);
    }

    // [hidden_size]; the model must have been opened with task RLX_MODEL_EMBED.
    result<std::vector<float>>
    embed(std::string_view text, const rlx_embed_options* options = nullptr) {
        auto out = sized<rlx_embed_result>();
        RLX_CHECK(check(table()->embed(handle_, str(text), options, &out)));
        return taken(out.values, out.n_values);
    }

private:
    hosted_model() = default;

    static const rlx_models_v1* table() { return service<rlx_models_v1>(); }

    static status there() {
        if (table()) return {};
        return fail(RLX_UNSUPPORTED, "this program runs no models: librlx is not part of it");
    }

    // Frees the host's memory whatever happens to the copy.
    struct guard {
        void* memory;

        ~guard() { table()->free_memory(memory); }
    };

    template <class T>
    static std::vector<T> taken(T* first, std::uint64_t n) {
        const guard held{first};
        return {first, first + n};
    }

    static std::string taken_text(char* first, std::uint64_t n) {
        const guard held{first};
        return {first, static_cast<std::size_t>(n)};
    }

    template <class Fn>
    struct watcher {
        Fn* fn;
        rlx_error* failed = nullptr;

        static std::uint32_t on_token(void* ctx, std::int32_t id, rlx_str text) noexcept {
            auto& self = *static_cast<watcher*>(ctx);
            bool go_on = false;
            self.failed = guarded([&] { go_on = (*self.fn)(id, view(text)); });
            return go_on ? 0 : 1;
        }
    };

    template <class Fn, class Call>
    static result<generated> run(Fn& on_token, Call&& call) {
        watcher<Fn> w{&on_token};
        generated out;
        out.facts = sized<rlx_generate_result>();
        rlx_error* e = call(&watcher<Fn>::on_token, &w, &out.facts);
        const guard text{std::exchange(out.facts.text, nullptr)};
        const guard tokens{std::exchange(out.facts.tokens, nullptr)};
        if (w.failed) {
            if (e) host()->error_free(e);
            return from_wall(w.failed);
        }
        RLX_CHECK(check(e));
        out.text.assign(static_cast<const char*>(text.memory), out.facts.n_text);
        const auto* ids = static_cast<const std::int32_t*>(tokens.memory);
        out.tokens.assign(ids, ids + out.facts.n_tokens);
        return out;
    }

    rlx_model* handle_ = nullptr;
};

} // namespace sdk_v1
} // namespace rlx::sdk
