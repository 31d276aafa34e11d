// SPDX-License-Identifier: GPL-3.0-only
#include "lm.hpp"

#include "catalog.hpp"
#include "rlx/base/environment.hpp"

#include <charconv>
#include <fmt/format.h>

namespace rlx::cli {

namespace {

error usage(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

result<std::string> one_of(
    const arguments& a,
    std::string_view flag,
    std::string_view fallback,
    std::initializer_list<std::string_view> allowed
) {
    const std::string value = a.text(flag, fallback);
    for (std::string_view v : allowed)
        if (value == v) return value;
    return usage(fmt::format("--{}: '{}' is none of {}", flag, value, fmt::join(allowed, ", ")));
}

// What --verbose adds: plugins and the memory plan.
void print_details(const lm_runner& runner) {
    const run_facts& f = runner.ran_on();
    const lm_plan& p = runner.memory();
    const auto mb = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
    say("plugins {} {}, {} {} | device {} | profile {}\n",
        f.family_plugin,
        f.family_version,
        f.backend_plugin,
        f.backend_version,
        f.device_description,
        f.profile);
    say("memory {:.1f} MB: weights {:.1f}, mapped {:.1f}, cache {:.1f} for {} tokens, scratch "
        "{:.1f}\n",
        mb(p.total()),
        mb(p.weights),
        mb(p.mapped),
        mb(p.state),
        p.max_seq,
        mb(p.scratch));
    for (const std::string& w : runner.warnings())
        say("note: {}\n", w);
}

// A bare name is looked up in RLX_WEIGHTS_DIR when it is no path here.
std::filesystem::path located(const std::string& given) {
    std::filesystem::path path(given);
    std::error_code ec;
    const auto dir = env_path("RLX_WEIGHTS_DIR");
    if (dir && path.is_relative() && !std::filesystem::exists(path, ec) &&
        std::filesystem::exists(*dir / path, ec))
        return *dir / path;
    return path;
}

} // namespace

std::string device_of(const arguments& a) {
    return a.has("device") ? a.text("device")
                           : std::string(env_string("RLX_DEVICE").value_or("cpu"));
}

result<void> require_language_model(const weights& w, const plugin_catalog& catalog) {
    const auto found = find_family_of(catalog, w);
    if (!found || found->entry->task == "lm") return {}; // what is not known says so elsewhere
    const provided& family = *found->entry;
    const bool text = family.task == "encode", images = family.task == "encode_image";
    return error{
        RLX_UNSUPPORTED,
        fmt::format(
            "{}: family '{}' {} and generates no text; use {}",
            w.path().string(),
            family.name,
            text     ? "encodes texts"
            : images ? "encodes images"
                     : fmt::format("is for task '{}'", family.task),
            text ? "'rlx-embed --weights ...'"
                 : fmt::format("'rlx-run {} --weights ...'", family.name)
        )};
}

result<std::uint32_t> threads_of(const arguments& a) {
    std::int64_t n = a.integer("threads", -1);
    if (n < 0) n = RLX_TRY(env_int("RLX_THREADS")).value_or(0);
    if (a.has("threads") && n == 0)
        return usage("--threads: 0 threads cannot compute; leave the flag out for the default");
    if (n < 0 || n > 4096) return usage(fmt::format("{} threads: between 1 and 4096 expected", n));
    return static_cast<std::uint32_t>(n);
}

result<fallback_policy> fallback_of(const arguments& a) {
    const std::string text = RLX_TRY(one_of(a, "fallback", "warn", {"allow", "warn", "deny"}));
    return parse_fallback(text).value_or(fallback_policy::warn);
}

result<weights_choice> weights_of(const arguments& a) {
    if (!a.has("weights") || a.text("weights").empty())
        return usage("no model given; --weights PATH names a GGUF file or a checkpoint directory");
    weights_choice c{
        .path = located(a.text("weights")),
        .options = {.prefer = a.text("prefer-gguf"), .gguf_index = {}, .config = a.text("config")},
        .tokenizer = a.text("tokenizer")};
    if (a.has("gguf-index"))
        c.options.gguf_index = static_cast<std::size_t>(a.integer("gguf-index", 0));
    return c;
}

result<std::unique_ptr<checkpoint>> open_checkpoint(const arguments& a, plugin_catalog& catalog) {
    const weights_choice c = RLX_TRY(weights_of(a));
    return checkpoint::open(c.path, with_plugins(c.options, catalog), c.tokenizer);
}

namespace {

// --compute and its older spellings; empty when none is given: the compile profile may say it.
result<std::string> compute_of(const arguments& a) {
    if (a.has("packed") && a.has("no-packed"))
        return usage("--packed and --no-packed exclude each other");
    if (a.has("compute") && a.text("compute") == "f16-lm")
        return error{
            RLX_UNSUPPORTED,
            "--precision f16-lm: a half-precision output layer alone is not offered; auto and f32 "
            "are"};
    const std::string compute = RLX_TRY(one_of(a, "compute", "auto", {"auto", "f32", "bf16"}));
    if (!a.has("no-packed")) return a.has("compute") ? compute : std::string();
    if (a.has("compute") && compute != "f32")
        return usage(
            fmt::format("--no-packed means --compute f32 and contradicts --compute {}", compute)
        );
    return std::string("f32");
}

result<void> check_format(const arguments& a, const weights_choice& c, plugin_catalog& catalog) {
    if (!a.has("format")) return {};
    const std::string wanted = a.text("format");
    auto w = RLX_TRY(weights::open(c.path, with_plugins(c.options, catalog)));
    if (w->format() == wanted) return {};
    return error{
        RLX_INVALID_ARGUMENT,
        fmt::format("--format {}: {} is {}", wanted, w->path().string(), w->format())};
}

// What lm_runner's and text_embedder's builders have in common.
template <class Builder>
result<Builder> common_of(
    const arguments& a, const weights_choice& c, plugin_catalog* catalog, const std::string& family
) {
    const std::string compute = RLX_TRY(compute_of(a));
    Builder b;
    b.weights(c.path).config(c.options.config).tokenizer(c.tokenizer).prefer(c.options.prefer);
    if (c.options.gguf_index) b.gguf_index(*c.options.gguf_index);
    if (!family.empty()) b.family(family);
    b.device(device_of(a)).threads(RLX_TRY(threads_of(a))).profile(a.text("profile"));
    if (!compute.empty()) b.compute(compute);
    b.tier(a.text("tier")).on_fallback(RLX_TRY(fallback_of(a))).time_ops(a.has("time-ops"));
    b.max_memory_gb(a.number("max-memory-gb", 0)).catalog(catalog).cancel(&cancel_flag());
    return b;
}

} // namespace

result<lm_runner::builder>
builder_of(const arguments& a, plugin_catalog* catalog, const std::string& family) {
    const weights_choice c = RLX_TRY(weights_of(a));
    auto b = RLX_TRY(common_of<lm_runner::builder>(a, c, catalog, family));
    RLX_CHECK(check_format(a, c, *catalog));
    const std::string kv = RLX_TRY(one_of(a, "kv", "auto", {"auto", "f16", "f32"}));
    if (a.has("kv")) b.kv(kv);
    b.max_seq(a.integer("max-seq", 0));
    return b;
}

result<text_embedder::builder>
embedder_of(const arguments& a, plugin_catalog* catalog, const std::string& family) {
    weights_choice c;
    if (a.has("pretrained")) {
        if (a.has("weights")) return usage("--weights and --pretrained exclude each other");
        c.options.config = a.text("config");
        c.tokenizer = a.text("tokenizer");
    } else {
        if (!a.has("weights"))
            return usage(
                "no model given; --weights PATH names a checkpoint directory or a GGUF file, "
                "--pretrained NAME one of the Hugging Face cache"
            );
        c = RLX_TRY(weights_of(a));
    }
    auto b = RLX_TRY(common_of<text_embedder::builder>(a, c, catalog, family));
    if (a.has("pretrained"))
        b.pretrained(a.text("pretrained"));
    else
        RLX_CHECK(check_format(a, c, *catalog));
    return b.max_length(a.integer("max-length", a.integer("max-seq", 0)))
        .max_tokens(a.integer("batch-tokens", 0));
}

result<std::unique_ptr<lm_runner>> load_model(
    const arguments& a, plugin_catalog* catalog, const std::string& family, std::int64_t max_rows
) {
    auto b = RLX_TRY(builder_of(a, catalog, family));
    const auto mode = a.has("quiet") ? progress_mode::none
                                     : RLX_TRY(parse_progress_mode(a.text("progress", "auto")));
    progress_line line("loading", "bytes", mode);
    b.progress([&](std::uint64_t done, std::uint64_t total) { line.update(done, total); });
    if (max_rows > 0) b.max_rows(max_rows);
    auto runner = RLX_TRY(b.build());
    if (a.has("verbose")) print_details(*runner);
    return runner;
}

result<generate_options> generation_of(const arguments& a, std::int64_t default_max_tokens) {
    generate_options o;
    o.max_tokens = a.integer("max-tokens", default_max_tokens);
    o.sample.temperature = a.number("temperature", 0);
    o.sample.top_k = a.integer("top-k", 0);
    o.sample.top_p = a.number("top-p", 1);
    o.sample.min_p = a.number("min-p", 0);
    o.sample.repetition_penalty = a.number("repetition-penalty", 1);
    o.sample.repetition_window = a.integer("repetition-window", 64);
    o.sample.presence_penalty = a.number("presence-penalty", 0);
    o.sample.frequency_penalty = a.number("frequency-penalty", 0);
    o.sample.seed = static_cast<std::uint64_t>(a.integer("seed", 0));
    if (o.sample.top_p > 1) return usage(fmt::format("--top-p: {} is above 1", o.sample.top_p));
    if (o.sample.min_p > 1) return usage(fmt::format("--min-p: {} is above 1", o.sample.min_p));
    if (a.has("repetition-penalty") && o.sample.repetition_penalty == 0)
        return usage("--repetition-penalty: must be above 0");
    o.stop = a.all("stop");
    for (const std::string& stop : o.stop)
        if (stop.empty()) return usage("--stop: an empty text would stop at once");
    o.ignore_eos = a.has("ignore-eos");
    o.cancel = &cancel_flag();
    return o;
}

result<std::vector<std::int32_t>> parse_ids(std::string_view list) {
    const std::string_view whole = list;
    std::vector<std::int32_t> ids;
    if (list.find_first_not_of(' ') == std::string_view::npos)
        return usage("--prompt-ids: the prompt is empty");
    while (true) {
        const std::size_t comma = list.find(',');
        std::string_view piece = list.substr(0, comma);
        while (piece.starts_with(' '))
            piece.remove_prefix(1);
        while (piece.ends_with(' '))
            piece.remove_suffix(1);
        std::int32_t id = 0;
        const auto [end, code] = std::from_chars(piece.data(), piece.data() + piece.size(), id);
        if (code != std::errc() || end != piece.data() + piece.size())
            return usage(fmt::format(
                "--prompt-ids: '{}' in '{}' is no token id; expected numbers with commas between "
                "them",
                piece,
                whole
            ));
        ids.push_back(id);
        if (comma == std::string_view::npos) return ids;
        list.remove_prefix(comma + 1);
    }
}

result<render_options> rendering_of(const arguments& a) {
    render_options o;
    json vars = json::object();
    if (a.has("template-vars")) {
        vars = json::parse(a.text("template-vars"), nullptr, false);
        if (!vars.is_object())
            return usage(
                "--template-vars: a JSON object expected, such as {\"enable_thinking\": false}"
            );
    }
    if (a.has("no-think")) vars["enable_thinking"] = false;
    if (!vars.empty()) o.extra_json = vars.dump();
    return o;
}

std::string messages_of(std::string_view system, std::string_view user) {
    json list = json::array();
    if (!system.empty()) list.push_back({{"role", "system"}, {"content", system}});
    list.push_back({{"role", "user"}, {"content", user}});
    return list.dump(-1, ' ', false, json::error_handler_t::replace);
}

result<void> check_messages(std::string_view text) {
    const json list = json::parse(text, nullptr, false);
    if (list.is_discarded()) return usage("--messages-json: not valid JSON");
    if (!list.is_array() || list.empty())
        return usage("--messages-json: a non-empty JSON array of messages expected");
    for (std::size_t i = 0; i < list.size(); i++)
        if (!list[i].is_object() || !list[i].contains("role") || !list[i]["role"].is_string())
            return usage(fmt::format(
                "--messages-json: message {} has no \"role\"; expected {{\"role\": \"user\", "
                "\"content\": \"...\"}}",
                i
            ));
    return {};
}

std::string dump(const json& doc) {
    return doc.dump(-1, ' ', false, json::error_handler_t::replace);
}

json facts_of(const run_facts& f) {
    json devices = json::array();
    for (const device_facts& d : f.devices) {
        devices.push_back(
            {{"device", d.device},
             {"tier", d.tier},
             {"compute", d.compute},
             {"nodes", d.nodes},
             {"programs", d.programs}}
        );
        for (const auto& t : d.times)
            devices.back()["op_times"].push_back({{"op", t.op}, {"calls", t.calls}, {"ms", t.ms}});
    }
    json plugins = {f.family_plugin, f.backend_plugin};
    if (f.devices.size() > 1) plugins.push_back(f.second_plugin);
    return {
        {"device", f.device},
        {"description", f.device_description},
        {"tier", f.tier},
        {"compute", f.compute},
        {"kv", f.kv},
        {"profile", f.profile},
        {"threads", f.threads},
        {"devices", std::move(devices)},
        {"family", f.family},
        {"plugins", std::move(plugins)}};
}

json fallbacks_of(std::span<const fallback> fallbacks) {
    json list = json::array();
    for (const fallback& f : fallbacks)
        list.push_back({{"what", f.what}, {"reason", f.reason}});
    return list;
}

void print_op_times(const run_facts& f) {
    for (const device_facts& d : f.devices) {
        double all = 0;
        for (const auto& t : d.times)
            all += t.ms;
        for (const auto& t : d.times)
            say("{:<10} {:<18} {:>9} calls {:>12.3f} ms {:>5.1f} %\n",
                d.device,
                t.op,
                t.calls,
                t.ms,
                100 * t.ms / std::max(all, 1e-9));
    }
}

void print_summary(const lm_runner& runner, const generate_result& r) {
    const run_facts& f = runner.ran_on();
    say("load {:.2f} s | prefill {} tokens, {:.1f} tok/s | decode {} tokens, {:.1f} tok/s | {} {}, "
        "{}, kv {}, {} threads\n",
        runner.load_seconds(),
        r.timings.prefill_tokens,
        r.timings.prefill_tokens_per_s(),
        r.timings.decode_steps,
        r.timings.decode_tokens_per_s(),
        f.device,
        f.tier,
        f.compute,
        f.kv,
        f.threads);
    for (const fallback& b : runner.fallbacks())
        say("note: {}: {}\n", b.what, b.reason);
    print_op_times(f);
}

result<int> show_partition(const arguments& a, const partition_report& report) {
    if (!a.has("json")) {
        RLX_CHECK(print(report.text()));
        return exit_ok;
    }
    json doc{
        {"schema", 1},
        {"bytes_copied", report.bytes_copied},
        {"programs", json::array()},
        {"nodes", json::array()}};
    for (const auto& p : report.programs)
        doc["programs"].push_back(
            {{"device", p.device}, {"nodes", p.nodes}, {"bytes_copied_in", p.bytes_in}}
        );
    for (const auto& n : report.nodes)
        doc["nodes"].push_back(
            {{"node", n.index},
             {"op", n.op},
             {"origin", n.origin},
             {"device", n.device},
             {"cause", n.cause},
             {"reason", n.reason},
             {"program", n.program},
             {"bytes_copied", n.bytes_in}}
        );
    RLX_CHECK(print(dump(doc) + "\n"));
    return exit_ok;
}

} // namespace rlx::cli
