// SPDX-License-Identifier: GPL-3.0-only
// Finds plugins by their manifests, without running them, and loads exactly the one a job needs.
#pragma once

#include "rlx/abi/abi.h"
#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

// Directories are searched in this order: plugin_dirs, RLX_PLUGIN_PATH, lib/rlx/plugins beside the
// executable's folder, rlx/plugins beside librlx, the libdir of the build, rlx/plugins in the
// user's data directory; never the working directory. A directory, or any above it, that someone
// else owns or may write to is refused.
struct search_options {
    std::vector<std::filesystem::path> plugin_dirs = {}; // --plugin-dir, absolute, searched first
    bool use_environment = true;           // RLX_PLUGIN_PATH; ignored anyway when AT_SECURE
    bool use_defaults = true;              // everything after RLX_PLUGIN_PATH
    bool use_index = true;                 // the cache of manifests in the user's cache directory
    bool assume_secure = false;            // behave as under AT_SECURE
    std::filesystem::path index_file = {}; // empty: in cache_dir()
};

// One entry of a manifest's "provides".
struct provided {
    std::string kind; // "family" | "backend" | "command" | ...
    std::string name;
    std::string summary;
    std::string task;      // families: "lm", ...
    std::string interface; // commands: "rlx.cli/1", or empty for the command of a family
    std::int64_t priority = 100;
    std::vector<std::string> gguf_arches, hf_model_types, formats, required_meta, flag_groups,
        devices;
    std::vector<std::string> extensions; // weight formats: ".toy"
    std::vector<std::string> magic;      // weight formats: first bytes, decoded
    std::vector<std::string> arches;     // tensor names: architectures the rules are for
    std::string implements; // tensor names: what such a file is run as; empty = as it says
    std::string json;       // the entry whole, for what is not listed here
};

struct manifest {
    std::string id, version;
    std::filesystem::path library;
    std::vector<provided> provides;
    std::int64_t abi_major = 0, abi_min_minor = 0;
    std::string os, arch;                              // empty = not stated
    std::vector<std::string> isa, sonames, interfaces; // what it needs
};

// One file the search looked at: "ok", "shadowed" (by another file with the same id), or "refused"
// with the reason. Refused directories are listed too.
struct candidate {
    std::filesystem::path file;
    std::string status, reason, id;
};

class plugin; // a loaded plugin; never unloaded
class weights;

// [any thread] after open().
class RLX_API plugin_catalog {
public:
    static result<std::unique_ptr<plugin_catalog>> open(const search_options& = {});
    virtual ~plugin_catalog() = default;

    virtual std::span<const manifest> manifests() const = 0;
    virtual std::span<const candidate> candidates() const = 0; // every file seen (--why)
    virtual std::span<const std::filesystem::path>
    searched() const = 0; // every directory tried, in order

    struct match {
        const manifest* owner;
        const provided* entry;
    };

    // By GGUF architecture or, for any other format, HF model_type. Two owners of equal priority
    // are an error naming both; none is RLX_UNSUPPORTED saying what was searched and what the known
    // families are.
    virtual result<match>
    find_family(std::string_view format, std::string_view architecture) const = 0;
    virtual result<match> find(std::string_view kind, std::string_view name) const = 0;
    virtual std::vector<match> all(std::string_view kind) const = 0;

    // dlopen + entry + stamp check; the same plugin again returns the same object.
    virtual result<plugin*> load(const manifest& m) = 0;
    virtual std::vector<const manifest*> loaded() const = 0;
};

// The family that reads a checkpoint: by "model_type/Class", Class being the first of config.json's
// architectures, where a manifest has that pair among its hf_model_types (one model_type may stand
// for several families), else by the architecture alone. Of several the one called `named`, or of
// the highest priority when that is empty. Errors of find_family(); RLX_UNSUPPORTED, saying who
// does, when `named` does not claim the checkpoint.
RLX_API result<plugin_catalog::match>
find_family_of(const plugin_catalog& catalog, const weights& w, std::string_view named = {});

// The match of highest priority; two with the same are RLX_INVALID_ARGUMENT naming both. found is
// not empty; what says what they are matches for.
RLX_API result<plugin_catalog::match>
preferred(std::vector<plugin_catalog::match> found, std::string_view what);

class RLX_API plugin {
public:
    virtual const rlx_plugin& table() const = 0;
    virtual const manifest& describe() const = 0;
    // The interface or an error naming plugin, interface and version.
    virtual result<const void*> iface(std::string_view name, std::uint16_t min_minor = 0) const = 0;

protected:
    virtual ~plugin() = default;
};

// For handlers of signals, who tell people which plugin it is: "org.example.x (/path/x.so)" while
// that is being loaded, else null. A call from the loading thread or any other; reads one pointer.
RLX_API const char* plugin_being_loaded();
// "org.example.x, org.example.y": those loaded so far, or null.
RLX_API const char* plugins_loaded();

} // namespace rlx
