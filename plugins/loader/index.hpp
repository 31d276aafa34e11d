// SPDX-License-Identifier: GPL-3.0-only
// Cache of manifests that were read successfully, so that a warm start opens no plugin file and
// parses no JSON. A damaged, foreign or unwritable index costs time only. Layout (host byte order,
// strings and lists with their length in 32 bits in front): "RLXINDEX", format, checksum of the
// rest; then per plugin its path, two file_stamps, and the fields of its manifest.
#pragma once

#include "files.hpp"
#include "rlx/loader/loader.hpp"

#include <memory>
#include <optional>

namespace rlx::loader {

// State of a plugin file and its sidecar (zero when there is none).
struct plugin_stamp {
    file_stamp library;
    file_stamp sidecar;

    bool operator==(const plugin_stamp&) const = default;
};

// FNV-1a, 64 bits: finds damage, not malice.
std::uint64_t index_checksum(std::string_view bytes);
inline constexpr std::size_t index_front_bytes = 8 + 4 + 8; // magic, format, checksum

class index {
public:
    // An empty path, an unreadable or damaged file: an empty index.
    explicit index(std::filesystem::path file);
    ~index();

    // The manifest stored for this very state of the file.
    std::optional<manifest>
    find(const std::filesystem::path& library, const plugin_stamp& stamp) const;
    void put(const std::filesystem::path& library, const plugin_stamp& stamp, const manifest& m);
    // Forgets the files of dir that are not in present (sorted names).
    void drop_missing(const std::filesystem::path& dir, const std::vector<std::string>& present);

    // Writes a changed index by rename; failures are logged and otherwise ignored.
    void save() const;

    // plugins-<abi>-<arch>.index in the cache directory, or empty.
    static std::filesystem::path default_file();

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace rlx::loader
