// SPDX-License-Identifier: GPL-3.0-only
// Each rule catches what it is for and lets pass what it should.
#include "lint.hpp"

#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;

const std::string spdx = "// SPDX-License-Identifier: GPL-3.0-only\n";

lint::source_file file(const std::string& path, const std::string& text) {
    lint::source_file f{path, text, {}};
    if (f.is_cpp()) f.code = lint::blank(text);
    return f;
}

std::string lines(int n, const std::string& line = "x;\n") {
    std::string out;
    for (int i = 0; i < n; i++)
        out += line;
    return out;
}

// A small project in a folder of its own.
class tree {
public:
    tree() {
        std::string name = (fs::temp_directory_path() / "rlx-lint-XXXXXX").native();
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        root_ = name;
        add("core/abi/rlx/abi/abi.h", spdx + "#pragma once\n");
        add("core/base/rlx/base/result.hpp", spdx + "#pragma once\n#include \"rlx/abi/abi.h\"\n");
        add("facade/rlx/rlx.hpp", spdx + "#pragma once\n#include \"rlx/base/result.hpp\"\n");
        add("exceptions.txt", "");
    }

    ~tree() { fs::remove_all(root_); }

    void add(const std::string& path, const std::string& text) const {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path, std::ios::binary) << text;
    }

    const fs::path& root() const { return root_; }

    lint::findings check() const { return lint::check_all(root_, root_ / "exceptions.txt"); }

private:
    fs::path root_;
};

TEST(lint_code, blanks_comments_literals_and_directives_and_keeps_lines) {
    const std::string text =
        "int a; // getenv\n/* getenv\n */ char c = '\\''; const char* s = \"get\\\"env\";\n"
        "#define X getenv \\\n  getenv\nauto r = R\"x(getenv)\" )x\"; int n = 1'000;\n";
    const std::string code = lint::blank(text);
    EXPECT_EQ(
        std::count(code.begin(), code.end(), '\n'), std::count(text.begin(), text.end(), '\n')
    );
    EXPECT_EQ(code.find("getenv"), code.npos);
    EXPECT_EQ(code.find("env"), code.npos);
    EXPECT_NE(code.find("int n = 1'000;"), code.npos);
}

TEST(lint_spdx, misses_the_licence_line) {
    EXPECT_EQ(lint::check_spdx(file("core/a.cpp", "int a;\n")).size(), 1u);
    EXPECT_EQ(lint::check_spdx(file("core/a.cpp", "\n" + spdx)).size(), 1u);
    EXPECT_EQ(lint::check_spdx(file("core/CMakeLists.txt", "project(x)\n")).size(), 1u);
    EXPECT_TRUE(lint::check_spdx(file("core/a.cpp", spdx)).empty());
    EXPECT_TRUE(lint::check_spdx(file("a.py", "#!/usr/bin/python3\n# " + spdx.substr(3))).empty());
    EXPECT_TRUE(lint::check_spdx(file("docs/a.md", "# Title\n")).empty());
}

TEST(lint_pragma_once, misses_it_in_headers) {
    EXPECT_EQ(lint::check_pragma_once(file("core/a.hpp", spdx)).size(), 1u);
    EXPECT_TRUE(lint::check_pragma_once(file("core/a.cpp", spdx)).empty());
}

TEST(lint_machine_path, finds_paths_of_one_machine) {
    const std::string path = std::string("/wo") + "rk/main";
    const auto found = lint::check_machine_paths(file("docs/a.md", "see\n" + path + "\n"));
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].where, "docs/a.md:2");
    EXPECT_TRUE(
        lint::check_machine_paths(file("docs/a.md", "net" + path + " and some/wor/k\n")).empty()
    );
}

