// SPDX-License-Identifier: GPL-3.0-only
#include "discover.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/formats/weights.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

namespace rlx::cli {

namespace {

namespace fs = std::filesystem;

struct source {
    std::string name;
    std::vector<fs::path> roots;
};

fs::path home(const char* below) {
    const auto h = env_path("HOME");
    return h ? *h / below : fs::path();
}

std::vector<fs::path> first_of(std::optional<fs::path> given, std::vector<fs::path> defaults) {
    if (given) return {*given};
    std::erase_if(defaults, [](const fs::path& p) { return p.empty(); });
    return defaults;
}

// In order of priority.
std::vector<source> sources(const std::vector<fs::path>& extra) {
    std::vector<fs::path> own{cache_dir() / "models", data_dir() / "models"};
    if (auto dir = env_path("RLX_WEIGHTS_DIR")) own.insert(own.begin(), *dir);
    std::vector<fs::path> more = extra;
    for (fs::path& p : env_paths("RLX_WEIGHTS_PATHS"))
        more.push_back(std::move(p));
    return {
        {"rlx", own},
        {"lmstudio",
         first_of(
             env_path("LM_STUDIO_MODELS"),
             {home(".lmstudio/models"), home(".cache/lm-studio/models")}
         )},
        {"lemonade", first_of(env_path("LEMONADE_CACHE_DIR"), {home(".cache/lemonade")})},
        {"ollama", first_of(env_path("OLLAMA_MODELS"), {home(".ollama/models")})},
        {"extra", more},
        {"mlx", first_of(env_path("MLX_CACHE"), {home(".cache/mlx")})},
        {"vllm", first_of(env_path("VLLM_CACHE_ROOT"), {home(".cache/vllm")})},
        {"hf", {hf_hub_cache()}},
    };
}

std::string lower(std::string_view s) {
    std::string out(s);
    std::ranges::transform(out, out.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return out;
}

// The quantisation a file name mentions: Q4_K_M, IQ4_XS, BF16, ...
std::string quant_of(std::string_view name) {
    std::size_t at = 0;
    while (at < name.size()) {
        const std::size_t end = std::min(name.find_first_of("-. /", at), name.size());
        std::string word = lower(name.substr(at, end - at));
        const bool q =
            word.size() > 1 && word[0] == 'q' && std::isdigit(static_cast<unsigned char>(word[1]));
        if (q || word.starts_with("iq") || word == "f16" || word == "bf16" || word == "f32") {
            std::ranges::transform(word, word.begin(), [](unsigned char c) {
                return static_cast<char>(std::toupper(c));
            });
            return word;
        }
        at = end + 1;
    }
    return {};
}

std::uint64_t size_of(const fs::path& p) {
    std::error_code ec;
    const auto n = fs::file_size(p, ec);
    return ec ? 0 : n;
}

bool skip_file(const fs::path& p) {
    const std::string name = p.filename().string();
    return name.starts_with("mmproj") ||
           (name.find("-of-") != std::string::npos && name.find("-00001-of-") == std::string::npos);
}

// What a hub path means to people: models--org--name -> org/name.
std::string readable(const fs::path& p) {
    for (const fs::path& part : p) {
        std::string s = part.string();
        if (!s.starts_with("models--")) continue;
        s.erase(0, 8);
        if (const auto at = s.find("--"); at != std::string::npos) s.replace(at, 2, "/");
        return s;
    }
    return p.filename().string();
}

// The plugin's format a file name belongs to, or empty.
std::string format_of(const fs::path& p, const scan_options& o) {
    const std::string name = lower(p.filename().string());
    for (const auto& [extension, format] : o.formats)
        if (name.ends_with(extension)) return format;
    return {};
}

void walk(
    const source& from,
    const fs::path& dir,
    int depth,
    const scan_options& o,
    std::vector<found_model>& out
) {
    std::error_code ec;
    for (fs::directory_iterator it(dir, fs::directory_options::skip_permission_denied, ec), end;
         !ec && it != end;
         it.increment(ec)) {
        const fs::path p = it->path();
        std::error_code ignored;
        if (it->is_directory(ignored)) {
            if (depth > 0 && !it->is_symlink(ignored)) walk(from, p, depth - 1, o, out);
        } else if (p.extension() == ".gguf" && !skip_file(p)) {
            out.push_back(
                {p,
                 from.name,
                 p.stem().string(),
                 "gguf",
                 size_of(p),
                 quant_of(p.stem().string()),
                 {}}
            );
        } else if (const std::string format = format_of(p, o); !format.empty()) {
            out.push_back({p, from.name, p.stem().string(), format, size_of(p), {}, {}});
        } else if (p.filename() == "model.safetensors" || p.filename() == "model.safetensors.index.json") {
            if (fs::exists(p.parent_path() / "config.json", ignored))
                out.push_back(
                    {p.parent_path(),
                     from.name,
                     readable(p.parent_path()),
                     "safetensors",
                     size_of(p),
                     {},
                     {}}
                );
        }
    }
}

// Ollama keeps GGUF files as blobs; its manifests give them names.
void walk_ollama(const source& from, const fs::path& root, std::vector<found_model>& out) {
    std::error_code ec;
    for (fs::recursive_directory_iterator
             it(root / "manifests", fs::directory_options::skip_permission_denied, ec),
         end;
         !ec && it != end;
         it.increment(ec)) {
        if (!it->is_regular_file(ec)) continue;
        std::ifstream f(it->path());
        const auto doc = nlohmann::json::parse(f, nullptr, false);
        if (!doc.is_object() || !doc.contains("layers") || !doc["layers"].is_array()) continue;
        for (const auto& layer : doc["layers"]) {
            if (!layer.is_object() ||
                layer.value("mediaType", "") != "application/vnd.ollama.image.model")
                continue;
            std::string digest = layer.value("digest", "");
            std::ranges::replace(digest, ':', '-');
            if (digest.empty() || digest.find('/') != std::string::npos) continue;
            const fs::path blob = root / "blobs" / digest;
            const std::string name =
                it->path().parent_path().filename().string() + ":" + it->path().filename().string();
            out.push_back({blob, from.name, name, "gguf", size_of(blob), quant_of(name), {}});
        }
    }
}

bool matches(const found_model& m, const std::string& query) {
    return query.empty() || lower(m.name + " " + m.path.string()).find(query) != std::string::npos;
}

void sniff(found_model& m, const open_options& options) {
    auto w = weights::open(m.path, options);
    if (w.ok()) m.arch = (*w)->stored_architecture();
}

} // namespace

std::vector<std::string> model_sources() {
    std::vector<std::string> names;
    for (const source& s : sources({}))
        names.push_back(s.name);
    return names;
}

std::vector<found_model> find_models(const scan_options& o) {
    std::vector<found_model> out;
    for (const source& s : sources(o.extra_roots)) {
        if (!o.sources.empty() && std::ranges::find(o.sources, s.name) == o.sources.end()) continue;
        const std::size_t first = out.size();
        for (const fs::path& root : s.roots) {
            if (s.name == "ollama")
                walk_ollama(s, root, out);
            else
                walk(s, root, o.max_depth, o, out);
        }
        std::ranges::sort(
            out.begin() + static_cast<std::ptrdiff_t>(first), out.end(), {}, &found_model::path
        );
    }
    std::set<fs::path> seen;
    const std::string query = lower(o.query), prefer = lower(o.prefer);
    std::erase_if(out, [&](const found_model& m) {
        return !matches(m, query) || !seen.insert(m.path).second;
    });
    if (!prefer.empty())
        std::ranges::stable_partition(out, [&](const found_model& m) {
            return matches(m, prefer);
        });
    if (o.sniff)
        for (found_model& m : out)
            sniff(m, o.open);
    return out;
}

fs::path find_in_hub_cache(std::string_view repo) {
    std::string folder = "models--" + std::string(repo);
    if (const auto at = folder.find('/'); at != std::string::npos) folder.replace(at, 1, "--");
    const fs::path root = hf_hub_cache() / folder;
    std::ifstream f(root / "refs" / "main");
    std::string revision;
    std::error_code ec;
    if (!std::getline(f, revision) || revision.find('/') != std::string::npos) return {};
    const fs::path snapshot = root / "snapshots" / revision;
    return fs::is_directory(snapshot, ec) ? snapshot : fs::path();
}

} // namespace rlx::cli
