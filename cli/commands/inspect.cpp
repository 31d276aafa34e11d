// SPDX-License-Identifier: GPL-3.0-only
// rlx-run inspect, rlx-inspect: what a weight file holds, from its headers alone.
#include "../catalog.hpp"
#include "../commands.hpp"
#include "../discover.hpp"

#include "rlx/formats/dequant.hpp"
#include "rlx/formats/weights.hpp"

#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

namespace rlx::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr flag own[] = {
    {"prefer",
     'p',
     flag_kind::text,
     "TEXT",
     "",
     "of several GGUF files take the one whose name contains TEXT"},
    {"gguf-index",
     0,
     flag_kind::integer,
     "N",
     "",
     "of several GGUF files take number N of the sorted list, from 0"},
    {"tensors", 0, flag_kind::toggle, "", "", "also list every tensor"},
    {"list-formats", 0, flag_kind::toggle, "", "", "list the weight formats rlx reads and exit"},
    {"json", 0, flag_kind::toggle, "", "", "print one JSON document"},
};

struct summary {
    std::uint64_t packed_bytes = 0, f32_bytes = 0;
    std::map<std::string, std::size_t> dtypes;
    std::string runner; // family that runs it, empty = none
    std::string why;    // when none does
    std::int64_t mtp_heads = 0;
};

summary summarise(const weights& w, const plugin_catalog& catalog) {
    summary s;
    for (const tensor_info& t : w.tensors()) {
        s.packed_bytes += t.n_bytes;
        s.f32_bytes += 4 * static_cast<std::uint64_t>(std::accumulate(
                               t.dims.begin(), t.dims.end(), std::int64_t{1}, std::multiplies<>()
                           ));
        s.dtypes[dtype_name(t.dtype)]++;
    }
    auto found = find_family_of(catalog, w);
    if (found.ok())
        s.runner = found->entry->name;
    else
        s.why = found.error().message;
    s.mtp_heads =
        w.meta_int(fmt::format("{}.nextn_predict_layers", w.stored_architecture())).value_or(0);
    return s;
}

json document(const weights& w, const summary& s, bool tensors) {
    json doc{
        {"format", w.format()}, {"path", w.path().string()}, {"arch", w.stored_architecture()}};
    doc["runner"] = s.runner.empty() ? json(nullptr) : json(s.runner);
    doc["tensors"] = w.tensors().size();
    doc["metadata"] = w.meta_keys().size();
    doc["size_bytes"] = w.file_bytes();
    doc["f32_bytes"] = s.f32_bytes;
    doc["packed_bytes"] = s.packed_bytes;
    doc["mtp_heads"] = s.mtp_heads;
    doc["dtypes"] = s.dtypes;
    if (!tensors) return doc;
    for (const tensor_info& t : w.tensors())
        doc["tensor_list"].push_back(
            {{"name", t.name},
             {"dtype", dtype_name(t.dtype)},
             {"shape", t.dims},
             {"bytes", t.n_bytes},
             {"offset", t.offset},
             {"file", t.file.filename().string()}}
        );
    return doc;
}

double mb(std::uint64_t bytes) {
    return static_cast<double>(bytes) / (1e6);
}

std::string text(const weights& w, const summary& s, bool tensors) {
    std::string out = fmt::format(
        "path      {}\nformat    {}\narch      {}\n",
        w.path().string(),
        w.format(),
        w.stored_architecture().empty() ? "(not stated)" : w.stored_architecture()
    );
    out += s.runner.empty() ? fmt::format("runner    none: {}\n", s.why)
                            : fmt::format("runner    rlx-{} (supported)\n", s.runner);
    out +=
        fmt::format("tensors   {}, metadata keys {}\n", w.tensors().size(), w.meta_keys().size());
    out += fmt::format(
        "size      {:.1f} MB packed, {:.1f} MB as f32\n", mb(s.packed_bytes), mb(s.f32_bytes)
    );
    if (s.mtp_heads > 0) out += fmt::format("draft     {} MTP heads\n", s.mtp_heads);
    out += "dtypes   ";
    for (const auto& [name, n] : s.dtypes)
        out += fmt::format(" {} x {}", n, name);
    out += "\n";
    if (!tensors) return out;
    for (const tensor_info& t : w.tensors())
        out +=
            fmt::format("  {:<8} [{}] {}\n", dtype_name(t.dtype), fmt::join(t.dims, ", "), t.name);
    return out;
}

result<int> list_formats(const arguments& a) {
    auto catalog = RLX_TRY(open_catalog(a));
    json doc = json::array(
        {{{"id", "gguf"}, {"extensions", {"gguf"}}},
         {{"id", "safetensors"}, {"extensions", {"safetensors"}}}}
    );
    std::string lines = "gguf         .gguf (versions 2 and 3, split files)\nsafetensors  "
                        ".safetensors, or a directory with config.json\n";
    for (const auto& m : catalog->all("weight_format")) {
        json extensions = json::array();
        for (const std::string& e : m.entry->extensions)
            extensions.push_back(e.substr(1));
        lines += fmt::format(
            "{:<12} {} (plugin {})\n",
            m.entry->name,
            m.entry->extensions.empty() ? "by its first bytes"
                                        : fmt::format("{}", fmt::join(m.entry->extensions, ", ")),
            m.owner->id
        );
        doc.push_back({{"id", m.entry->name}, {"extensions", std::move(extensions)}});
    }
    RLX_CHECK(print(a.has("json") ? doc.dump() + "\n" : lines));
    return exit_ok;
}

result<int> run(const arguments& a) {
    if (a.has("list-formats")) return list_formats(a);
    if (a.positional().empty())
        return error{
            RLX_INVALID_ARGUMENT,
            "no path given; usage: rlx-inspect <path>, rlx-inspect scan, rlx-inspect resolve "
            "<query>"};
    open_options options{.prefer = a.text("prefer"), .gguf_index = {}, .config = {}};
    if (a.has("gguf-index"))
        options.gguf_index = static_cast<std::size_t>(a.integer("gguf-index", 0));
    auto catalog = RLX_TRY(open_catalog(a));
    auto w = RLX_TRY(weights::open(a.positional()[0], with_plugins(options, *catalog)));
    const summary s = summarise(*w, *catalog);
    if (a.has("json"))
        RLX_CHECK(print(
            document(*w, s, a.has("tensors")).dump(2, ' ', false, json::error_handler_t::replace) +
            "\n"
        ));
    else
        RLX_CHECK(print(text(*w, s, a.has("tensors"))));
    return exit_ok;
}

} // namespace

int cmd_inspect(arg_span args) {
    if (!args.empty() && args[0] == "scan") return cmd_scan(args.subspan(1));
    if (!args.empty() && args[0] == "resolve") return cmd_resolve(args.subspan(1));
    return run_command(
        "rlx-inspect",
        {"inspect",
         "Shows what a weight file holds.",
         "<path>",
         {general_flags, {"Inspect", own}, plugin_flags},
         "The subcommands have their own --help.",
         {{"scan", "list model files on this machine"},
          {"resolve", "print the path of the one that matches"}}},
        args,
        run
    );
}

} // namespace rlx::cli