TEST(lint_calls, find_the_environment_prints_and_exits) {
    const auto rules = [](const std::string& path, const std::string& text) {
        std::vector<std::string> out;
        for (const auto& f : lint::check_calls(file(path, text)))
            out.push_back(f.rule);
        return out;
    };
    using list = std::vector<std::string>;
    EXPECT_EQ(rules("core/a.cpp", "auto x = std::getenv(\"A\");"), list{"getenv"});
    EXPECT_EQ(rules("cli/a.cpp", "auto x = ::secure_getenv(\"A\");"), list{"getenv"});
    EXPECT_EQ(rules("families/x/a.cpp", "std::printf(\"x\");"), list{"print"});
    EXPECT_EQ(rules("core/a.cpp", "std::cerr << 1;"), list{"print"});
    EXPECT_EQ(rules("plugins/a.cpp", "if (x) abort();"), list{"exit"});
    EXPECT_EQ(rules("plugins/a.cpp", "std::exit(1); ::signal(2, f);"), (list{"exit", "exit"}));
    // Comments, text, other people's names, tests, and the command line's own output are fine.
    EXPECT_EQ(
        rules(
            "core/a.cpp",
            "// getenv\nf(\"getenv\"); my_getenv(); p->abort(); x.exit(); snprintf(b);"
        ),
        list{}
    );
    EXPECT_EQ(rules("core/a.cpp", "rlx::exit(); thread_exit(1); int abort = 3;"), list{});
    EXPECT_EQ(rules("core/tests/a.cpp", "std::getenv(\"A\"); abort();"), list{});
    EXPECT_EQ(rules("cli/a.cpp", "std::printf(\"x\"); std::exit(2);"), list{});
}

TEST(lint_file_size, refuses_long_files_but_not_tests_or_generated_ones) {
    EXPECT_EQ(lint::check_file_size(file("core/a.cpp", lines(801))).size(), 1u);
    EXPECT_TRUE(lint::check_file_size(file("core/a.cpp", lines(800))).empty());
    EXPECT_TRUE(lint::check_file_size(file("core/tests/a.cpp", lines(801))).empty());
    EXPECT_TRUE(
        lint::check_file_size(file("core/a.cpp", "// Generated by x\n" + lines(801))).empty()
    );
}

TEST(lint_function_size, measures_functions_wherever_they_stand) {
    const auto longest = [](const std::string& before, const std::string& after) {
        const auto found =
            lint::check_function_size(file("core/a.cpp", before + lines(90) + after));
        return found.size() == 1 ? found[0].where : std::to_string(found.size());
    };
    EXPECT_EQ(longest("void f() {\n", "}\n"), "core/a.cpp:f");
    EXPECT_EQ(
        longest(
            "namespace a {\nclass c {\npublic:\n    int g(int x) const noexcept {\n", "}\n};\n}\n"
        ),
        "core/a.cpp:g"
    );
    EXPECT_EQ(longest("c::c(int a)\n    : a_(a), b_{2} {\n", "}\n"), "core/a.cpp:c::c");
    EXPECT_EQ(
        longest(
            "template <class T>\n    requires(sizeof(T) > 1)\nauto h(T x) -> std::vector<int> "
            "{\nif (x) {\n",
            "}\n}\n"
        ),
        "core/a.cpp:requires"
    );
    EXPECT_EQ(longest("extern \"C\" {\nstruct s* k(struct s* x) {\n", "}\n}\n"), "core/a.cpp:k");
    EXPECT_EQ(longest("constexpr auto x = [](int y) {\n", "};\n"), "core/a.cpp:x");
    // Long tables, enums and classes are no functions.
    EXPECT_EQ(longest("constexpr int table[] = {\n", "};\n"), "0");
    EXPECT_EQ(longest("enum class e {\n", "};\n"), "0");
    EXPECT_EQ(longest("namespace {\nstruct s {\n", "};\n}\n"), "0");
    // Kernels may have 120 lines.
    EXPECT_TRUE(
        lint::check_function_size(file("k.inl", "void f() {\n" + lines(100) + "}\n")).empty()
    );
    EXPECT_EQ(
        lint::check_function_size(file("k.inl", "void f() {\n" + lines(120) + "}\n")).size(), 1u
    );
}

