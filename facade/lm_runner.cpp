// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/rlx.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/base/log.hpp"
#include "rlx/base/threads.hpp"
#include "rlx/base/utf8.hpp"
#include "rlx/extensions.hpp"
#include "rlx/services.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>

namespace rlx {

// Destroyed from the bottom up: the model before the device and the weights it borrows.
struct lm_runner::state {
    std::unique_ptr<plugin_catalog> own_catalog;
    std::unique_ptr<rlx::checkpoint> files;
    device_set devices;
    std::unique_ptr<lm_model> model;
    lm_session session;
    run_facts facts;
    std::vector<fallback> fallbacks;
    double load_seconds = 0;

    lm_model::parts parts{};
    check_report report;
    compile_profile profile;
    lm_options lm; // the builder's, with the profile in them

    // Everything but the model itself.
    result<void> prepare(const builder& b);
    result<void> choose_family(const builder& b, plugin_catalog& catalog);
    error explain(error e, const builder& b) const;
    void read_facts();
};

result<void> lm_runner::state::choose_family(const builder& b, plugin_catalog& catalog) {
    report = RLX_TRY(check_weights(files->weights(), catalog));
    RLX_CHECK(require_supported(report, files->weights(), false));
    const provided& entry = *report.family.entry;
    const std::string where = files->weights().path().string();
    if (!b.family_.empty() && entry.name != b.family_)
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: architecture '{}' belongs to family '{}', not '{}'",
                where,
                report.architecture,
                entry.name,
                b.family_
            )};
    if (entry.task != "lm")
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: family '{}' is for task '{}', not for language models",
                where,
                entry.name,
                entry.task
            )};
    offer_services();
    plugin* family = RLX_TRY(catalog.load(*report.family.owner));
    parts.family = static_cast<const rlx_family_v1*>(RLX_TRY(family->iface("rlx.family/1")));
    parts.family_self = family->table().self;
    facts.family = entry.name;
    facts.family_plugin = report.family.owner->id;
    facts.family_version = report.family.owner->version;
    return {};
}

result<void> lm_runner::state::prepare(const builder& b) {
    if (b.weights_.empty())
        return error{RLX_INVALID_ARGUMENT, "no weights given: name a file or a directory"};
    RLX_CHECK(set_threads(b.threads_));
    plugin_catalog* catalog = b.catalog_;
    if (!catalog) {
        search_options where;
        where.plugin_dirs = b.plugin_dirs_;
        own_catalog = RLX_TRY(plugin_catalog::open(where));
        catalog = own_catalog.get();
    }
    files =
        RLX_TRY(checkpoint::open(b.weights_, with_plugins(b.open_, *catalog), b.tokenizer_.string())
        );
    RLX_CHECK(choose_family(b, *catalog));
    device_options how = b.device_;
    if (how.cpu_tier.empty()) how.cpu_tier = env_string("RLX_CPU").value_or("");
    how.probe.cancel = b.lm_.cancel;
    devices = RLX_TRY(device_set::open(*catalog, how));
    const auto passed_over = devices.wanted->passed_over();
    fallbacks.assign(passed_over.begin(), passed_over.end());
    parts.find_op = op_finder(*catalog);
    parts.w = &files->weights();
    devices.describe(parts, b.fallback_);
    profile =
        RLX_TRY(find_profile(*report.family.entry, files->weights().path(), b.profile_, *catalog));
    lm = b.lm_;
    return apply_profile(profile, devices.wanted->name(), b.given_, lm);
}

// A backend that lacks what the profile asks for does not know where that was written.
error lm_runner::state::explain(error e, const builder& b) const {
    const bool asked = profile.compute.given() && !b.given_.compute;
    if (e.code != RLX_UNSUPPORTED || !asked || e.message.find("compute '") == std::string::npos)
        return e;
    e.message += fmt::format(" (precision.compute in {}:{})", profile.source, profile.compute.line);
    return e;
}

void lm_runner::state::read_facts() {
    const device* device = devices.wanted.get();
    facts.backend_plugin = device->provider().id;
    facts.backend_version = device->provider().version;
    facts.device = device->name();
    facts.device_description = device->description();
    facts.tier = model->tier();
    facts.compute = model->compute();
    facts.kv = model->kv();
    facts.threads = rlx::threads();
    facts.profile = profile.source;
    facts.devices = model->devices();
    add_fallbacks(model->partition(), parts.device_name, fallbacks);
}

lm_runner::lm_runner(std::unique_ptr<state> s) : state_(std::move(s)) {}

lm_runner::~lm_runner() = default;

lm_task lm_runner::task() const {
    return state_->model->graph() == RLX_GRAPH_EMBED ? lm_task::embed : lm_task::generate;
}

std::string_view lm_runner::family() const {
    return state_->facts.family;
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
    return state_->facts;
}

