// SPDX-License-Identifier: GPL-3.0-only
// The C API's half without text: versions, errors, log, opening and what was opened.
#include "c_api.hpp"

#include "rlx/base/log.hpp"
#include "rlx/services.hpp"

#include <limits>
#include <mutex>

namespace rlx::c_api {
namespace {

static_assert(
    RLX_VERSION_NUMBER ==
        RLX_VERSION_MAJOR * 1000000 + RLX_VERSION_MINOR * 1000 + RLX_VERSION_PATCH,
    "rlx/rlx.h and the project disagree about the version"
);

struct log_target {
    rlx_log_fn fn;
    void* ctx;
};

constinit log_target target{};

void forward_log(void*, std::uint32_t level, std::string_view component, std::string_view message) {
    target.fn(target.ctx, level, str(component), str(message));
}

result<std::int64_t> not_negative(std::int64_t n, std::string_view name) {
    if (n >= 0) return n;
    return error{RLX_INVALID_ARGUMENT, fmt::format("{} is {}, expected 0 or more", name, n)};
}

// Text options, each set only when it is given.
result<void> read_names(const rlx_model_options& o, lm_runner::builder& b) {
    using builder = lm_runner::builder;
    using path = std::filesystem::path;
    const auto each = [](rlx_str given, std::string_view name, auto&& set) -> result<void> {
        const std::string_view text = RLX_TRY(read_text(given, name));
        if (text.find('\0') != text.npos)
            return error{RLX_INVALID_ARGUMENT, fmt::format("{} has a NUL byte in it", name)};
        if (!text.empty()) set(std::string(text));
        return {};
    };
    RLX_CHECK(each(o.weights, "weights", [&](std::string s) { b.weights(path(s)); }));
    RLX_CHECK(each(o.config, "config", [&](std::string s) { b.config(path(s)); }));
    RLX_CHECK(each(o.tokenizer, "tokenizer", [&](std::string s) { b.tokenizer(path(s)); }));

    const struct {
        rlx_str given;
        std::string_view name;
        builder& (builder::*set)(std::string);
    } rest[] = {
        {o.prefer, "prefer", &builder::prefer},
        {o.family, "family", &builder::family},
        {o.device, "device", &builder::device},
        {o.tier, "tier", &builder::tier},
        {o.compute, "compute", &builder::compute},
        {o.kv, "kv", &builder::kv}};

    for (const auto& [given, name, set] : rest)
        RLX_CHECK(each(given, name, [&](std::string s) { (b.*set)(std::move(s)); }));
    for (const rlx_str& dir : RLX_TRY(read_array(o.plugin_dirs, o.n_plugin_dirs, "plugin_dirs")))
        RLX_CHECK(each(dir, "plugin_dirs", [&](std::string s) { b.plugin_dir(path(s)); }));
    return {};
}

result<lm_runner::builder> read_model_options(const rlx_model_options* given) {
    if (!given) return missing("options");
    const rlx_model_options o = RLX_TRY(read_options(given, "rlx_model_options"));
    lm_runner::builder b;
    RLX_CHECK(read_names(o, b));
    if (o.task != RLX_MODEL_GENERATE && o.task != RLX_MODEL_EMBED)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("task is {}, expected RLX_MODEL_GENERATE or RLX_MODEL_EMBED", o.task)};
    RLX_CHECK(check_reserved(o.reserved, "rlx_model_options"));
    b.task(o.task == RLX_MODEL_EMBED ? lm_task::embed : lm_task::generate);
    b.max_seq(RLX_TRY(not_negative(o.max_seq, "max_seq")));
    if (RLX_TRY(not_negative(o.max_batch, "max_batch")) > 0) b.max_batch(o.max_batch);
    b.max_rows(RLX_TRY(not_negative(o.max_rows, "max_rows")));
    b.max_memory_gb(static_cast<double>(o.max_memory) / 1e9);
    b.threads(o.threads);
    b.cancel(watched(o.cancel));
    if (o.progress)
        b.progress([fn = o.progress, ctx = o.progress_ctx](std::uint64_t done, std::uint64_t all) {
            fn(ctx, done, all);
        });
    return b;
}

rlx_memory_plan as_plan(const lm_plan& p) {
    rlx_memory_plan out{};
    out.fits = p.refused.empty() ? 1 : 0;
    out.weights = p.weights;
    out.mapped = p.mapped;
    out.state = p.state;
    out.scratch = p.scratch;
    out.total = p.total();
    out.state_per_token = p.state_per_token;
    out.max_seq = p.max_seq;
    return out;
}

std::uint32_t as_pooling(pooling p) {
    return p == pooling::last ? std::uint32_t{RLX_POOL_LAST} : std::uint32_t{RLX_POOL_MEAN};
}

result<void> open_model(const rlx_model_options* options, rlx_model** out) {
    auto model = std::make_unique<rlx_model>();
    model->runner = RLX_TRY(RLX_TRY(read_model_options(options)).build());
    model->n_notes = model->runner->warnings().size();
    if (model->runner->task() == lm_task::embed)
        // A pooling nobody here does is an error when a vector is asked for, not before.
        if (const auto kind = checkpoint_pooling(model->runner->checkpoint().weights()))
            model->pooling = as_pooling(*kind);
    *out = model.release();
    return {};
}

result<void> describe(const rlx_model& model, rlx_model_info* out) {
    const lm_runner& r = *model.runner;
    const run_facts& f = r.ran_on();
    rlx_model_info info{};
    info.task = r.task() == lm_task::embed ? RLX_MODEL_EMBED : RLX_MODEL_GENERATE;
    info.vocab_size = r.vocab_size();
    info.hidden_size = r.hidden_size();
    info.max_seq = r.max_seq();
    info.context_length = r.context_length();
    info.load_seconds = r.load_seconds();
    info.threads = f.threads;
    info.pooling = model.pooling;
    info.family = str(f.family);
    info.family_plugin = str(f.family_plugin);
    info.family_version = str(f.family_version);
    info.backend_plugin = str(f.backend_plugin);
    info.backend_version = str(f.backend_version);
    info.device = str(f.device);
    info.device_description = str(f.device_description);
    info.tier = str(f.tier);
    info.compute = str(f.compute);
    info.kv = str(f.kv);
    info.n_notes = model.n_notes;
    write_result(out, info);
    return {};
}

result<void> note_at(const lm_runner& r, std::uint64_t index, rlx_note* out) {
    const auto warnings = r.warnings();
    const auto fallbacks = r.fallbacks();
    rlx_note note{};
    if (index < warnings.size()) {
        note.kind = RLX_NOTE_WARNING;
        note.text = str(warnings[index]);
    } else if (index - warnings.size() < fallbacks.size()) {
        const fallback& f = fallbacks[index - warnings.size()];
        note.kind = RLX_NOTE_FALLBACK;
        note.what = str(f.what);
        note.text = str(f.reason);
    } else {
        return error{
            RLX_NOT_FOUND, fmt::format("note {} of {}", index, warnings.size() + fallbacks.size())};
    }
    write_result(out, note);
    return {};
}

} // namespace
} // namespace rlx::c_api

