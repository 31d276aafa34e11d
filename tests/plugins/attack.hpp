// SPDX-License-Identifier: GPL-3.0-only
// What the tests of attacks share: has it been repelled, and a test in a process of its own.
#pragma once

#include "sandbox.hpp"

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <iostream>
#include <sys/stat.h>
#include <sys/wait.h>

class attack : public ::testing::Test {
protected:
    // True when the very file is mapped into this process, under whatever name.
    static bool is_mapped(const fs::path& file) {
        struct stat st {};

        if (::stat(file.c_str(), &st) != 0) return false;
        std::ifstream maps("/proc/self/maps");
        for (std::string line; std::getline(maps, line);) {
            unsigned long inode = 0;
            if (std::sscanf(line.c_str(), "%*s %*s %*s %*s %lu", &inode) == 1 && inode == st.st_ino)
                return true;
        }
        return false;
    }

    // Nothing of these directories is loaded, and `where` is refused saying `why`.
    void repelled(
        const rlx::search_options& o,
        const fs::path& where,
        std::string_view why,
        const fs::path& planted
    ) {
        const auto catalog = box.open(o);
        EXPECT_TRUE(refused(*catalog, where, why));
        int loaded = 0;
        for (const auto& m : catalog->manifests())
            loaded += catalog->load(m).ok();
        EXPECT_EQ(loaded, 0);
        EXPECT_FALSE(is_mapped(planted));
    }

    // What was seen as good when the catalog was opened is refused at the load.
    void
    repelled_at_load(rlx::plugin_catalog& catalog, std::string_view why, const fs::path& planted) {
        ASSERT_EQ(catalog.manifests().size(), 1u);
        const auto p = catalog.load(catalog.manifests()[0]);
        ASSERT_FALSE(p.ok());
        EXPECT_NE(p.error().message.find(why), std::string::npos) << p.error().message;
        EXPECT_TRUE(catalog.loaded().empty());
        EXPECT_FALSE(is_mapped(planted));
    }

    // Runs one of the tests below in a process of its own, whose first directory and environment
    // are given. "passed", "failed", or "did not run": a filter that matches nothing is no success.
    // As another user when one is given, which takes root.
    static std::string run_test(
        const fs::path& program,
        const std::string& name,
        const fs::path& folder,
        std::vector<std::string> variables,
        uid_t user = ::getuid()
    ) {
        std::vector<std::string> words = {
            program.native(), "--gtest_filter=attack*." + name, "--gtest_also_run_disabled_tests"};
        for (char** v = ::environ; *v; v++)
            if (std::strncmp(*v, "LD_LIBRARY_PATH=", 16) != 0) variables.emplace_back(*v);
        std::vector<char*> argv, envp;
        for (auto& w : words)
            argv.push_back(w.data());
        for (auto& v : variables)
            envp.push_back(v.data());
        argv.push_back(nullptr);
        envp.push_back(nullptr);
        int ends[2] = {};
        if (::pipe2(ends, O_CLOEXEC) != 0) return "no pipe";
        const pid_t child = ::fork();
        if (child == 0) {
            const bool other = user != ::getuid();
            if (::chdir(folder.c_str()) == 0 && ::dup2(ends[1], STDOUT_FILENO) >= 0 &&
                (!other ||
                 (::setgroups(0, nullptr) == 0 && ::setgid(user) == 0 && ::setuid(user) == 0)))
                ::execve(program.c_str(), argv.data(), envp.data());
            ::_exit(99);
        }
        ::close(ends[1]);
        const std::string said = read_to_end(ends[0]);
        ::close(ends[0]);
        int status = 0;
        if (child < 0 || ::waitpid(child, &status, 0) != child) return "does not start";
        if (WIFEXITED(status) && WEXITSTATUS(status) == 99) return "does not start";
        if (said.find(ran + name + "\n") == said.npos) return "did not run";
        if (status == 0) return "passed";
        std::cout << said;
        return "failed";
    }

    static std::string read_to_end(int fd) {
        std::string out;
        char part[4096];
        for (ssize_t n; (n = ::read(fd, part, sizeof part)) > 0;)
            out.append(part, static_cast<std::size_t>(n));
        return out;
    }

    // What a child says at the end of its test.
    static constexpr const char* ran = "This test ran to its end: ";

    void TearDown() override {
        const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        if (name.starts_with("DISABLED_") && !IsSkipped())
            std::cout << "\n" << ran << name << std::endl;
    }

    static fs::path this_program() { return fs::read_symlink("/proc/self/exe"); }

    void add_private(const fs::path& dir, int number) {
        const auto from = fs::path(RLX_SAMPLE_PLUGINS) / ("private-" + std::to_string(number));
        fs::copy_file(from / "libsample-private.so.1", dir / "libsample-private.so.1");
    }

    static std::string variable(const char* name) {
        const char* value = ::getenv(name);
        return value ? value : "";
    }

    sandbox box;
};
