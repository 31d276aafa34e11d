// SPDX-License-Identifier: GPL-3.0-only
#include "locate.hpp"

#include "rlx/base/utf8.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <system_error>

namespace rlx {
namespace {

namespace fs = std::filesystem;
using paths = std::vector<fs::path>;

std::string lower(std::string s) {
    for (char& c : s)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return s;
}

// 5 digits at `at`, or -1.
int five_digits(std::string_view s, std::size_t at) {
    int n = 0;
    for (std::size_t i = at; i < at + 5; i++) {
        if (i >= s.size() || s[i] < '0' || s[i] > '9') return -1;
        n = n * 10 + (s[i] - '0');
    }
    return n;
}

struct part_name {
    std::string stem; // before "-00001-of-00003.gguf"
    int part = 0, count = 0;
};

std::optional<part_name> parse_part(const std::string& name) {
    constexpr std::size_t tail = std::char_traits<char>::length("-00001-of-00003.gguf");
    if (name.size() <= tail) return std::nullopt;
    std::size_t at = name.size() - tail;
    std::string_view t = std::string_view(name).substr(at);
    part_name p{name.substr(0, at), five_digits(t, 1), five_digits(t, 10)};
    bool ok =
        t[0] == '-' && t.substr(6, 4) == "-of-" && lower(std::string(t.substr(15))) == ".gguf";
    if (!ok || p.part < 1 || p.count < 1 || p.part > p.count) return std::nullopt;
    return p;
}

bool is_later_part(const fs::path& p) {
    auto part = parse_part(p.filename().string());
    return part && part->part > 1;
}

result<paths> list(const fs::path& dir) {
    std::error_code ec;
    paths out;
    for (fs::directory_iterator at(dir, ec), end; !ec && at != end; at.increment(ec))
        out.push_back(at->path());
    if (ec) return error{RLX_IO, dir.string() + ": cannot list: " + ec.message()};
    std::sort(out.begin(), out.end());
    return out;
}

bool is_file(const fs::path& p) {
    std::error_code ec;
    return fs::is_regular_file(p, ec);
}

bool is_dir(const fs::path& p) {
    std::error_code ec;
    return fs::is_directory(p, ec);
}

paths with_extension(const paths& all, std::string_view extension) {
    paths out;
    for (const fs::path& p : all) {
        if (lower(p.extension().string()) == extension && is_file(p)) out.push_back(p);
    }
    return out;
}

// One entry per model: later parts of split files stand behind part 1.
paths gguf_models(const paths& all) {
    paths files = with_extension(all, ".gguf"), out;
    for (const fs::path& p : files) {
        if (is_later_part(p)) {
            fs::path first = p.parent_path() / gguf_part_names(p.filename().string())[0];
            if (std::find(files.begin(), files.end(), first) != files.end()) continue;
        }
        out.push_back(p);
    }
    return out;
}

result<paths> gguf_models_below(const paths& all) {
    paths out;
    for (const fs::path& p : all) {
        if (!is_dir(p)) continue;
        auto inside = list(p);
        if (!inside.ok()) continue; // an unreadable child is no reason to fail
        paths found = gguf_models(*inside);
        out.insert(out.end(), found.begin(), found.end());
    }
    return out;
}

// Names first, so that a directory's own name does not make every file match.
paths matching(const paths& models, const std::string& prefer) {
    std::string want = lower(prefer);
    paths by_name, by_path;
    for (const fs::path& p : models) {
        if (lower(p.filename().string()).find(want) != std::string::npos) by_name.push_back(p);
        if (lower(p.string()).find(want) != std::string::npos) by_path.push_back(p);
    }
    return by_name.empty() ? by_path : by_name;
}

std::string numbered(const paths& models, const fs::path& base) {
    std::string out;
    for (std::size_t i = 0; i < models.size(); i++) {
        std::error_code ec;
        auto bytes = fs::file_size(models[i], ec);
        out += fmt::format("\n  [{}] {}", i, models[i].lexically_relative(base).string());
        if (!ec) out += fmt::format("  ({:.1f} MB)", static_cast<double>(bytes) / 1e6);
    }
    return out;
}

result<fs::path> pick_gguf(const paths& models, const fs::path& dir, const open_options& o) {
    if (o.gguf_index) {
        if (*o.gguf_index < models.size()) return models[*o.gguf_index];
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{}: no GGUF file number {}; there are:{}",
                dir.string(),
                *o.gguf_index,
                numbered(models, dir)
            )};
    }
    paths left = o.prefer.empty() ? models : matching(models, o.prefer);
    if (left.size() == 1) return left[0];
    std::string choose = "choose one with --prefer TEXT (part of its name) or --gguf-index N";
    if (left.empty()) {
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "{}: no GGUF file matches '{}'; there are:{}\n{}",
                dir.string(),
                printable(o.prefer),
                numbered(models, dir),
                choose
            )};
    }
    // Indices are those of the full list.
    return error{
        RLX_INVALID_ARGUMENT,
        fmt::format(
            "{}: {} GGUF files{}:{}\n{}",
            dir.string(),
            left.size(),
            o.prefer.empty() ? "" : fmt::format(" match '{}'", printable(o.prefer)),
            numbered(o.prefer.empty() ? models : left, dir),
            o.prefer.empty() ? choose : "make --prefer more specific"
        )};
}

result<std::optional<weight_format>> plugin_format(const fs::path& file, const open_options& o) {
    if (!o.find_format) return std::optional<weight_format>();
    std::byte head[64] = {};
    std::ifstream in(file, std::ios::binary);
    if (!in) return std::optional<weight_format>();
    in.read(reinterpret_cast<char*>(head), sizeof head);
    return o.find_format(file, {head, static_cast<std::size_t>(in.gcount())});
}