namespace rlx {

const rlx_models_v1* models_table() {
    static constexpr rlx_models_v1 table = {
        {sizeof(rlx_models_v1), 1, 0},
        rlx_model_open,
        rlx_model_plan,
        rlx_model_close,
        rlx_model_describe,
        rlx_model_memory,
        rlx_model_note,
        rlx_model_tokenize,
        rlx_model_detokenize,
        rlx_model_render_chat,
        rlx_model_render_chat_json,
        rlx_model_generate,
        rlx_model_generate_ids,
        rlx_model_logits,
        rlx_model_logits_each,
        rlx_model_embed,
        rlx_model_embed_ids,
        rlx_free};
    return &table;
}

void offer_services() {
    // Each library offers its table when it is first asked for; a plugin must not depend on who was
    // first.
    graph_table();
    weights_table();
    host_provide("rlx.models/1", models_table());
}

} // namespace rlx

using namespace rlx::c_api;

const char* rlx_version(void) {
    return RLX_VERSION;
}

uint32_t rlx_version_number(void) {
    return RLX_VERSION_NUMBER;
}

uint32_t rlx_abi_version(void) {
    return RLX_ABI_MAJOR * 65536u + RLX_ABI_MINOR;
}

void rlx_free(void* memory) {
    std::free(memory);
}

