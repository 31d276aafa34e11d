// SPDX-License-Identifier: GPL-3.0-only
// Opening an embedder: the checkpoint's recipe, then an encoder or a language model below its head.
#include "embed_files.hpp"
#include "embedder_state.hpp"

#include "rlx/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace rlx {
namespace {

constexpr std::string_view tasks[] = {"encode", "lm"};
constexpr std::int64_t longest_by_default = 4096; // of a language model: its cache is for that

error not_positive(std::string_view name, std::int64_t value) {
    return {RLX_INVALID_ARGUMENT, fmt::format("{} is {}, expected 0 or more", name, value)};
}

lm_plan as_plan(const encoder_plan& p) {
    lm_plan out;
    out.weights = p.weights;
    out.mapped = p.mapped;
    out.scratch = p.scratch;
    out.devices = p.devices;
    out.partition = p.partition;
    out.refused = p.refused;
    return out;
}

} // namespace

result<void> text_embedder::state::prepare(const builder& b) {
    if (b.max_length_ < 0) return not_positive("max_length", b.max_length_);
    if (b.max_tokens_ < 0) return not_positive("max_tokens", b.max_tokens_);
    model_request request = b.request_;
    if (!b.pretrained_.empty()) {
        if (!request.weights.empty())
            return error{
                RLX_INVALID_ARGUMENT, "weights and a pretrained name are given, expected one"};
        request.weights = RLX_TRY(hub_snapshot(b.pretrained_));
    }
    const std::filesystem::path folder = request.weights;
    request.weights = RLX_TRY(transformer_folder(folder));
    const bool below = request.weights != folder;
    request.device.probe.cancel = b.cancel_;
    opened = RLX_TRY(open_parts(request, tasks));
    recipe = RLX_TRY(read_recipe(
        opened.files->weights(), b.pretrained_, below ? folder : std::filesystem::path()
    ));
    lm_how.graph = RLX_GRAPH_EMBED;
    lm_how.max_memory_gb = b.max_memory_gb_;
    lm_how.progress = b.progress_;
    lm_how.cancel = b.cancel_;
    if (!b.compute_.empty()) lm_how.compute = b.compute_;
    RLX_CHECK(apply_profile(
        opened.profile, opened.devices.wanted->name(), {.compute = !b.compute_.empty()}, lm_how
    ));
    if (b.max_tokens_ > 0) lm_how.max_batch = b.max_tokens_;
    encoder_how.compute = lm_how.compute;
    encoder_how.fuse = lm_how.fuse;
    encoder_how.finish = lm_how.finish;
    encoder_how.max_memory_gb = b.max_memory_gb_;
    encoder_how.progress = b.progress_;
    encoder_how.cancel = b.cancel_;
    if (b.max_tokens_ > 0) encoder_how.max_tokens = b.max_tokens_;
    return choose_length(b);
}

// The builder's length must fit the model, whose own word that is; the recipe's may be longer than
// the table of positions.
result<void> text_embedder::state::choose_length(const builder& b) {
    if (opened.task() == "encode") {
        encoder_how.max_length = b.max_length_;
        return {};
    }
    length_given = b.max_length_ > 0;
    lm_how.max_seq = b.max_length_;
    if (b.max_length_ == 0 && recipe.max_length > 0)
        lm_how.max_seq = std::min(recipe.max_length, longest_by_default);
    return {};
}

result<void> text_embedder::state::load() {
    if (opened.task() == "encode") {
        encoder = RLX_TRY(encoder_model::open(opened.parts, encoder_how));
        plan = as_plan(encoder->memory());
        max_length = encoder->max_length();
        if (encoder_how.max_length == 0 && recipe.max_length > 0)
            max_length = std::min(max_length, recipe.max_length);
        warnings.assign(encoder->warnings().begin(), encoder->warnings().end());
    } else {
        lm = RLX_TRY(lm_model::open(opened.parts, lm_how));
        plan = lm->memory();
        max_length = lm->max_seq();
        warnings.assign(lm->warnings().begin(), lm->warnings().end());
        const std::int64_t context = lm->context_length(), said = recipe.max_length;
        const std::int64_t longest = said > 0 && said < context ? said : context;
        if (!length_given && longest > max_length)
            warnings.push_back(fmt::format(
                "texts have at most {} tokens here, the checkpoint takes {}; a larger max_length "
                "takes them, and the memory of its cache",
                max_length,
                longest
            ));
    }
    plan.max_seq = max_length;
    warnings.insert(warnings.end(), recipe.notes.begin(), recipe.notes.end());
    if (!recipe.known_as.empty())
        opened.fallbacks.push_back(
            {"recipe",
             fmt::format(
                 "the checkpoint does not say all it needs; some is from the known model {}",
                 recipe.known_as
             )}
        );
    vector_size_ = RLX_TRY(modules_size(hidden_size() * (1 + std::ssize(recipe.more_pooling))));
    read_facts();
    return {};
}

