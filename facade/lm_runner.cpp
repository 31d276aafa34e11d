// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/rlx.hpp"

#include "open_model.hpp"

#include "rlx/base/log.hpp"
#include "rlx/base/utf8.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>

namespace rlx {

struct lm_runner::state {
    opened_model opened; // outlives the model, which borrows from it
    std::unique_ptr<lm_model> model;
    lm_session session;
    double load_seconds = 0;
    lm_options lm; // the builder's, with the profile in them

    // Everything but the model itself.
    result<void> prepare(const builder& b);
    error explain(error e, const builder& b) const;
    void read_facts();
};

result<void> lm_runner::state::prepare(const builder& b) {
    constexpr std::string_view tasks[] = {"lm"};
    model_request request = b.request_;
    request.device.probe.cancel = b.lm_.cancel;
    opened = RLX_TRY(open_parts(request, tasks));
    lm = b.lm_;
    return apply_profile(opened.profile, opened.devices.wanted->name(), b.given_, lm);
}

// A backend that lacks what the profile asks for does not know where that was written.
error lm_runner::state::explain(error e, const builder& b) const {
    const compile_profile& profile = opened.profile;
    const bool asked = profile.compute.given() && !b.given_.compute;
    if (e.code != RLX_UNSUPPORTED || !asked || e.message.find("compute '") == std::string::npos)
        return e;
    e.message += fmt::format(" (precision.compute in {}:{})", profile.source, profile.compute.line);
    return e;
}

void lm_runner::state::read_facts() {
    opened.facts.tier = model->tier();
    opened.facts.compute = model->compute();
    opened.facts.kv = model->kv();
    add_fallbacks(model->partition(), opened.parts.device_name, opened.fallbacks);
}

lm_runner::lm_runner(std::unique_ptr<state> s) : state_(std::move(s)) {}

lm_runner::~lm_runner() = default;

std::string_view lm_runner::family() const {
    return state_->opened.facts.family;
}

std::int64_t lm_runner::vocab_size() const {
    return state_->model->vocab_size();
}

std::int64_t lm_runner::hidden_size() const {
    return state_->model->hidden_size();
}

std::int64_t lm_runner::max_seq() const {
    return state_->model->max_seq();
}

std::int64_t lm_runner::context_length() const {
    return state_->model->context_length();
}

const lm_plan& lm_runner::memory() const {
    return state_->model->memory();
}

const run_facts& lm_runner::ran_on() const {
    state_->opened.facts.devices = state_->model->devices();
    return state_->opened.facts;
}

std::span<const fallback> lm_runner::fallbacks() const {
    return state_->opened.fallbacks;
}

const partition_report& lm_runner::partition() const {
    return state_->model->partition();
}

std::span<const std::string> lm_runner::warnings() const {
    return state_->model->warnings();
}

double lm_runner::load_seconds() const {
    return state_->load_seconds;
}

lm_model& lm_runner::model() {
    return *state_->model;
}

rlx::checkpoint& lm_runner::checkpoint() {
    return *state_->opened.files;
}

result<std::vector<float>> lm_runner::predict_logits(std::span<const std::int32_t> ids) {
    state_->session = {}; // its place is needed when the model was opened for one sequence
    return rlx::predict_logits(*state_->model, ids);
}

result<void> lm_runner::logits(
    std::span<const std::int32_t> ids, std::int64_t chunk, const rows_callback& rows
) {
    lm_model& model = *state_->model;
    if (ids.empty()) return error{RLX_INVALID_ARGUMENT, "no ids: at least one is needed"};
    if (chunk < 0)
        return error{RLX_INVALID_ARGUMENT, fmt::format("chunk is {}, expected 0 or more", chunk)};
    const auto size = static_cast<std::int64_t>(ids.size());
    if (size > model.max_seq())
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("{} ids given, max_seq is {}", size, model.max_seq())};
    constexpr std::int64_t default_chunk = 64; // 40 MB of rows for a vocabulary of 150,000
    if (chunk == 0) chunk = default_chunk;
    state_->session = {};
    const auto sequence = RLX_TRY(model.new_sequence());
    for (std::int64_t first = 0; first < size; first += chunk) {
        const std::int64_t n = std::min(chunk, size - first);
        const lm_batch_item item{
            sequence.get(),
            ids.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)),
            true};
        const auto chunk_rows = RLX_TRY(model.eval({&item, 1}));
        RLX_CHECK(rows(first, chunk_rows));
    }
    return {};
}

