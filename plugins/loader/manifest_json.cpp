// SPDX-License-Identifier: GPL-3.0-only
#include "manifest_json.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

namespace rlx::loader {
namespace {

using nlohmann::json;

error bad(std::string message) {
    return {RLX_CORRUPT_DATA, "manifest: " + std::move(message)};
}

bool is_word(std::string_view s) {
    return !s.empty() && s.size() <= 128 && std::ranges::all_of(s, [](unsigned char c) {
        return std::isalnum(c) || c == '.' || c == '_' || c == '+' || c == '-';
    });
}

// For text that reaches terminals.
bool is_plain(std::string_view s) {
    return std::ranges::none_of(s, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

result<std::string> word(const json& object, const char* key) {
    const auto it = object.find(key);
    if (it == object.end() || !it->is_string()) return bad(fmt::format("no string \"{}\"", key));
    auto text = it->get<std::string>();
    if (!is_word(text)) {
        return bad(fmt::format("\"{}\" must be 1 to 128 letters, digits and . _ + -", key));
    }
    return text;
}

result<std::string> text_or_empty(const json& object, const char* key) {
    const auto it = object.find(key);
    if (it == object.end()) return std::string();
    if (!it->is_string()) return bad(fmt::format("\"{}\" is no string", key));
    if (!is_plain(it->get_ref<const std::string&>()))
        return bad(fmt::format("\"{}\" has control characters", key));
    return it->get<std::string>();
}

result<std::int64_t>
integer(const json& object, const char* key, std::optional<std::int64_t> fallback) {
    const auto it = object.find(key);
    if (it == object.end() && fallback) return *fallback;
    if (it == object.end() || !it->is_number_integer()) {
        return bad(fmt::format("no whole number \"{}\"", key));
    }
    const bool too_big =
        it->is_number_unsigned() &&
        it->get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int32_t>::max()};
    if (too_big || std::abs(it->get<std::int64_t>()) > std::numeric_limits<std::int32_t>::max()) {
        return bad(fmt::format("\"{}\" is out of range", key));
    }
    return it->get<std::int64_t>();
}

result<std::vector<std::string>> strings(const json& object, const char* key) {
    std::vector<std::string> out;
    const auto it = object.find(key);
    if (it == object.end()) return out;
    if (!it->is_array()) return bad(fmt::format("\"{}\" is no array of strings", key));
    for (const auto& item : *it) {
        if (!item.is_string()) return bad(fmt::format("\"{}\" is no array of strings", key));
        if (!is_plain(item.get_ref<const std::string&>()))
            return bad(fmt::format("\"{}\" has control characters", key));
        out.push_back(item.get<std::string>());
    }
    return out;
}

// "544f5931" -> "TOY1"
std::optional<std::string> from_hex(std::string_view hex) {
    if (hex.size() < 4 || hex.size() > 128 || hex.size() % 2 != 0) return std::nullopt;
    std::string out;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        unsigned byte = 0;
        const auto [end, failed] = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
        if (failed != std::errc() || end != hex.data() + i + 2) return std::nullopt;
        out += static_cast<char>(byte);
    }
    return out;
}

result<void> check_format(provided& p) {
    const auto wrong = [&](std::string_view why) {
        return bad(fmt::format("weight_format \"{}\": {}", p.name, why));
    };
    if (p.name == "gguf" || p.name == "safetensors") return wrong("rlx reads that format itself");
    if (p.extensions.empty() && p.magic.empty())
        return wrong("has neither \"extensions\" nor \"magic\"");
    for (const std::string& e : p.extensions) {
        const bool lower = std::ranges::none_of(e, [](unsigned char c) { return std::isupper(c); });
        if (e.size() < 2 || e[0] != '.' || !is_word(e) || !lower)
            return wrong(fmt::format("extension \"{}\" is none like \".toy\"", e));
        if (e == ".gguf" || e == ".safetensors")
            return wrong(fmt::format("extension \"{}\" is of a format rlx reads itself", e));
    }
    for (std::string& m : p.magic) {
        const auto bytes = from_hex(m);
        if (!bytes) return wrong(fmt::format("magic \"{}\" is no hex of 2 to 64 bytes", m));
        if (bytes->starts_with("GGUF"))
            return wrong(fmt::format("magic \"{}\" is of a format rlx reads itself", m));
        m = *bytes;
    }
    return {};
}

// Entries of the kinds that add something to the host.
result<void> check_extension(provided& p) {
    if (p.kind == "op" && p.name.find('.') == p.name.npos)
        return bad(fmt::format("op \"{}\" needs a name like \"org.example.swirl\"", p.name));
    if (p.kind == "command" && !p.interface.empty() && p.interface != "rlx.cli/1")
        return bad(
            fmt::
                format("command \"{}\" has the interface \"{}\", expected \"rlx.cli/1\"", p.name, p.interface)
        );
    if (p.kind == "tensor_names" && p.arches.empty())
        return bad(fmt::format("tensor_names \"{}\" has no \"arches\"", p.name));
    return p.kind == "weight_format" ? check_format(p) : result<void>();
}

result<provided> parse_provided(const json& entry) {
    if (!entry.is_object()) return bad("an entry of \"provides\" is no object");
    provided p;
    p.kind = RLX_TRY(word(entry, "kind"));
    p.name = RLX_TRY(word(entry, "name"));
    p.summary = RLX_TRY(text_or_empty(entry, "summary"));
    p.task = RLX_TRY(text_or_empty(entry, "task"));
    p.priority = RLX_TRY(integer(entry, "priority", 100));
    p.gguf_arches = RLX_TRY(strings(entry, "gguf_arches"));
    p.hf_model_types = RLX_TRY(strings(entry, "hf_model_types"));
    p.formats = RLX_TRY(strings(entry, "formats"));
    p.required_meta = RLX_TRY(strings(entry, "required_meta"));
    p.flag_groups = RLX_TRY(strings(entry, "flag_groups"));
    p.devices = RLX_TRY(strings(entry, "devices"));
    p.interface = RLX_TRY(text_or_empty(entry, "interface"));
    p.extensions = RLX_TRY(strings(entry, "extensions"));
    p.magic = RLX_TRY(strings(entry, "magic"));
    p.arches = RLX_TRY(strings(entry, "arches"));
    p.implements = RLX_TRY(text_or_empty(entry, "implements"));
    p.json = entry.dump(-1, ' ', false, json::error_handler_t::replace);
    if (p.kind == "family" && p.task.empty()) {
        return bad(fmt::format("family \"{}\" has no \"task\"", p.name));
    }
    if (p.kind == "family" && p.gguf_arches.empty() && p.hf_model_types.empty()) {
        return bad(
            fmt::format("family \"{}\" has neither \"gguf_arches\" nor \"hf_model_types\"", p.name)
        );
    }
    RLX_CHECK(check_extension(p));
    return p;
}

const json& object_or_empty(const json& parent, const char* key) {
    static const json empty = json::object();
    const auto it = parent.find(key);
    return it != parent.end() && it->is_object() ? *it : empty;
}

result<void> parse_requirements(const json& doc, manifest& m) {
    const json& abi = object_or_empty(doc, "abi");
    m.abi_major = RLX_TRY(integer(abi, "major", std::nullopt).within("\"abi\""));
    m.abi_min_minor = RLX_TRY(integer(abi, "min_minor", std::nullopt).within("\"abi\""));
    const json& platform = object_or_empty(doc, "platform");
    m.os = RLX_TRY(text_or_empty(platform, "os"));
    m.arch = RLX_TRY(text_or_empty(platform, "arch"));
    m.isa = RLX_TRY(strings(platform, "isa"));
    const json& needs = object_or_empty(doc, "requires");
    m.sonames = RLX_TRY(strings(needs, "sonames"));
    m.interfaces = RLX_TRY(strings(needs, "interfaces"));
    for (const auto& soname : m.sonames) {
        // A path would be a way around the search rules.
        if (!is_word(soname))
            return bad(fmt::format("soname \"{}\" is no plain library name", soname));
    }
    return {};
}

bool cpu_has(std::string_view isa) {
#if defined(__x86_64__)
    if (isa == "x86-64") return true;
    if (isa == "x86-64-v2") return __builtin_cpu_supports("x86-64-v2");
    if (isa == "x86-64-v3") return __builtin_cpu_supports("x86-64-v3");
    if (isa == "x86-64-v4") return __builtin_cpu_supports("x86-64-v4");
    return false;
#else
    return isa == "armv8-a" || isa == "rv64gc";
#endif
}

#if defined(__x86_64__)
constexpr std::string_view this_arch = "x86_64";
#elif defined(__aarch64__)
constexpr std::string_view this_arch = "aarch64";
#else
constexpr std::string_view this_arch = "riscv64";
#endif

} // namespace

result<json> parse_json(std::string_view text) {
    constexpr int max_depth = 48;
    bool too_deep = false;
    const auto limit = [&](int depth, json::parse_event_t, json&) {
        too_deep = too_deep || depth > max_depth;
        return !too_deep; // drops what nests deeper, so the document stays small
    };
    try {
        json doc = json::parse(text, limit);
        if (too_deep) return bad(fmt::format("nests deeper than {} levels", max_depth));
        return doc;
    } catch (const json::exception& e) {
        return bad(e.what());
    }
}

result<manifest> manifest_from_json(const json& doc) {
    if (!doc.is_object()) return bad("is no JSON object");
    if (RLX_TRY(integer(doc, "rlx_manifest", std::nullopt)) != 1) {
        return error{
            RLX_VERSION_MISMATCH,
            fmt::format("manifest format {} is not known, expected 1", doc["rlx_manifest"].dump())};
    }
    manifest m;
    m.id = RLX_TRY(word(doc, "id"));
    m.version = RLX_TRY(word(doc, "version"));
    RLX_CHECK(parse_requirements(doc, m));
    const auto list = doc.find("provides");
    if (list == doc.end() || !list->is_array() || list->empty()) {
        return bad("\"provides\" must be an array with at least one entry");
    }
    for (const auto& entry : *list)
        m.provides.push_back(RLX_TRY(parse_provided(entry)));
    return m;
}

result<manifest> manifest_from_text(std::string_view text) {
    return manifest_from_json(RLX_TRY(parse_json(text)));
}

result<void> check_compatible(const manifest& m) {
    if (m.abi_major != RLX_ABI_MAJOR || m.abi_min_minor > RLX_ABI_MINOR) {
        return error{
            RLX_VERSION_MISMATCH,
            fmt::format(
                "{} {} needs plugin ABI {}.{}, this host speaks {}.{}; {}",
                m.id,
                m.version,
                m.abi_major,
                m.abi_min_minor,
                RLX_ABI_MAJOR,
                RLX_ABI_MINOR,
                m.abi_major < RLX_ABI_MAJOR ? "install a newer plugin" : "install a newer rlx"
            )};
    }
    if ((!m.os.empty() && m.os != "linux") || (!m.arch.empty() && m.arch != this_arch)) {
        return error{
            RLX_UNSUPPORTED,
            fmt::format("{} is for {} {}, this is linux {}", m.id, m.os, m.arch, this_arch)};
    }
    for (const auto& isa : m.isa) {
        if (!cpu_has(isa)) {
            return error{
                RLX_UNSUPPORTED,
                fmt::format("{} needs a processor with {}, this one is older", m.id, isa)};
        }
    }
    return {};
}

} // namespace rlx::loader