// The one file of a plugin's format in a directory.
result<std::optional<checkpoint_location>>
locate_plugin_file(const paths& all, const fs::path& dir, const open_options& o) {
    using found = std::optional<checkpoint_location>;
    if (!o.find_format) return found();
    paths files;
    std::vector<weight_format> formats;
    for (const fs::path& p : all) {
        if (!is_file(p)) continue;
        auto f = RLX_TRY(plugin_format(p, o));
        if (!f) continue;
        files.push_back(p);
        formats.push_back(std::move(*f));
    }
    if (files.empty()) return found();
    if (files.size() == 1)
        return found({checkpoint_kind::plugin, files[0], dir, std::move(formats[0])});
    return error{
        RLX_INVALID_ARGUMENT,
        fmt::format(
            "{}: {} weight files of plugins' formats; name one of them:{}",
            dir.string(),
            files.size(),
            numbered(files, dir)
        )};
}

result<checkpoint_location> locate_in(const fs::path& dir, const open_options& o) {
    paths all = RLX_TRY(list(dir));
    paths models = gguf_models(all);
    if (!models.empty()) {
        // The wanted quantisation may lie in a directory of its own.
        if (!o.prefer.empty() && !o.gguf_index && matching(models, o.prefer).empty()) {
            paths below = RLX_TRY(gguf_models_below(all));
            models.insert(models.end(), below.begin(), below.end());
        }
        fs::path file = RLX_TRY(pick_gguf(models, dir, o));
        return checkpoint_location{checkpoint_kind::gguf, file, file.parent_path(), {}};
    }
    for (auto [name, kind] :
         {std::pair("model.safetensors", checkpoint_kind::safetensors),
          std::pair("model.safetensors.index.json", checkpoint_kind::safetensors_index)}) {
        if (is_file(dir / name)) return checkpoint_location{kind, dir / name, dir, {}};
    }
    paths loose = with_extension(all, ".safetensors");
    if (loose.size() == 1)
        return checkpoint_location{checkpoint_kind::safetensors, loose[0], dir, {}};
    if (loose.size() > 1) {
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{}: {} .safetensors files but no model.safetensors.index.json; name one "
                "of them:{}",
                dir.string(),
                loose.size(),
                numbered(loose, dir)
            )};
    }
    if (auto found = RLX_TRY(locate_plugin_file(all, dir, o))) return *found;
    models = RLX_TRY(gguf_models_below(all));
    if (!models.empty()) {
        fs::path file = RLX_TRY(pick_gguf(models, dir, o));
        return checkpoint_location{checkpoint_kind::gguf, file, file.parent_path(), {}};
    }
    return error{
        RLX_NOT_FOUND,
        dir.string() + ": no weights here; expected a .gguf file, model.safetensors or "
                       "model.safetensors.index.json"};
}

result<checkpoint_location> locate_file(const fs::path& file, const open_options& options) {
    fs::path dir = file.parent_path();
    if (dir.empty()) dir = ".";
    std::string name = lower(file.filename().string());
    if (name == "config.json") return locate_in(dir, options);
    if (name.ends_with(".safetensors.index.json")) {
        return checkpoint_location{checkpoint_kind::safetensors_index, file, dir, {}};
    }
    std::error_code ec;
    if (!fs::is_regular_file(file, ec)) // a pipe would block, a device never end
        return error{RLX_INVALID_ARGUMENT, file.string() + ": not a regular file"};
    if (fs::file_size(file, ec) == 0 && !ec)
        return error{RLX_CORRUPT_DATA, file.string() + ": the file is empty (0 bytes)"};
    char head[9] = {};
    std::ifstream in(file, std::ios::binary);
    if (!in) return error{RLX_IO, file.string() + ": cannot open"};
    in.read(head, sizeof head);
    bool safetensors =
        name.ends_with(".safetensors") || (in.gcount() == 9 && head[8] == '{' && head[7] == 0);
    if (std::memcmp(head, "GGUF", 4) == 0 || name.ends_with(".gguf")) {
        return checkpoint_location{checkpoint_kind::gguf, file, dir, {}};
    }
    if (safetensors) return checkpoint_location{checkpoint_kind::safetensors, file, dir, {}};
    if (auto found = RLX_TRY(plugin_format(file, options)))
        return checkpoint_location{checkpoint_kind::plugin, file, dir, std::move(*found)};
    bool pickle = name.ends_with(".bin") || name.ends_with(".pt") || name.ends_with(".pth");
    return error{
        RLX_UNSUPPORTED,
        file.string() + (pickle
                             ? ": PyTorch pickle files are not read; convert it to safetensors"
                             : ": neither a GGUF nor a safetensors file, and no plugin reads it")};
}

} // namespace

std::vector<std::string> gguf_part_names(const std::string& file_name) {
    auto p = parse_part(file_name);
    std::vector<std::string> out;
    for (int i = 1; p && i <= p->count; i++) {
        out.push_back(fmt::format(
            "{}-{:05}-of-{:05}{}", p->stem, i, p->count, file_name.substr(file_name.size() - 5)
        ));
    }
    return out;
}

result<checkpoint_location> locate_checkpoint(const fs::path& path, const open_options& options) {
    std::error_code ec;
    fs::file_status st = fs::status(path, ec);
    if (st.type() == fs::file_type::not_found) {
        return error{RLX_NOT_FOUND, path.string() + ": no such file or directory"};
    }
    if (ec) return error{RLX_IO, path.string() + ": " + ec.message()};
    if (st.type() == fs::file_type::directory) return locate_in(path, options);
    return locate_file(path, options);
}

} // namespace rlx