result<generate_result> lm_runner::generate(
    std::span<const std::int32_t> prompt,
    const generate_options& options,
    const token_callback& callback,
    bool keep_cache
) {
    generate_options full = options;
    // A checkpoint may name an end that its own vocabulary lacks; nothing can produce it.
    for (const std::int32_t id : state_->opened.files->stop_ids())
        if (id < vocab_size() && std::ranges::find(full.stop_ids, id) == full.stop_ids.end())
            full.stop_ids.push_back(id);
    std::unique_ptr<stream_decoder> decoder;
    auto stream = state_->opened.files->stream();
    if (stream) {
        decoder = std::move(*stream);
    } else if (stream.error().code == RLX_OUT_OF_MEMORY) {
        return std::move(stream.error());
    } else if (std::ranges::none_of(state_->opened.fallbacks, [](const fallback& f) {
                   return f.what == "text";
               })) {
        state_->opened.fallbacks.push_back({"text", "ids only: " + stream.error().message});
        log_warn("facade", "no text, ids only: " + stream.error().message);
    }
    if (!keep_cache) state_->session = {};
    auto out =
        rlx::generate(*state_->model, state_->session, decoder.get(), prompt, full, callback);
    if (!keep_cache) state_->session = {};
    return out;
}

result<generate_result> lm_runner::generate(
    std::string_view prompt,
    const generate_options& options,
    const token_callback& callback,
    bool keep_cache
) {
    const auto ids = RLX_TRY(tokenize(prompt, {.add_special = true}));
    return generate(std::span<const std::int32_t>(ids), options, callback, keep_cache);
}

result<std::vector<std::int32_t>>
lm_runner::tokenize(std::string_view text, const encode_options& options) {
    return state_->opened.files->tokenize(text, options);
}

result<std::string> lm_runner::detokenize(std::span<const std::int32_t> ids) {
    return state_->opened.files->detokenize(ids);
}

result<std::string>
lm_runner::render_chat(std::span<const chat_message> messages, const render_options& options) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [role, content] : messages) {
        if (!utf8_valid(role) || !utf8_valid(content))
            return error{RLX_INVALID_ARGUMENT, fmt::format("message {} is not UTF-8", list.size())};
        list.push_back({{"role", role}, {"content", content}});
    }
    if (list.empty()) return error{RLX_INVALID_ARGUMENT, "no messages: at least one is needed"};
    return render_chat(list.dump(), options);
}

result<std::string>
lm_runner::render_chat(std::string_view messages_json, const render_options& options) {
    return state_->opened.files->render_chat(messages_json, options);
}

result<std::unique_ptr<lm_runner>> lm_runner::builder::build() const {
    const auto start = std::chrono::steady_clock::now();
    auto s = std::make_unique<state>();
    RLX_CHECK(s->prepare(*this));
    auto model = lm_model::open(s->opened.parts, s->lm);
    if (!model)
        return s->explain(std::move(model.error()), *this).within(request_.weights.string());
    s->model = std::move(*model);
    s->read_facts();
    s->load_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::unique_ptr<lm_runner>(new lm_runner(std::move(s)));
}

result<lm_plan> lm_runner::builder::plan() const {
    state s;
    RLX_CHECK(s.prepare(*this));
    auto plan = lm_model::plan(s.opened.parts, s.lm);
    if (!plan) return s.explain(std::move(plan.error()), *this).within(request_.weights.string());
    plan->profile = s.opened.profile.source;
    return plan;
}

} // namespace rlx
