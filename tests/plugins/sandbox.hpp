// SPDX-License-Identifier: GPL-3.0-only
// A private folder with plugin files in it, to be copied, edited and spoiled; removed at the end.
#pragma once

#include "rlx/loader/loader.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace fs = std::filesystem;

class sandbox {
public:
    sandbox() {
        std::string name = (fs::temp_directory_path() / "rlx-test-XXXXXX").native();
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        root_ = fs::canonical(name);
    }

    sandbox(const sandbox&) = delete;
    sandbox& operator=(const sandbox&) = delete;

    ~sandbox() {
        std::error_code ignored;
        fs::remove_all(root_, ignored);
    }

    const fs::path& root() const { return root_; }

    fs::path folder(const std::string& name) const {
        fs::create_directories(root_ / name);
        return root_ / name;
    }

    // Copies sample-<sample>.so and its sidecar to <dir>/<name>.so.
    fs::path add(const std::string& sample, const std::string& name, const fs::path& dir) const {
        const fs::path from = fs::path(RLX_SAMPLE_PLUGINS) / ("sample-" + sample + ".so");
        const fs::path to = dir / (name + ".so");
        fs::copy_file(from, to);
        fs::copy_file(from.native() + ".rlx.json", to.native() + ".rlx.json");
        return to;
    }

    fs::path add(const std::string& sample) const { return add(sample, sample, root_); }

    // Only this folder, nothing else, no index.
    rlx::search_options only() const { return only(root_); }

    static rlx::search_options only(const fs::path& dir) {
        rlx::search_options o;
        o.plugin_dirs = {dir};
        o.use_environment = o.use_defaults = o.use_index = false;
        return o;
    }

    std::unique_ptr<rlx::plugin_catalog> open() const { return open(only()); }

    static std::unique_ptr<rlx::plugin_catalog> open(const rlx::search_options& o) {
        auto catalog = rlx::plugin_catalog::open(o);
        EXPECT_TRUE(catalog.ok());
        return std::move(*catalog);
    }

private:
    fs::path root_;
};

inline std::string read_all(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_all(const fs::path& file, std::string_view text) {
    std::ofstream(file, std::ios::binary) << text;
}

// Puts new content into a file of the same size, with the same times as far as anybody can set
// them.
inline void swap_unnoticed(const fs::path& target, std::string_view content) {
    struct stat st {};

    ASSERT_EQ(::stat(target.c_str(), &st), 0);
    std::string bytes(content);
    bytes.resize(static_cast<std::size_t>(st.st_size), ' ');
    std::fstream(target, std::ios::in | std::ios::out | std::ios::binary) << bytes;
    const timespec times[2] = {st.st_atim, st.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, target.c_str(), times, 0), 0);
}

// Replaces text of equal length in a plugin and its sidecar.
inline void edit(const fs::path& library, std::string_view from, std::string_view to) {
    ASSERT_EQ(from.size(), to.size());
    for (const fs::path& file : {library, fs::path(library.native() + ".rlx.json")}) {
        std::string bytes = read_all(file);
        const auto at = bytes.find(from);
        ASSERT_NE(at, bytes.npos) << from << " is not in " << file;
        bytes.replace(at, to.size(), to);
        write_all(file, bytes);
    }
}

inline const rlx::candidate* candidate_of(const rlx::plugin_catalog& c, const fs::path& file) {
    for (const auto& seen : c.candidates()) {
        if (seen.file == file) return &seen;
    }
    return nullptr;
}

// The file is refused for a reason that contains `why`, and no manifest came out of it.
inline ::testing::AssertionResult
refused(const rlx::plugin_catalog& c, const fs::path& file, std::string_view why) {
    const auto* seen = candidate_of(c, file);
    if (!seen) return ::testing::AssertionFailure() << file << " was not seen";
    if (seen->status != "refused" || seen->reason.find(why) == seen->reason.npos) {
        return ::testing::AssertionFailure()
               << file << " is " << seen->status << " (" << seen->reason << "), expected: " << why;
    }
    for (const auto& m : c.manifests()) {
        if (m.library == file) return ::testing::AssertionFailure() << "yet it has a manifest";
    }
    return ::testing::AssertionSuccess();
}
