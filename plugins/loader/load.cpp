// SPDX-License-Identifier: GPL-3.0-only
#include "load.hpp"

#include "libraries.hpp"
#include "manifest_json.hpp"
#include "rlx/base/log.hpp"
#include "rlx/base/utf8.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"
#include "scan.hpp"

#include <atomic>
#include <deque>
#include <dlfcn.h>
#include <fmt/format.h>
#include <map>
#include <mutex>

namespace rlx::loader {
namespace {

class loaded_plugin final : public plugin {
public:
    loaded_plugin(manifest m, const rlx_plugin& table) : manifest_(std::move(m)), table_(table) {}

    const rlx_plugin& table() const override { return table_; }

    const manifest& describe() const override { return manifest_; }

    result<const void*> iface(std::string_view name, std::uint16_t min_minor) const override {
        const void* found = table_.iface(table_.self, str(name), min_minor);
        if (!found) {
            return error{
                RLX_UNSUPPORTED,
                fmt::format(
                    "plugin {} {} does not offer {} with minor {} or newer",
                    manifest_.id,
                    manifest_.version,
                    name,
                    min_minor
                )};
        }
        const auto& hdr = *static_cast<const rlx_hdr*>(found);
        if (hdr.size < sizeof(rlx_hdr) || hdr.minor < min_minor) {
            return error{
                RLX_VERSION_MISMATCH,
                fmt::format(
                    "plugin {} {} answers {} with a table of {} bytes, version {}.{}; minor {} was "
                    "asked for",
                    manifest_.id,
                    manifest_.version,
                    name,
                    hdr.size,
                    hdr.major,
                    hdr.minor,
                    min_minor
                )};
        }
        return found;
    }

private:
    manifest manifest_;
    rlx_plugin table_;
};

// Checked before the plugin itself, so that a missing library is reported by its own name.
result<void> check_sonames(const manifest& m) {
    for (const auto& soname : m.sonames) {
        if (::dlopen(soname.c_str(), RTLD_NOW | RTLD_LOCAL)) continue;
        const char* why = ::dlerror();
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "it needs the library {}, which does not load: {}", soname, why ? why : "?"
            )};
    }
    return {};
}

result<void*> map_library(const owned_fd& fd, const struct stat& checked, const manifest& m) {
    // Through the descriptor: the file that was checked is the file that is mapped.
    std::string path = fmt::format("/proc/self/fd/{}", fd.get());

    struct stat st {};

    if (::stat(path.c_str(), &st) != 0 || st.st_ino != checked.st_ino ||
        st.st_dev != checked.st_dev) {
        return error{RLX_IO, "it cannot be loaded without /proc; mount it"};
    }
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle) return handle;
    std::string why = ::dlerror();
    // People know the plugin by its own name.
    if (auto at = why.find(path); at != why.npos) why.replace(at, path.size(), m.library.native());
    return error{RLX_UNSUPPORTED, "the system's loader refuses it: " + why};
}

result<void> check_table(const rlx_plugin& t, const manifest& m) {
    const bool filled = t.hdr.size <= sizeof t &&
                        t.hdr.size >= offsetof(rlx_plugin, iface) + sizeof t.iface && t.iface;
    if (!filled || t.hdr.major != RLX_ABI_MAJOR || t.hdr.minor > RLX_ABI_MINOR) {
        return error{
            RLX_VERSION_MISMATCH,
            fmt::format(
                "its entry left a table of {} bytes with ABI {}.{}, expected {}.0 to {}.{} and an "
                "iface",
                t.hdr.size,
                t.hdr.major,
                t.hdr.minor,
                RLX_ABI_MAJOR,
                RLX_ABI_MAJOR,
                RLX_ABI_MINOR
            )};
    }
    if (view(t.id) != m.id || view(t.version) != m.version) {
        return error{
            RLX_VERSION_MISMATCH,
            fmt::format(
                "its manifest says {} {} but its code says {} {}; build it again",
                m.id,
                m.version,
                view(t.id),
                view(t.version)
            )};
    }
    return {};
}

