// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/environment.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <set>

namespace {

// Sets a variable for one test.
class scoped_env {
public:
    scoped_env(const char* name, const char* value) : name_(name) {
        if (const char* old = std::getenv(name)) old_ = old;
        if (value)
            ::setenv(name, value, 1);
        else
            ::unsetenv(name);
    }

    ~scoped_env() {
        if (old_)
            ::setenv(name_, old_->c_str(), 1);
        else
            ::unsetenv(name_);
    }

private:
    const char* name_;
    std::optional<std::string> old_;
};

TEST(Environment, UnsetAndEmptyAreTheSame) {
    scoped_env none("RLX_CPU", nullptr);
    EXPECT_EQ(rlx::env_string("RLX_CPU"), std::nullopt);
    scoped_env empty("RLX_CPU", "");
    EXPECT_EQ(rlx::env_string("RLX_CPU"), std::nullopt);
    scoped_env set("RLX_CPU", "avx2");
    EXPECT_EQ(rlx::env_string("RLX_CPU"), "avx2");
}

TEST(Environment, NumbersAreCheckedWhole) {
    scoped_env good("RLX_THREADS", "12");
    EXPECT_EQ(rlx::env_int("RLX_THREADS").value(), 12);
    for (const char* bad : {"12x", "x", "1.5", " 3", "99999999999999999999"}) {
        scoped_env set("RLX_THREADS", bad);
        auto r = rlx::env_int("RLX_THREADS");
        ASSERT_FALSE(r.ok()) << bad;
        EXPECT_NE(r.error().message.find("RLX_THREADS"), std::string::npos);
    }
}

TEST(Environment, FlagsKnowTheUsualWordsForNo) {
    for (const char* no : {"", "0", "false", "no", "off"}) {
        scoped_env set("NO_COLOR", no);
        EXPECT_FALSE(rlx::env_flag("NO_COLOR")) << no;
    }
    scoped_env set("NO_COLOR", "1");
    EXPECT_TRUE(rlx::env_flag("NO_COLOR"));
}

TEST(Environment, PathListsDropEmptyParts) {
    scoped_env set("RLX_PLUGIN_PATH", ":/a::/b/c:");
    EXPECT_EQ(
        rlx::env_paths("RLX_PLUGIN_PATH"), (std::vector<std::filesystem::path>{"/a", "/b/c"})
    );
}

TEST(Environment, DirectoriesFollowTheConventions) {
    scoped_env home("HOME", "/h"), xdg("XDG_CACHE_HOME", nullptr), own("RLX_CACHE_DIR", nullptr);
    scoped_env hub("HF_HUB_CACHE", nullptr), hf("HF_HOME", nullptr);
    EXPECT_EQ(rlx::cache_dir(), "/h/.cache/rlx");
    EXPECT_EQ(rlx::hf_hub_cache(), "/h/.cache/huggingface/hub");
    scoped_env relative("XDG_CACHE_HOME", "not/absolute");
    EXPECT_EQ(rlx::cache_dir(), "/h/.cache/rlx");
    scoped_env moved("XDG_CACHE_HOME", "/x");
    EXPECT_EQ(rlx::cache_dir(), "/x/rlx");
    EXPECT_EQ(rlx::hf_hub_cache(), "/x/huggingface/hub");
    scoped_env hf2("HF_HOME", "/hf");
    EXPECT_EQ(rlx::hf_hub_cache(), "/hf/hub");
    scoped_env own2("RLX_CACHE_DIR", "/c");
    EXPECT_EQ(rlx::cache_dir(), "/c");
    scoped_env no_home("HOME", nullptr), no_xdg("XDG_CACHE_HOME", nullptr),
        no_own("RLX_CACHE_DIR", nullptr);
    EXPECT_EQ(rlx::cache_dir(), "");
}

TEST(Environment, TheTableIsDocumentedAndHasNoDuplicates) {
    std::set<std::string_view> names;
    for (const rlx::env_var& v : rlx::env_vars) {
        EXPECT_TRUE(names.insert(v.name).second) << v.name;
        EXPECT_FALSE(v.doc.empty()) << v.name;
        bool names_place = v.type == rlx::env_type::path || v.type == rlx::env_type::path_list;
        EXPECT_TRUE(v.trusted || !names_place)
            << v.name << " could lead a privileged process elsewhere";
    }
}

} // namespace
