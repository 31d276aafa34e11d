// SPDX-License-Identifier: GPL-3.0-only
// The documents tell the truth: every command in them runs, and the status table is what the
// plugins say.
#include "process.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;

const fs::path source = RLX_SOURCE_DIR;

std::string read_file(const fs::path& p) {
    std::ifstream f(p, std::ios::binary);
    return {std::istreambuf_iterator<char>(f), {}};
}

// plugin-tutorial.md is a session of its own, against an installed rlx: tests/tutorial.
bool has_its_own_test(const fs::path& doc) {
    return doc.filename() == "plugin-tutorial.md";
}

std::vector<fs::path> documents() {
    std::vector<fs::path> out{source / "README.md"};
    for (const auto& e : fs::recursive_directory_iterator(source / "docs"))
        if (e.path().extension() == ".md") out.push_back(e.path());
    std::ranges::sort(out);
    return out;
}

bool names_a_file_that_is_not_here(const std::string& command) {
    const std::size_t at = command.find(" ~/");
    if (at == std::string::npos) return false;
    const char* home = std::getenv("HOME");
    return !home ||
           !fs::exists(fs::path(home) / command.substr(at + 3, command.find(' ', at + 1) - at - 3));
}

// The scripts of a document: ```sh blocks whole, and the commands after "$ " of ```console blocks,
// which also show what was printed. A transcript of a model that was not fetched is left out.
std::vector<std::string> shell_blocks(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream in(text);
    std::string kind;
    bool continued = false;
    for (std::string line; std::getline(in, line);) {
        if (line == "```sh" || line == "```console") {
            kind = line.substr(3);
            if (kind == "sh") out.emplace_back();
        } else if (line == "```")
            kind.clear();
        else if (kind == "sh")
            out.back() += line + "\n";
        else if (kind == "console" && (continued || line.starts_with("$ "))) {
            if (!continued) out.emplace_back();
            out.back() += (continued ? line : line.substr(2)) + "\n";
            continued = line.ends_with("\\");
            if (!continued && names_a_file_that_is_not_here(out.back())) out.pop_back();
        }
    }
    return out;
}

// The documents speak of the release preset; the test runs in any.
std::string in_this_build(std::string script) {
    const std::string shown = "build/release";
    for (std::size_t at = script.find(shown); at != std::string::npos;
         at = script.find(shown, at + 1))
        script.replace(
            at, shown.size(), fs::path(RLX_BUILD_DIR).lexically_relative(source).string()
        );
    return script;
}

std::string joined(const json& list) {
    std::string out;
    for (const auto& item : list)
        out += (out.empty() ? "" : ", ") + item.get<std::string>();
    return out;
}

// Rows: families. Columns: what files they open, and the backends, as the manifests say.
std::string status_table() {
    const json doc = json::parse(run({program("rlx-run"), "plugins", "--json"}).out);
    std::vector<std::string> backends;
    for (const json& plugin : doc["plugins"])
        for (const json& p : plugin["provides"])
            if (p["kind"] == "backend") backends.push_back(p["name"]);
    std::string head = "| family | HF model types | GGUF architectures | formats |",
                rule = "|---|---|---|---|";
    for (const std::string& b : backends)
        head += " " + b + " |", rule += "---|";
    std::string out = head + "\n" + rule + "\n";
    for (const json& plugin : doc["plugins"])
        for (const json& p : plugin["provides"]) {
            if (p["kind"] != "family") continue;
            out += "| " + p["name"].get<std::string>() + " | " + joined(p["hf_model_types"]) +
                   " | " + joined(p["gguf_arches"]) + " | " + joined(p["formats"]) + " |";
            const auto devices = p["devices"].get<std::vector<std::string>>();
            for (const std::string& b : backends)
                out += std::ranges::find(devices, b) != devices.end() ? " yes |" : " no |";
            out += "\n";
        }
    return out;
}