std::span<const fallback> lm_runner::fallbacks() const {
    return state_->fallbacks;
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
    return *state_->files;
}

result<std::vector<float>> lm_runner::predict_logits(std::span<const std::int32_t> ids) {
    state_->session = {}; // its place is needed when the model was opened for one sequence
    return rlx::predict_logits(*state_->model, ids);
}

result<void> lm_runner::logits(
    std::span<const std::int32_t> ids, std::int64_t chunk, const rows_callback& rows
) {
    lm_model& model = *state_->model;
    if (task() != lm_task::generate)
        return error{
            RLX_INVALID_ARGUMENT, "the model was opened to embed; open it to generate for logits"};
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
    for (const std::int32_t id : state_->files->stop_ids())
        if (id < vocab_size() && std::ranges::find(full.stop_ids, id) == full.stop_ids.end())
            full.stop_ids.push_back(id);
    std::unique_ptr<stream_decoder> decoder;
    auto stream = state_->files->stream();
    if (stream) {
        decoder = std::move(*stream);
    } else if (stream.error().code == RLX_OUT_OF_MEMORY) {
        return std::move(stream.error());
    } else if (std::ranges::none_of(state_->fallbacks, [](const fallback& f) {
                   return f.what == "text";
               })) {
        state_->fallbacks.push_back({"text", "ids only: " + stream.error().message});
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

result<embedding>
lm_runner::embed(std::span<const std::int32_t> ids, const embed_options& options) {
    lm_model& model = *state_->model;
    if (task() != lm_task::embed)
        return error{
            RLX_INVALID_ARGUMENT, "the model was opened to generate; open it to embed for vectors"};
    if (ids.empty())
        return error{RLX_INVALID_ARGUMENT, "nothing to embed: at least one token is needed"};
    const auto all = static_cast<std::int64_t>(ids.size());
    if (all > model.max_seq() && !options.truncate)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{} tokens to embed, max_seq is {}; raise max_seq, shorten the text or ask for "
                "truncation",
                all,
                model.max_seq()
            )};
    const auto read = ids.first(static_cast<std::size_t>(std::min(all, model.max_seq())));
    embedding out;
    out.tokens = static_cast<std::int64_t>(read.size());
    out.dropped = all - out.tokens;
    out.pooling = options.pooling != pooling::from_checkpoint
                      ? options.pooling
                      : RLX_TRY(checkpoint_pooling(state_->files->weights()));
    const auto sequence = RLX_TRY(model.new_sequence());
    const lm_batch_item item{sequence.get(), read, out.pooling == pooling::mean};
    const auto rows = RLX_TRY(model.eval({&item, 1}, {.cancel = options.cancel}));
    out.values = pool_rows(rows, static_cast<std::size_t>(model.row_size()), out.pooling);
    if (options.normalise) scale_to_unit(out.values);
    return out;
}

result<embedding> lm_runner::embed(std::string_view text, const embed_options& options) {
    const auto whole = RLX_TRY(tokenize(text, {.add_special = true}));
    const std::int64_t most = state_->model->max_seq();
    if (!options.truncate || static_cast<std::int64_t>(whole.size()) <= most)
        return embed(std::span<const std::int32_t>(whole), options);
    const auto plain = RLX_TRY(tokenize(text));
    const auto cut = RLX_TRY(truncate_ids(whole, plain, most));
    embedding out = RLX_TRY(embed(std::span<const std::int32_t>(cut), options));
    out.dropped = static_cast<std::int64_t>(whole.size() - cut.size());
    return out;
}

result<std::vector<std::int32_t>>
lm_runner::tokenize(std::string_view text, const encode_options& options) {
    return state_->files->tokenize(text, options);
}

result<std::string> lm_runner::detokenize(std::span<const std::int32_t> ids) {
    return state_->files->detokenize(ids);
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
    return state_->files->render_chat(messages_json, options);
}

result<std::unique_ptr<lm_runner>> lm_runner::builder::build() const {
    const auto start = std::chrono::steady_clock::now();
    auto s = std::make_unique<state>();
    RLX_CHECK(s->prepare(*this));
    auto model = lm_model::open(s->parts, s->lm);
    if (!model) return s->explain(std::move(model.error()), *this).within(weights_.string());
    s->model = std::move(*model);
    s->read_facts();
    s->load_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::unique_ptr<lm_runner>(new lm_runner(std::move(s)));
}

result<lm_plan> lm_runner::builder::plan() const {
    state s;
    RLX_CHECK(s.prepare(*this));
    auto plan = lm_model::plan(s.parts, s.lm);
    if (!plan) return s.explain(std::move(plan.error()), *this).within(weights_.string());
    plan->profile = s.profile.source;
    return plan;
}

} // namespace rlx