result<rlx_plugin> call_entry(void* handle, const manifest& m) {
    void* symbol = ::dlsym(handle, RLX_PLUGIN_ENTRY_SYMBOL);
    if (!symbol) {
        return error{RLX_UNSUPPORTED, "it exports no " RLX_PLUGIN_ENTRY_SYMBOL};
    }
    // A plugin may ask for every service of the host as soon as it is entered.
    graph_table();
    weights_table();
    rlx_plugin table{};
    table.hdr.size = sizeof table;
    rlx_error* failed = nullptr;
    try {
        failed = reinterpret_cast<rlx_plugin_entry_fn>(symbol)(host(), &table);
    } catch (const std::exception& e) {
        return error{RLX_PLUGIN_THREW, fmt::format("its entry threw: {}", e.what())};
    } catch (...) {
        return error{RLX_PLUGIN_THREW, "its entry threw"};
    }
    if (failed) return from_wall(failed).within("it refuses to start");
    RLX_CHECK(check_table(table, m));
    return table;
}

// Mapped libraries by device and inode. The descriptor stays open for ever: glibc takes a path it
// has seen before for the same library, so a number that comes back would give the wrong plugin.
struct mapped {
    void* handle = nullptr;
    std::unique_ptr<loaded_plugin> plugin; // null when its entry failed; it may be asked again
};

struct registry {
    std::mutex mutex;
    std::map<std::pair<dev_t, ino_t>, mapped> libraries;
    std::deque<std::string> texts; // what handlers of signals may be reading
};

std::atomic<const char*> being_loaded = nullptr, loaded = nullptr;

// Code of the plugin, or of a library it needs, runs while one of these lives.
class loading {
public:
    loading(registry& known, const manifest& m) {
        being_loaded =
            known.texts
                .emplace_back(
                    fmt::format("{} ({})", printable(m.id), printable(m.library.native(), 1024))
                )
                .c_str();
    }

    loading(const loading&) = delete;
    loading& operator=(const loading&) = delete;

    ~loading() { being_loaded = nullptr; }
};

void add_loaded(registry& known, const std::string& id) {
    const char* before = loaded;
    loaded = known.texts.emplace_back(before ? fmt::format("{}, {}", before, id) : id).c_str();
}

registry& process_registry() {
    static auto* instance = new registry; // outlives every static destructor
    return *instance;
}

// The file must still be what the catalog saw.
result<void>
check_unchanged(int fd, std::uint64_t size, const trusted_dir& dir, const manifest& m) {
    const auto text = RLX_TRY(read_manifest(fd, size, dir, m.library.filename()));
    const auto now = RLX_TRY(manifest_from_text(text));
    if (now.id != m.id || now.version != m.version) {
        return error{
            RLX_VERSION_MISMATCH,
            fmt::format("the file is {} {} by now; start again", now.id, now.version)};
    }
    return check_compatible(now);
}

result<plugin*> load_locked(registry& known, const manifest& m) {
    const auto dir = RLX_TRY(open_trusted_dir(m.library.parent_path()));
    owned_fd fd = RLX_TRY(open_file(dir, m.library.filename()));

    struct stat st {};

    if (::fstat(fd.get(), &st) != 0) return error{RLX_IO, "it cannot be read"};
    mapped& library = known.libraries[{st.st_dev, st.st_ino}];
    if (library.plugin) return library.plugin.get();
    if (!library.handle) {
        RLX_CHECK(check_unchanged(fd.get(), static_cast<std::uint64_t>(st.st_size), dir, m));
        RLX_CHECK(check_library_path());
        const loading now(known, m);
        RLX_CHECK(load_private_libraries(fd.get(), static_cast<std::uint64_t>(st.st_size), dir));
        RLX_CHECK(check_sonames(m));
        library.handle = RLX_TRY(map_library(fd, st, m));
        fd.release();
    }
    const loading now(known, m);
    library.plugin = std::make_unique<loaded_plugin>(m, RLX_TRY(call_entry(library.handle, m)));
    add_loaded(known, m.id);
    log_debug("plugins", fmt::format("loaded {} {} from {}", m.id, m.version, m.library.native()));
    return library.plugin.get();
}

} // namespace

result<plugin*> load_plugin(const manifest& m) {
    registry& known = process_registry();
    std::lock_guard lock(known.mutex);
    return load_locked(known, m).within(fmt::format("plugin {} ({})", m.id, m.library.native()));
}

} // namespace rlx::loader

namespace rlx {

const char* plugin_being_loaded() {
    return loader::being_loaded;
}

const char* plugins_loaded() {
    return loader::loaded;
}

} // namespace rlx