result<std::int64_t> text_embedder::state::modules_size(std::int64_t pooled) const {
    std::int64_t size = pooled;
    for (const vector_module& m : recipe.modules) {
        if (m.in > 0 && m.in != size)
            return error{
                RLX_CORRUPT_DATA,
                fmt::format(
                    "the {} module takes {} values, {} {}",
                    m.what == vector_module::kind::dense ? "Dense" : "LayerNorm",
                    m.in,
                    size == pooled ? "the pooled vector has" : "the module before it makes",
                    size
                )};
        if (m.out > 0) size = m.out;
    }
    return size;
}

void text_embedder::state::read_facts() {
    run_facts& facts = opened.facts;
    facts.tier = encoder ? encoder->tier() : lm->tier();
    facts.compute = encoder ? encoder->compute() : lm->compute();
    facts.kv = encoder ? "none" : lm->kv();
    add_fallbacks(partition(), opened.parts.device_name, opened.fallbacks);
}

text_embedder::text_embedder(std::unique_ptr<state> s) : state_(std::move(s)) {}

text_embedder::~text_embedder() = default;

result<std::unique_ptr<text_embedder>> text_embedder::from_dir(const std::filesystem::path& path) {
    return builder().weights(path).build();
}

result<std::unique_ptr<text_embedder>> text_embedder::from_pretrained(std::string_view name) {
    return builder().pretrained(std::string(name)).build();
}

std::string_view text_embedder::family() const {
    return state_->opened.facts.family;
}

std::int64_t text_embedder::vocab_size() const {
    return state_->vocab_size();
}

std::int64_t text_embedder::hidden_size() const {
    return state_->hidden_size();
}

std::int64_t text_embedder::dimensions() const {
    return state_->recipe.dimensions > 0 ? state_->recipe.dimensions : state_->vector_size();
}

std::int64_t text_embedder::max_length() const {
    return state_->max_length;
}

std::int64_t text_embedder::context_length() const {
    return state_->encoder ? state_->encoder->max_length() : state_->lm->context_length();
}

std::int64_t text_embedder::max_tokens() const {
    return state_->encoder ? state_->encoder->max_tokens() : state_->lm_how.max_batch;
}

const embedding_recipe& text_embedder::recipe() const {
    return state_->recipe;
}

const lm_plan& text_embedder::memory() const {
    return state_->plan;
}

const run_facts& text_embedder::ran_on() const {
    const auto& s = *state_;
    state_->opened.facts.devices = s.encoder ? s.encoder->devices() : s.lm->devices();
    return state_->opened.facts;
}

std::span<const fallback> text_embedder::fallbacks() const {
    return state_->opened.fallbacks;
}

const partition_report& text_embedder::partition() const {
    return state_->partition();
}

std::span<const std::string> text_embedder::warnings() const {
    return state_->warnings;
}

double text_embedder::load_seconds() const {
    return state_->load_seconds;
}

rlx::checkpoint& text_embedder::checkpoint() {
    return *state_->opened.files;
}

std::string text_embedder::builder::name() const {
    return pretrained_.empty() ? request_.weights.string() : pretrained_;
}

result<std::unique_ptr<text_embedder>> text_embedder::builder::build() const {
    const auto start = std::chrono::steady_clock::now();
    auto s = std::make_unique<state>();
    RLX_CHECK(s->prepare(*this));
    auto loaded = s->load();
    if (!loaded) return std::move(loaded.error()).within(name());
    s->load_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::unique_ptr<text_embedder>(new text_embedder(std::move(s)));
}

result<lm_plan> text_embedder::builder::plan() const {
    state s;
    RLX_CHECK(s.prepare(*this));
    lm_plan out;
    if (s.opened.task() == "encode") {
        auto plan = encoder_model::plan(s.opened.parts, s.encoder_how);
        if (!plan) return std::move(plan.error()).within(name());
        out = as_plan(*plan);
    } else {
        auto plan = lm_model::plan(s.opened.parts, s.lm_how);
        if (!plan) return std::move(plan.error()).within(name());
        out = std::move(*plan);
    }
    out.profile = s.opened.profile.source;
    return out;
}

} // namespace rlx