TEST(lint_function_size, counts_from_brace_to_brace) {
    const auto spans = lint::functions_of("int a;\nvoid f() {\nx;\n}\n\nvoid g() { x; }\n");
    ASSERT_EQ(spans.size(), 2u);
    EXPECT_EQ(spans[0].name, "f");
    EXPECT_EQ(spans[0].first_line, 2u);
    EXPECT_EQ(spans[0].lines, 3u);
    EXPECT_EQ(spans[1].lines, 1u);
}

class lint_layering : public ::testing::Test {
protected:
    std::size_t wrong(const std::string& path, const std::string& include) const {
        return lint::check_includes(file(path, spdx + "#include " + include + "\n"), project.root())
            .size();
    }

    tree project;
};

TEST_F(lint_layering, lets_each_layer_see_those_below) {
    EXPECT_EQ(wrong("cli/a.cpp", "\"rlx/rlx.hpp\""), 0u);
    EXPECT_EQ(wrong("facade/a.cpp", "\"rlx/base/result.hpp\""), 0u);
    EXPECT_EQ(wrong("families/x/a.cpp", "\"rlx/abi/abi.h\""), 0u);
    EXPECT_EQ(wrong("families/x/a.cpp", "<vector>"), 0u);
    EXPECT_EQ(wrong("families/x/tests/a.cpp", "\"rlx/base/result.hpp\""), 0u);
    EXPECT_EQ(wrong("core/base/a.cpp", "<fmt/format.h>"), 0u);
    EXPECT_EQ(wrong("cli/commands/a.cpp", "\"../lm.hpp\""), 0u);
}

TEST_F(lint_layering, plugins_see_the_sdk_the_standard_library_and_nothing_else) {
    // Families, backends and templates live by the same rule.
    for (const char* own : {"families/x", "plugins/backends/x"})
        project.add(std::string(own) + "/own.hpp", spdx);
    project.add("plugins/template-family/own.hpp", spdx);
    project.add("plugins/template-backend/own.hpp", spdx);
    project.add("families/x/sub/near.hpp", spdx);
    for (const std::string folder :
         {"families/x",
          "plugins/backends/x",
          "plugins/template-family",
          "plugins/template-backend"}) {
        EXPECT_EQ(wrong(folder + "/a.cpp", "<vector>"), 0u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "<string.h>"), 0u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "<sys/mman.h>"), 0u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "\"own.hpp\""), 0u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "<fmt/format.h>"), 1u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "<sys/socket.h>"), 1u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "<signal.h>"), 1u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "<zlib.h>"), 1u);
        EXPECT_EQ(wrong(folder + "/sub/a.cpp", "\"own.hpp\""), 0u);
        // Other spellings of the same.
        EXPECT_EQ(wrong(folder + "/a.cpp", "\"signal.h\""), 1u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "\"zlib.h\""), 1u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "/* own */ <zlib.h>"), 1u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "HEADER"), 1u);
        EXPECT_EQ(wrong(folder + "/a.cpp", "\\\n<zlib.h>"), 1u);
    }
    for (const std::string line :
         {"#include_next <zlib.h>", "/**/#include <zlib.h>", "%:include <zlib.h>", "#import <x>"})
        EXPECT_EQ(
            lint::check_includes(file("families/x/a.cpp", spdx + line + "\n"), project.root())
                .size(),
            1u
        ) << line;
    EXPECT_EQ(wrong("families/x/sub/a.cpp", "\"near.hpp\""), 0u);
    EXPECT_EQ(wrong("families/y/a.cpp", "\"own.hpp\""), 1u);
    EXPECT_EQ(wrong("core/base/a.cpp", "<sys/socket.h>"), 0u);
}

