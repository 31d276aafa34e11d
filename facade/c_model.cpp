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

// A text for the system: without a NUL in it.
result<std::string> read_name(rlx_str given, std::string_view name) {
    const std::string_view text = RLX_TRY(read_text(given, name));
    if (text.find('\0') == text.npos) return std::string(text);
    return error{RLX_INVALID_ARGUMENT, fmt::format("{} has a NUL byte in it", name)};
}

// The search passes over a directory it cannot use and says so in the log, which nobody may read here.
result<std::vector<std::filesystem::path>>
read_plugin_dirs(const rlx_str* first, std::uint64_t n) {
    std::vector<std::filesystem::path> out;
    for (const rlx_str& given : RLX_TRY(read_array(first, n, "plugin_dirs"))) {
        const std::filesystem::path dir = RLX_TRY(read_name(given, "plugin_dirs"));
        if (!dir.is_absolute())
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format("plugin_dirs: '{}' is not an absolute path", dir.native())};
        std::error_code failed;
        if (!std::filesystem::is_directory(dir, failed))
            return error{
                RLX_NOT_FOUND, fmt::format("plugin_dirs: {}: no such directory", dir.native())};
        out.push_back(dir);
    }
    return out;
}

// Text options, each set only when it is given. Builder: lm_runner's or text_embedder's.
template <class Builder>
result<void> read_names(const rlx_model_options& o, Builder& b) {
    using path = std::filesystem::path;
    const auto each = [](rlx_str given, std::string_view name, auto&& set) -> result<void> {
        std::string text = RLX_TRY(read_name(given, name));
        if (!text.empty()) set(std::move(text));
        return {};
    };
    RLX_CHECK(each(o.weights, "weights", [&](std::string s) { b.weights(path(s)); }));
    RLX_CHECK(each(o.config, "config", [&](std::string s) { b.config(path(s)); }));
    RLX_CHECK(each(o.tokenizer, "tokenizer", [&](std::string s) { b.tokenizer(path(s)); }));

    const struct {
        rlx_str given;
        std::string_view name;
        Builder& (Builder::*set)(std::string);
    } rest[] = {
        {o.prefer, "prefer", &Builder::prefer},
        {o.family, "family", &Builder::family},
        {o.device, "device", &Builder::device},
        {o.tier, "tier", &Builder::tier},
        {o.compute, "compute", &Builder::compute},
        {o.profile, "profile", &Builder::profile}};

    for (const auto& [given, name, set] : rest)
        RLX_CHECK(each(given, name, [&](std::string s) { (b.*set)(std::move(s)); }));
    RLX_CHECK(each(o.kv, "kv", [&](std::string s) {
        if constexpr (requires { b.kv(s); }) b.kv(std::move(s)); // an embedder's is its own
    }));
    for (path& dir : RLX_TRY(read_plugin_dirs(o.plugin_dirs, o.n_plugin_dirs)))
        b.plugin_dir(std::move(dir));
    return {};
}

result<fallback_policy> read_fallback(std::uint32_t given) {
    switch (given) {
    case RLX_FALLBACK_WARN:
        return fallback_policy::warn;
    case RLX_FALLBACK_ALLOW:
        return fallback_policy::allow;
    case RLX_FALLBACK_DENY:
        return fallback_policy::deny;
    default:
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("fallback is {}, expected one of RLX_FALLBACK_*", given)};
    }
}

template <class Builder>
result<Builder> read_common(const rlx_model_options& o) {
    Builder b;
    RLX_CHECK(read_names(o, b));
    RLX_TRY(not_negative(o.max_seq, "max_seq"));
    RLX_TRY(not_negative(o.max_batch, "max_batch"));
    RLX_TRY(not_negative(o.max_rows, "max_rows"));
    b.max_memory_gb(static_cast<double>(o.max_memory) / 1e9);
    b.threads(o.threads);
    b.on_fallback(RLX_TRY(read_fallback(o.fallback)));
    b.cancel(watched(o.cancel));
    if (o.progress)
        b.progress([fn = o.progress, ctx = o.progress_ctx](std::uint64_t done, std::uint64_t all) {
            fn(ctx, done, all);
        });
    return b;
}

result<rlx_model_options> read_model_options(const rlx_model_options* given) {
    if (!given) return missing("options");
    const rlx_model_options o = RLX_TRY(read_options(given, "rlx_model_options"));
    if (o.task > RLX_MODEL_RERANK)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "task is {}, expected RLX_MODEL_GENERATE, RLX_MODEL_EMBED or RLX_MODEL_RERANK",
                o.task
            )};
    return o;
}

result<lm_runner::builder> runner_builder(const rlx_model_options& o) {
    auto b = RLX_TRY(read_common<lm_runner::builder>(o));
    b.max_seq(o.max_seq);
    if (o.max_batch > 0) b.max_batch(o.max_batch);
    b.max_rows(o.max_rows);
    return b;
}

