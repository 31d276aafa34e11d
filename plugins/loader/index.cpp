// SPDX-License-Identifier: GPL-3.0-only
#include "index.hpp"

#include "manifest_json.hpp"
#include "rlx/base/environment.hpp"
#include "rlx/base/log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/utsname.h>

namespace rlx::loader {
namespace {

using nlohmann::json;

constexpr std::uint64_t max_index_bytes = 64 << 20;
constexpr std::size_t max_entries = 8192;

// The index names no code, but a forged one could hide a plugin: only our own, unshared file
// counts.
result<std::string> read_own_file(const std::filesystem::path& file) {
    owned_fd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (fd.get() < 0) return error{RLX_NOT_FOUND, std::strerror(errno)};

    struct stat st {};

    if (::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != ::geteuid() ||
        (st.st_mode & (S_IWOTH | S_IWGRP))) {
        return error{RLX_IO, "is not a private file of this user"};
    }
    const auto size = static_cast<std::uint64_t>(st.st_size);
    if (size > max_index_bytes) return error{RLX_CORRUPT_DATA, "is absurdly long"};
    return read_at(fd.get(), 0, size, "the index");
}

json to_json(const file_stamp& s) {
    return json::array({s.mtime_ns, s.size, s.inode});
}

bool equals(const json& entry, const char* key, const file_stamp& s) {
    const auto it = entry.find(key);
    return it != entry.end() && *it == to_json(s);
}

// Writes text to a new file beside `file` and renames it over: readers see the old or the new one.
result<void> replace_file(const std::filesystem::path& file, const std::string& text) {
    std::error_code code;
    std::filesystem::create_directories(file.parent_path(), code);
    std::string temp = file.native() + ".XXXXXX";
    owned_fd fd(::mkostemp(temp.data(), O_CLOEXEC));
    if (fd.get() < 0) return error{RLX_IO, std::strerror(errno)};
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::write(fd.get(), text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += static_cast<std::size_t>(n);
    }
    if (done < text.size() || ::rename(temp.c_str(), file.c_str()) != 0) {
        const int reason = errno;
        ::unlink(temp.c_str());
        return error{RLX_IO, std::strerror(reason)};
    }
    return {};
}

} // namespace

struct index::state {
    std::filesystem::path file;
    json files = json::object(
    ); // path -> {"library": [mtime_ns, size, inode], "sidecar": .., "manifest": {}}
    bool changed = false;
};

index::index(std::filesystem::path file) : state_(std::make_unique<state>()) {
    state_->file = std::move(file);
    if (state_->file.empty()) return;
    auto text = read_own_file(state_->file);
    if (!text.ok()) return;
    auto doc = parse_json(*text);
    const bool usable = doc.ok() && doc->is_object() && doc->contains("rlx_index") &&
                        (*doc)["rlx_index"] == 1 && doc->contains("files") &&
                        (*doc)["files"].is_object();
    if (usable) {
        state_->files = std::move((*doc)["files"]);
    } else {
        log_info(
            "plugins", fmt::format("index {} is damaged and is built anew", state_->file.native())
        );
        state_->changed = true;
    }
}

index::~index() = default;

std::optional<manifest>
index::find(const std::filesystem::path& library, const plugin_stamp& stamp) const {
    const auto it = state_->files.find(library.native());
    if (it == state_->files.end() || !it->is_object()) return std::nullopt;
    if (!equals(*it, "library", stamp.library) || !equals(*it, "sidecar", stamp.sidecar)) {
        return std::nullopt;
    }
    const auto text = it->find("manifest");
    if (text == it->end()) return std::nullopt;
    auto m = manifest_from_json(*text);
    return m.ok() ? std::optional(std::move(*m)) : std::nullopt;
}

void index::put(
    const std::filesystem::path& library, const plugin_stamp& stamp, std::string_view manifest_text
) {
    if (state_->file.empty() || state_->files.size() >= max_entries) return;
    state_->files[library.native()] = {
        {"library", to_json(stamp.library)},
        {"sidecar", to_json(stamp.sidecar)},
        {"manifest", json::parse(manifest_text, nullptr, false)}};
    state_->changed = true;
}

void index::drop_missing(
    const std::filesystem::path& dir, const std::vector<std::string>& present
) {
    // Keys are sorted: the directory's entries are neighbours.
    auto& files = state_->files.get_ref<json::object_t&>();
    const std::string prefix = dir.native() + "/";
    for (auto it = files.lower_bound(prefix); it != files.end() && it->first.starts_with(prefix);) {
        const std::string name = it->first.substr(prefix.size());
        const bool keep = name.find('/') != name.npos || std::ranges::binary_search(present, name);
        state_->changed = state_->changed || !keep;
        it = keep ? std::next(it) : files.erase(it);
    }
}

void index::save() const {
    if (state_->file.empty() || !state_->changed) return;
    const json doc = {{"rlx_index", 1}, {"files", state_->files}};
    auto done =
        replace_file(state_->file, doc.dump(-1, ' ', false, json::error_handler_t::replace));
    if (!done.ok()) {
        log_warn(
            "plugins",
            fmt::format("index {} is not written: {}", state_->file.native(), done.error().message)
        );
    }
}

std::filesystem::path index::default_file() {
    auto dir = cache_dir();
    if (dir.empty()) return dir;
    utsname name{};
    ::uname(&name);
    return dir / fmt::format("plugins-{}-{}.json", RLX_ABI_MAJOR, name.machine);
}

} // namespace rlx::loader
