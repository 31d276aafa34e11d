// SPDX-License-Identifier: GPL-3.0-only
#include "index.hpp"

#include "private_file.hpp"
#include "rlx/base/environment.hpp"
#include "rlx/base/log.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <sys/utsname.h>
#include <type_traits>

namespace rlx::loader {
namespace {

constexpr std::size_t max_entries = 8192;
constexpr std::string_view magic = "RLXINDEX";
constexpr std::uint32_t format = 4;

// Appends values to a text.
class writer {
public:
    template <class T>

    requires(std::is_integral_v<T>) void operator()(const T& v) {
        out.append(reinterpret_cast<const char*>(&v), sizeof v);
    }

    void operator()(std::string_view s) {
        (*this)(static_cast<std::uint32_t>(s.size()));
        out.append(s);
    }

    template <class T>
    void operator()(const std::vector<T>& list) {
        (*this)(static_cast<std::uint32_t>(list.size()));
        for (const T& item : list)
            visit(*this, item);
    }

    std::string out;
};

// Takes them off again; once something does not fit, ok is false and everything is empty.
class reader {
public:
    explicit reader(std::string_view bytes) : rest_(bytes) {}

    template <class T>

    requires(std::is_integral_v<T>) void operator()(T& v) {
        const std::string_view bytes = take(sizeof v);
        if (ok) std::memcpy(&v, bytes.data(), sizeof v);
    }

    void operator()(std::string_view& s) {
        std::uint32_t n = 0;
        (*this)(n);
        s = take(n);
    }

    void operator()(std::string& s) {
        std::string_view bytes;
        (*this)(bytes);
        s = bytes;
    }

    template <class T>
    void operator()(std::vector<T>& list) {
        std::uint32_t n = 0;
        (*this)(n);
        if (n > rest_.size()) ok = false; // an item is a byte at least
        for (std::uint32_t i = 0; ok && i < n; i++)
            visit(*this, list.emplace_back());
    }

    bool at_end() const { return rest_.empty(); }

    bool ok = true;

private:
    std::string_view take(std::size_t n) {
        ok = ok && n <= rest_.size();
        if (!ok) return {};
        const std::string_view out = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return out;
    }

    std::string_view rest_;
};

// `unstored` is the size of the fields that are left out. The structures have no padding: a field
// that is forgotten here is missing in the sum.
template <class Whole, std::size_t unstored = 0, class... T>
void each(auto& archive, T&... fields) {
    static_assert((sizeof(T) + ... + unstored) == sizeof(Whole), "a field is not stored");
    (archive(fields), ...);
}

void visit(auto& archive, std::string& s) {
    archive(s);
}

void visit(auto& archive, const std::string& s) {
    archive(std::string_view(s));
}

// The bindings name every field and each() counts their bytes: a field that is added does not
// compile before it is stored here, too. Two of one type in each other's place:
// tests/plugins/scale_test.cpp.
template <class P>

requires(std::is_same_v<std::remove_const_t<P>, provided>) void visit(auto& archive, P& p) {
    auto& [kind, name, summary, task, interface, priority, gguf, hf, formats, meta, groups, devices, extensions, magics, arches, implements, json] =
        p;
    each<provided>(
        archive,
        kind,
        name,
        summary,
        task,
        interface,
        priority,
        gguf,
        hf,
        formats,
        meta,
        groups,
        devices,
        extensions,
        magics,
        arches,
        implements,
        json
    );
}

template <class M>

requires(std::is_same_v<std::remove_const_t<M>, manifest>) void visit(auto& archive, M& m) {
    auto& [id, version, library, provides, major, minor, os, arch, isa, sonames, interfaces] = m;
    static_cast<void>(library); // the key; the search fills it in
    each<manifest, sizeof library>(
        archive, id, version, provides, major, minor, os, arch, isa, sonames, interfaces
    );
}

template <class S>

requires(std::is_same_v<std::remove_const_t<S>, plugin_stamp>) void visit(auto& archive, S& s) {
    auto& [library, sidecar] = s;
    for (auto* file : {&library, &sidecar})
        each<file_stamp>(archive, file->mtime_ns, file->ctime_ns, file->size, file->inode);
}

} // namespace

std::uint64_t index_checksum(std::string_view bytes) {
    std::uint64_t h = 0xcbf29ce484222325ULL;
    for (const char c : bytes)
        h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return h;
}

struct index::state {
    struct entry {
        plugin_stamp stamp;
        std::string_view fields; // of the manifest: in text, or in own
        std::string own;
    };