result<text_embedder::builder> embedder_builder(const rlx_model_options& o) {
    auto b = RLX_TRY(read_common<text_embedder::builder>(o));
    b.max_length(o.max_seq).max_tokens(o.max_batch);
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

result<void> open_model(const rlx_model_options* options, rlx_model** out) {
    const rlx_model_options o = RLX_TRY(read_model_options(options));
    auto model = std::make_unique<rlx_model>();
    if (o.task == RLX_MODEL_GENERATE)
        model->runner = RLX_TRY(RLX_TRY(runner_builder(o)).build());
    else if (o.task == RLX_MODEL_EMBED)
        model->embedder = RLX_TRY(RLX_TRY(embedder_builder(o)).build());
    else
        model->reranker = RLX_TRY(RLX_TRY(embedder_builder(o)).build_reranker());
    model->n_notes = model->with([](const auto& m) -> std::uint64_t {
        return m.warnings().size() + m.fallbacks().size();
    });
    *out = model.release();
    return {};
}

result<lm_plan> plan_of(const rlx_model_options* options) {
    const rlx_model_options o = RLX_TRY(read_model_options(options));
    if (o.task == RLX_MODEL_GENERATE) return RLX_TRY(runner_builder(o)).plan();
    return RLX_TRY(embedder_builder(o)).plan();
}

std::int64_t longest(const lm_runner& m) {
    return m.max_seq();
}

std::int64_t longest(const text_embedder& m) {
    return m.max_length();
}

void fill_common(rlx_model_info& info, const auto& m) {
    const run_facts& f = m.ran_on();
    info.vocab_size = m.vocab_size();
    info.hidden_size = m.hidden_size();
    info.max_seq = longest(m);
    info.context_length = m.context_length();
    info.load_seconds = m.load_seconds();
    info.threads = f.threads;
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
}

result<void> describe(const rlx_model& model, rlx_model_info* out) {
    rlx_model_info info{};
    info.task = model.runner     ? RLX_MODEL_GENERATE
                : model.embedder ? RLX_MODEL_EMBED
                                 : RLX_MODEL_RERANK;
    model.with([&](const auto& m) { fill_common(info, m); });
    // A pooling nobody here does is an error when a vector is asked for, not before.
    if (model.embedder && model.embedder->recipe().unsupported_pooling.empty())
        info.pooling = as_pooling(model.embedder->recipe().pooling);
    info.n_notes = model.n_notes;
    write_result(out, info);
    return {};
}

result<void> list_devices_to(
    const rlx_str* plugin_dirs, std::uint64_t n_plugin_dirs, rlx_device_fn on_device, void* ctx
) {
    if (!on_device) return missing("on_device");
    search_options where;
    where.plugin_dirs = RLX_TRY(read_plugin_dirs(plugin_dirs, n_plugin_dirs));
    const auto catalog = RLX_TRY(plugin_catalog::open(where));
    for (const device_listing& d : RLX_TRY(list_devices(*catalog))) {
        rlx_device_info info{};
        info.size = sizeof info;
        info.available = d.available ? 1 : 0;
        info.name = str(d.name);
        info.reason = str(d.reason);
        info.description = str(d.description);
        info.plugin = str(d.plugin);
        info.memory = d.memory;
        if (on_device(ctx, &info) != 0) return error{RLX_CANCELLED, "on_device ended the list"};
    }
    return {};
}

result<void> note_at(
    std::span<const std::string> warnings,
    std::span<const fallback> fallbacks,
    std::uint64_t index,
    rlx_note* out
) {
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
        rlx_free,
        rlx_model_embed_texts,
        rlx_model_rerank,
        rlx_devices};
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
        write_result(plan, as_plan(RLX_TRY(plan_of(options))));
        return {};
    });
}

rlx_error* rlx_devices(
    const rlx_str* plugin_dirs, uint64_t n_plugin_dirs, rlx_device_fn on_device, void* ctx
) {
    return guarded([&] { return list_devices_to(plugin_dirs, n_plugin_dirs, on_device, ctx); });
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
        write_result(plan, as_plan(model->with([](const auto& m) -> const rlx::lm_plan& {
                         return m.memory();
                     })));
        return {};
    });
}

rlx_error* rlx_model_note(const rlx_model* model, uint64_t index, rlx_note* note) {
    return guarded([&]() -> rlx::result<void> {
        RLX_CHECK(clear_result(note, "rlx_note"));
        const use held = RLX_TRY(use::begin(const_cast<rlx_model*>(model)));
        return held.model().with([&](const auto& m) {
            return note_at(m.warnings(), m.fallbacks(), index, note);
        });
    });
}
