// SPDX-License-Identifier: GPL-3.0-only
#include "scan.hpp"

#include "elf_note.hpp"
#include "manifest_json.hpp"
#include "rlx/base/environment.hpp"
#include "rlx/base/log.hpp"
#include "rlx/base/utf8.hpp"

#include <algorithm>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <set>

namespace rlx::loader {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view subdir = "rlx/plugins";

std::vector<fs::path> directories(const search_options& o) {
    std::vector<fs::path> out = o.plugin_dirs;
    const bool secure = o.assume_secure || env_is_secure();
    if (o.use_environment && !secure) {
        for (auto& dir : env_paths("RLX_PLUGIN_PATH"))
            out.push_back(std::move(dir));
    }
    if (!o.use_defaults) return out;
    std::error_code code;
    if (auto exe = fs::read_symlink("/proc/self/exe", code); !code) {
        out.push_back(exe.parent_path().parent_path() / "lib" / subdir);
    }
    if (auto here = own_folder(); !here.empty()) out.push_back(here / subdir);
    out.emplace_back(RLX_PLUGIN_LIBDIR);
    if (auto data = data_dir(); !data.empty() && !secure) out.push_back(data / "plugins");
    return out;
}

// Sorted names of the *.so entries of an open directory.
std::vector<std::string> plugin_names(const trusted_dir& dir) {
    std::vector<std::string> names;
    const int copy = ::openat(dir.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* stream = copy >= 0 ? ::fdopendir(copy) : nullptr;
    if (!stream) return names;
    while (const dirent* entry = ::readdir(stream)) {
        std::string_view name = entry->d_name;
        if (name.ends_with(".so") && !name.starts_with(".")) names.emplace_back(name);
    }
    ::closedir(stream);
    std::ranges::sort(names);
    return names;
}

std::string sidecar_of(const std::string& name) {
    return name + ".rlx.json";
}

// Zero when there is no sidecar.
result<file_stamp> stamp_sidecar(const trusted_dir& dir, const std::string& name) {
    auto st = check_file(dir, sidecar_of(name));
    if (st.ok()) return stamp_of(*st);
    if (st.error().code == RLX_NOT_FOUND) return file_stamp{};
    return std::move(st.error()).within("its sidecar file " + sidecar_of(name));
}

class scanner {
public:
    explicit scanner(const search_options& o)
        : index_(index_path(o)), directories_(directories(o)),
          explicit_dirs_(o.plugin_dirs.size()) {}

    scan_result run() && {
        for (std::size_t i = 0; i < directories_.size(); i++)
            visit(directories_[i], i < explicit_dirs_);
        index_.save();
        return std::move(out_);
    }

private:
    static fs::path index_path(const search_options& o) {
        if (!o.use_index || o.assume_secure || env_is_secure()) return {};
        return o.index_file.empty() ? index::default_file() : o.index_file;
    }

    void visit(const fs::path& path, bool asked_for) {
        auto dir = open_trusted_dir(path);
        if (!dir.ok()) {
            if (std::ranges::find(out_.searched, path) != out_.searched.end()) return;
            out_.searched.push_back(path);
            // A default directory that does not exist is nothing to talk about.
            if (dir.error().code == RLX_NOT_FOUND && !asked_for) return;
            out_.candidates.push_back({path, "refused", dir.error().message, ""});
            log_warn(
                "plugins", fmt::format("{} is not searched: {}", path.native(), dir.error().message)
            );
            return;
        }
        if (std::ranges::find(out_.searched, dir->path) != out_.searched.end()) return;
        out_.searched.push_back(dir->path);
        const auto names = plugin_names(*dir);
        index_.drop_missing(dir->path, names);
        for (const auto& name : names)
            inspect(*dir, name);
    }

    void inspect(const trusted_dir& dir, const std::string& name) {
        candidate seen{dir.path / name, "ok", "", ""};
        auto m = read(dir, name);
        if (!m.ok()) {
            seen.status = "refused";
            seen.reason = std::move(m.error().message);
            log_info(
                "plugins", fmt::format("{}: {}", printable(seen.file.native(), 4096), seen.reason)
            );
        } else {
            seen.id = m->id;
            auto [first, is_new] = first_of_id_.try_emplace(m->id, seen.file);
            if (is_new) {
                m->library = seen.file;
                out_.manifests.push_back(std::move(*m));
            } else {
                seen.status = "shadowed";
                seen.reason =
                    fmt::format("{} has the same id and comes first", first->second.native());
            }
        }
        out_.candidates.push_back(std::move(seen));
    }

    result<manifest> read(const trusted_dir& dir, const std::string& name) {
        if (printable(name, name.size()) != name)
            return error{
                RLX_INVALID_ARGUMENT, "its name has control characters or is no UTF-8; rename it"};
        const struct stat st = RLX_TRY(check_file(dir, name));
        const plugin_stamp stamp{stamp_of(st), RLX_TRY(stamp_sidecar(dir, name))};
        auto m = index_.find(dir.path / name, stamp);
        if (!m) m = RLX_TRY(read_file(dir, name, stamp));
        RLX_CHECK(check_compatible(*m));
        return std::move(*m);
    }

    result<manifest>
    read_file(const trusted_dir& dir, const std::string& name, const plugin_stamp& stamp) {
        const owned_fd fd = RLX_TRY(open_file(dir, name));
        const auto text = RLX_TRY(read_manifest(fd.get(), stamp.library.size, dir, name));
        auto m = RLX_TRY(manifest_from_text(text));
        index_.put(dir.path / name, stamp, m);
        return m;
    }

    index index_;
    std::vector<fs::path> directories_;
    std::size_t explicit_dirs_;
    scan_result out_;
    std::map<std::string, fs::path> first_of_id_;
};

} // namespace

fs::path own_folder() {
    Dl_info info{};
    if (!::dladdr(reinterpret_cast<void*>(&own_folder), &info) || !info.dli_fname) return {};
    const fs::path file = info.dli_fname;
    std::error_code code;
    return file.is_absolute() ? fs::canonical(file, code).parent_path() : fs::path();
}

result<std::string>
read_manifest(int fd, std::uint64_t size, const trusted_dir& dir, const std::string& name) {
    auto text = RLX_TRY(read_manifest_note(fd, size));
    auto sidecar = open_file(dir, sidecar_of(name));
    if (!sidecar.ok()) {
        if (sidecar.error().code == RLX_NOT_FOUND) return text;
        return std::move(sidecar.error()).within("its sidecar file " + sidecar_of(name));
    }

    struct stat st {};

    const bool same_size =
        ::fstat(sidecar->get(), &st) == 0 && static_cast<std::uint64_t>(st.st_size) == text.size();
    if (!same_size || RLX_TRY(read_at(sidecar->get(), 0, text.size(), "the sidecar")) != text) {
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "the manifest inside the library and its copy {} differ; install both files again",
                sidecar_of(name)
            )};
    }
    return text;
}

scan_result scan(const search_options& options) {
    return scanner(options).run();
}

} // namespace rlx::loader
