// SPDX-License-Identifier: GPL-3.0-only
#include "device.hpp"

#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/loader/device_names.hpp"

#include "elf_note.hpp"
#include "load.hpp"
#include "manifest_json.hpp"

#include <charconv>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace optest {
namespace {

namespace fs = std::filesystem;

template <class T>
T need(rlx::result<T> r) {
    if (!r.ok()) throw no_device{r.error().message, r.error().code};
    return std::move(*r);
}

void need(rlx_error* e) {
    if (!e) return;
    const rlx::error err = rlx::from_wall(e);
    throw no_device{err.message, err.code};
}

rlx::plugin& load_file(const fs::path& file) {
    const fs::path path = fs::absolute(file);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw no_device{file.native() + ": cannot be opened", RLX_NOT_FOUND};
    std::error_code code;
    auto note = rlx::loader::read_manifest_note(fd, fs::file_size(path, code));
    ::close(fd);
    auto m = note.ok() ? rlx::loader::manifest_from_text(*note)
                       : rlx::result<rlx::manifest>(note.error());
    if (!m.ok()) throw no_device{file.native() + ": " + m.error().message, m.error().code};
    m->library = path;
    return *need(rlx::loader::load_plugin(*m));
}

// What --device says of names that people type because another runtime has them.
no_device absent(const std::string& name, const rlx::error& e) {
    for (const auto& [known, reason] : rlx::known_device_names)
        if (known == name)
            return {
                fmt::format("backend '{}' is not available: {}", name, reason), RLX_UNSUPPORTED};
    return {e.message, e.code};
}

} // namespace

rlx::plugin& device::find(const device_options& options, std::uint32_t* index) {
    rlx::search_options search;
    search.use_index = false;
    if (!options.plugin_dir.empty()) search.plugin_dirs.push_back(fs::absolute(options.plugin_dir));
    catalog_ = need(rlx::plugin_catalog::open(search));
    const std::string& text = options.backend;
    if (text.find('/') != text.npos || text.ends_with(".so")) {
        rlx::plugin& p = load_file(text);
        name_ = p.describe().id;
        for (const rlx::provided& e : p.describe().provides)
            if (e.kind == "backend") name_ = e.name;
        return p;
    }
    const std::size_t colon = text.find(':');
    name_ = text.substr(0, colon);
    if (colon != text.npos) {
        const char* end = text.data() + text.size();
        const auto [stop, code] = std::from_chars(text.data() + colon + 1, end, *index);
        if (code != std::errc{} || stop != end)
            throw no_device{
                fmt::format("'{}': expected the number of a device after the colon", text),
                RLX_INVALID_ARGUMENT};
    }
    const auto match = catalog_->find("backend", name_);
    if (!match.ok()) throw absent(name_, match.error());
    return *need(catalog_->load(*match->owner));
}

device::device(const device_options& options) {
    std::uint32_t index = 0;
    rlx::plugin& p = find(options, &index);
    api_ = static_cast<const rlx_backend_v1*>(need(p.iface("rlx.backend/1")));
    const rlx_backend_v1* t = api_;
    if (!RLX_HAS(t, device_count) || !RLX_HAS(t, open) || !RLX_HAS(t, close) ||
        !RLX_HAS(t, supports) || !RLX_HAS(t, measure) || !RLX_HAS(t, compile) ||
        !RLX_HAS(t, program_free) || !RLX_HAS(t, run) || !RLX_HAS(t, alloc) || !RLX_HAS(t, free))
        throw no_device{name_ + ": its rlx.backend/1 lacks members that running a graph needs"};
    self_ = p.table().self;
    const std::uint32_t n = t->device_count(self_);
    if (index >= n)
        throw no_device{
            fmt::format("{}: it sees {} device(s), number {} was asked for", name_, n, index)};
    rlx::options how, info;
    const std::string& tier =
        options.tier.empty() && name_ == "cpu" ? options.cpu_tier : options.tier;
    if (!tier.empty()) how.set_string("tier", tier);
    need(t->open(self_, index, how.handle(), &handle_));
    if (RLX_HAS(t, device_info)) need(t->device_info(self_, index, info.handle()));
    description_ = info.get_string("description").value_or(info.get_string("name").value_or(name_));
}

device::~device() {
    if (handle_) api_->close(self_, handle_);
}

} // namespace optest