    std::filesystem::path file;
    std::string text; // of the file
    std::map<std::string, entry, std::less<>> entries;
    bool changed = false;

    bool read_entries() {
        reader r{std::string_view(text)};
        std::uint64_t front[2] = {}, checksum = 0;
        std::uint32_t version = 0;
        r(front[0]);
        r(version);
        r(checksum);
        if (!r.ok || !std::string_view(text).starts_with(magic) || version != format) return false;
        if (checksum != index_checksum(std::string_view(text).substr(index_front_bytes)))
            return false;
        while (r.ok && !r.at_end()) {
            std::string path;
            entry e;
            r(path);
            visit(r, e.stamp);
            r(e.fields);
            if (r.ok) entries.insert_or_assign(entries.end(), std::move(path), std::move(e));
        }
        return r.ok && entries.size() <= max_entries;
    }
};

index::index(std::filesystem::path file) : state_(std::make_unique<state>()) {
    state_->file = std::move(file);
    if (state_->file.empty()) return;
    auto text = read_private_file(state_->file);
    if (!text.ok()) return;
    state_->text = std::move(*text);
    if (state_->read_entries()) return;
    log_info(
        "plugins", fmt::format("index {} is damaged and is built anew", state_->file.native())
    );
    state_->entries.clear();
    state_->changed = true;
}

index::~index() = default;

std::optional<manifest>
index::find(const std::filesystem::path& library, const plugin_stamp& stamp) const {
    const auto it = state_->entries.find(library.native());
    if (it == state_->entries.end() || it->second.stamp != stamp) return std::nullopt;
    reader r(it->second.fields);
    manifest m;
    visit(r, m);
    return r.ok && r.at_end() ? std::optional(std::move(m)) : std::nullopt;
}

void index::put(
    const std::filesystem::path& library, const plugin_stamp& stamp, const manifest& m
) {
    if (state_->file.empty() || state_->entries.size() >= max_entries) return;
    writer w;
    visit(w, m);
    state::entry& e = state_->entries[library.native()];
    e.stamp = stamp;
    e.own = std::move(w.out);
    e.fields = e.own;
    state_->changed = true;
}

void index::drop_missing(
    const std::filesystem::path& dir, const std::vector<std::string>& present
) {
    // Keys are sorted: the directory's entries are neighbours.
    auto& entries = state_->entries;
    const std::string prefix = dir.native() + "/";
    for (auto it = entries.lower_bound(prefix);
         it != entries.end() && it->first.starts_with(prefix);) {
        const std::string_view name = std::string_view(it->first).substr(prefix.size());
        const bool keep = name.find('/') != name.npos || std::ranges::binary_search(present, name);
        state_->changed = state_->changed || !keep;
        it = keep ? std::next(it) : entries.erase(it);
    }
}

void index::save() const {
    if (state_->file.empty() || !state_->changed) return;
    writer rest;
    for (const auto& [path, e] : state_->entries) {
        rest(std::string_view(path));
        visit(rest, e.stamp);
        rest(e.fields);
    }
    writer whole;
    whole.out = magic;
    whole(format);
    whole(index_checksum(rest.out));
    auto done = replace_private_file(state_->file, whole.out + rest.out);
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
    return dir / fmt::format("plugins-{}-{}.index", RLX_ABI_MAJOR, name.machine);
}

} // namespace rlx::loader