uint32_t rlx_error_code(const rlx_error* error) {
    return rlx::host()->error_code(error);
}

const char* rlx_error_message(const rlx_error* error) {
    // The host ends its texts with a NUL that it does not count.
    return error ? rlx::host()->error_message(error).p : "";
}

void rlx_error_free(rlx_error* error) {
    rlx::host()->error_free(error);
}

const char* rlx_status_name(uint32_t code) {
    constexpr const char* names[] = {
        "RLX_OK",
        "RLX_INTERNAL",
        "RLX_INVALID_ARGUMENT",
        "RLX_NOT_FOUND",
        "RLX_CORRUPT_DATA",
        "RLX_UNSUPPORTED",
        "RLX_MISSING_METADATA",
        "RLX_VERSION_MISMATCH",
        "RLX_OUT_OF_MEMORY",
        "RLX_IO",
        "RLX_CANCELLED",
        "RLX_DEVICE_LOST",
        "RLX_PLUGIN_THREW",
        "RLX_NETWORK"};
    return code < std::size(names) ? names[code] : "RLX_UNKNOWN";
}

void rlx_log_set(rlx_log_fn fn, void* ctx, uint32_t level) {
    static constinit std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    rlx::log_set_sink(nullptr, nullptr); // waits for a message that is being written
    target = {fn, ctx};
    rlx::log_set_level(level);
    if (fn) rlx::log_set_sink(forward_log, nullptr);
}

void rlx_cancel_raise(volatile uint32_t* flag) {
    if (flag) __atomic_store_n(flag, 1u, __ATOMIC_RELAXED);
}

void rlx_cancel_clear(volatile uint32_t* flag) {
    if (flag) __atomic_store_n(flag, 0u, __ATOMIC_RELAXED);
}

rlx_error* rlx_model_open(const rlx_model_options* options, rlx_model** model) {
    return guarded([&]() -> rlx::result<void> {
        if (!model) return missing("model");
        *model = nullptr;
        return open_model(options, model);
    });
}

rlx_error* rlx_model_plan(const rlx_model_options* options, rlx_memory_plan* plan) {
    return guarded([&]() -> rlx::result<void> {
        RLX_CHECK(clear_result(plan, "rlx_memory_plan"));
        write_result(plan, as_plan(RLX_TRY(RLX_TRY(read_model_options(options)).plan())));
        return {};
    });
}

void rlx_model_close(rlx_model* model) {
    delete model;
}

rlx_error* rlx_model_describe(const rlx_model* model, rlx_model_info* info) {
    return guarded([&]() -> rlx::result<void> {
        RLX_CHECK(clear_result(info, "rlx_model_info"));
        if (!model) return missing("model");
        return describe(*model, info);
    });
}

rlx_error* rlx_model_memory(const rlx_model* model, rlx_memory_plan* plan) {
    return guarded([&]() -> rlx::result<void> {
        RLX_CHECK(clear_result(plan, "rlx_memory_plan"));
        if (!model) return missing("model");
        write_result(plan, as_plan(model->runner->memory()));
        return {};
    });
}

rlx_error* rlx_model_note(const rlx_model* model, uint64_t index, rlx_note* note) {
    return guarded([&]() -> rlx::result<void> {
        RLX_CHECK(clear_result(note, "rlx_note"));
        const use held = RLX_TRY(use::begin(const_cast<rlx_model*>(model)));
        return note_at(held.runner(), index, note);
    });
}