TEST(docs, the_status_table_is_what_the_manifests_say) {
    const std::string readme = read_file(source / "README.md");
    const std::string begin = "<!-- status:begin -->\n", end = "<!-- status:end -->";
    const std::size_t from = readme.find(begin) + begin.size(), to = readme.find(end);
    ASSERT_LT(from, to);
    const std::string table = status_table();
    if (table.find("| vulkan |") == table.npos) GTEST_SKIP() << "built without the Vulkan backend";
    EXPECT_EQ(readme.substr(from, to - from), table);
}

// bootstrap.sh runs this very test; running it from here would not end.
bool runs_the_tests(const std::string& line) {
    return line == "./bootstrap.sh test";
}

// What a command leaves in the tree would be committed one day.
std::vector<fs::path> files_of_the_tree() {
    std::vector<fs::path> out;
    for (auto i = fs::recursive_directory_iterator(source); i != fs::recursive_directory_iterator();
         ++i) {
        const fs::path name = i->path().lexically_relative(source);
        if (name == ".git" || name == "build" || name == ".cache")
            i.disable_recursion_pending();
        else
            out.push_back(name);
    }
    std::ranges::sort(out);
    return out;
}

TEST(docs, every_command_shown_runs) {
    const auto before = files_of_the_tree();
    const bool in_preset = fs::path(RLX_BUILD_DIR).parent_path() == source / "build";
    int blocks = 0;
    for (const fs::path& doc : documents())
        for (const std::string& block : shell_blocks(read_file(doc))) {
            if (has_its_own_test(doc)) continue;
            std::string script;
            std::istringstream in(block);
            for (std::string line; std::getline(in, line);) {
                if (runs_the_tests(line) || (!in_preset && line.starts_with("./bootstrap.sh")))
                    continue;
                script += line + "\n";
            }
            const outcome r =
                run({"/bin/bash", "-euo", "pipefail", "-c", in_this_build(script)},
                    {.environment =
                         {"PATH=" + std::string(RLX_BIN_DIR) + ":" + std::getenv("PATH"),
                          "RLX_PRESET=" + fs::path(RLX_BUILD_DIR).filename().string()},
                     .directory = source,
                     .timeout_seconds = 900});
            EXPECT_EQ(r.exit_code, 0) << doc << ":\n" << script << "\n" << r.err;
            blocks++;
        }
    EXPECT_GE(blocks, 3);
    EXPECT_EQ(files_of_the_tree(), before) << "a command leaves files in the tree";
}

// Without code blocks, where "](" is C++.
std::string prose(const std::string& text) {
    std::string out;
    std::istringstream in(text);
    bool code = false;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("```")) code = !code;
        if (!code) out += line + "\n";
    }
    return out;
}

// Paragraphs of the ```c and ```cpp blocks.
std::vector<std::string> shown_code(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream in(text);
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("```")) {
            inside = line == "```c" || line == "```cpp";
            out.emplace_back();
        } else if (inside && line.empty()) {
            out.emplace_back();
        } else if (inside) {
            out.back() += line + "\n";
        }
    }
    std::erase(out, "");
    return out;
}

TEST(docs, embedding_shows_code_of_the_examples) {
    std::string code;
    for (const auto& e : fs::recursive_directory_iterator(source / "facade/examples"))
        if (e.path().extension() == ".c" || e.path().extension() == ".cpp")
            code += read_file(e.path());
    const auto shown = shown_code(read_file(source / "docs/embedding.md"));
    EXPECT_GE(shown.size(), 7U);
    for (const std::string& part : shown)
        EXPECT_NE(code.find(part), std::string::npos) << part;
}

TEST(docs, links_between_documents_lead_somewhere) {
    for (const fs::path& doc : documents()) {
        const std::string text = prose(read_file(doc));
        for (std::size_t at = text.find("]("); at != std::string::npos;
             at = text.find("](", at + 1)) {
            const std::string target = text.substr(at + 2, text.find(')', at) - at - 2);
            if (target.starts_with("http") || target.starts_with("#")) continue;
            EXPECT_TRUE(fs::exists(doc.parent_path() / target.substr(0, target.find('#'))))
                << doc << " -> " << target;
        }
    }
}

} // namespace
} // namespace rlx::test