TEST_F(lint_layering, catches_a_look_upwards_or_sideways) {
    EXPECT_EQ(wrong("core/base/a.cpp", "\"rlx/rlx.hpp\""), 1u);
    EXPECT_EQ(wrong("families/x/a.cpp", "\"rlx/base/result.hpp\""), 1u);
    EXPECT_EQ(wrong("plugins/backends/cpu/a.cpp", "\"rlx/base/result.hpp\""), 1u);
    EXPECT_EQ(wrong("core/abi/rlx/abi/b.h", "\"rlx/base/result.hpp\""), 1u);
    EXPECT_EQ(wrong("families/x/a.cpp", "\"../../core/base/rlx/base/result.hpp\""), 1u);
    EXPECT_EQ(wrong("families/x/a.cpp", "<fmt/format.h>"), 1u);
    EXPECT_EQ(wrong("facade/rlx/rlx.hpp", "<nlohmann/json.hpp>"), 1u);
}

TEST(lint_tree, reports_large_families_and_files) {
    tree project;
    EXPECT_TRUE(project.check().empty());
    project.add("families/big/a.cpp", spdx + lines(799));
    project.add("families/big/b.cpp", spdx + lines(700));
    EXPECT_TRUE(project.check().size() == 1 && project.check()[0].rule == "family-size");
    project.add("families/big/b.cpp", spdx);
    project.add("families/big/tests/a.cpp", spdx + lines(3000));
    EXPECT_TRUE(project.check().empty());
    project.add("tests/fixture.bin", std::string(256 * 1024 + 1, 'x'));
    EXPECT_TRUE(project.check().size() == 1 && project.check()[0].rule == "large-file");
}

TEST(lint_tree, reports_too_many_long_functions) {
    tree project;
    std::string text = spdx;
    for (int i = 0; i < 96; i++)
        text += "void f" + std::to_string(i) + "() {}\n";
    for (int i = 0; i < 4; i++)
        text += "void g" + std::to_string(i) + "() {\n" + lines(60) + "}\n";
    project.add("core/base/a.cpp", text);
    ASSERT_EQ(project.check().size(), 1u);
    EXPECT_EQ(project.check()[0].rule, "long-functions");
}

TEST(lint_exceptions, excuse_with_a_reason_and_only_what_is_there) {
    tree project;
    project.add("core/base/a.cpp", spdx + "auto x = getenv(\"A\");\n");
    ASSERT_EQ(project.check().size(), 1u);
    project.add("exceptions.txt", "# comment\n\ngetenv core/base/a.cpp # it is the one place\n");
    EXPECT_TRUE(project.check().empty());
    project.add("exceptions.txt", "getenv core/base/a.cpp\n");
    EXPECT_EQ(project.check().size(), 2u); // no reason given, and so no excuse
    project.add("exceptions.txt", "getenv core/ # everywhere\nprint core/base/a.cpp # long gone\n");
    ASSERT_EQ(project.check().size(), 1u);
    EXPECT_EQ(project.check()[0].rule, "exceptions");
}

TEST(lint_symbols, catch_a_plugin_that_exports_links_or_searches_too_much) {
    const auto found = lint::check_library(LINT_BAD_PLUGIN, "plugin");
    const auto has = [&](const char* rule, const char* text) {
        return std::any_of(found.begin(), found.end(), [&](const auto& f) {
            return f.rule == rule && f.message.find(text) != std::string::npos;
        });
    };
    EXPECT_TRUE(has("symbols", "foreign_name"));
    EXPECT_TRUE(has("needed", "librlx-needed"));
    EXPECT_TRUE(has("search-path", "/opt/somewhere"));
}

TEST(lint_symbols, catch_a_library_that_exports_foreign_names) {
    const auto found = lint::check_library(LINT_BAD_PLUGIN, "library");
    EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](const auto& f) {
        return f.message.find("_Z12foreign_namei") != std::string::npos;
    }));
    EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](const auto& f) {
        return f.message.find("_ZNSt") != std::string::npos; // an instance of a standard template
    }));
    EXPECT_FALSE(lint::check_library("/dev/null", "library").empty());
}

} // namespace
