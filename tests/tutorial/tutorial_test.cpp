// SPDX-License-Identifier: GPL-3.0-only
// tutorial_test FILE.md PREFIX LIBDIR WORK: does what a page says, in an empty folder, with the rlx
// installed in PREFIX. "File `name`:" and the block after it become that file; ```sh blocks run in
// one shell, in order; every line of a ```text block must be in what the block before it printed.
// Exit code 0 when all of it worked.
#include "process.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace fs = std::filesystem;

namespace {

struct block {
    std::string kind, file, text; // kind: the word after ```; file: what it is the contents of
    int line = 0;
};

std::string read_file(const fs::path& p) {
    std::ifstream f(p, std::ios::binary);
    return {std::istreambuf_iterator<char>(f), {}};
}

std::vector<block> blocks_of(const std::string& page) {
    std::vector<block> out;
    std::istringstream in(page);
    std::string file;
    bool inside = false;
    int number = 0;
    for (std::string line; std::getline(in, line);) {
        number++;
        if (!inside && line.starts_with("File `") && line.ends_with("`:")) {
            file = line.substr(6, line.size() - 8);
        } else if (!inside && line.starts_with("```")) {
            inside = true;
            out.push_back({line.substr(3), file, "", number});
            file.clear();
        } else if (inside && line == "```") {
            inside = false;
        } else if (inside) {
            out.back().text += line + "\n";
        }
    }
    return out;
}

// One script: files as here-documents, what the i-th block prints in out.<i>.
std::string script_of(const std::vector<block>& blocks) {
    std::string s = "out=$PWD/.out\nmkdir -p $out\nmkdir work\ncd work\n";
    for (std::size_t i = 0; i < blocks.size(); i++) {
        const block& b = blocks[i];
        if (!b.file.empty())
            s += "cat > '" + b.file + "' <<'RLX_END_OF_FILE'\n" + b.text + "RLX_END_OF_FILE\n";
        else if (b.kind == "sh")
            s += "echo 'line " + std::to_string(b.line) + "' >&2\n{\n" + b.text + "} > $out/" +
                 std::to_string(i) + "\n";
    }
    return s;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 5) return 2;
    const fs::path page = argv[1], prefix = argv[2], libdir = argv[3], work = argv[4];
    fs::remove_all(work);
    fs::create_directories(work);
    const std::vector<block> blocks = blocks_of(read_file(page));
    const auto home = work / "home";
    fs::create_directories(home);
    const auto r = rlx::test::run(
        {"/bin/bash", "-euo", "pipefail", "-c", script_of(blocks)},
        {.environment =
             {"PATH=" + (prefix / "bin").string() + ":" + std::getenv("PATH"),
              "CMAKE_PREFIX_PATH=" + prefix.string(),
              "PKG_CONFIG_PATH=" + (prefix / libdir / "pkgconfig").string(),
              "HOME=" + home.string(),
              "XDG_DATA_HOME=" + (home / "data").string(),
              "XDG_CACHE_HOME=" + (home / "cache").string(),
              "RLX_PLUGIN_PATH="},
         .directory = work.string(),
         .timeout_seconds = 280}
    );
    if (r.exit_code != 0) {
        std::fprintf(
            stderr, "%s: exit code %d after\n%s", page.c_str(), r.exit_code, r.err.c_str()
        );
        return 1;
    }
    int commands = 0, files = 0, failed = 0;
    for (std::size_t i = 0; i < blocks.size(); i++) {
        commands += blocks[i].kind == "sh";
        files += !blocks[i].file.empty();
        if (blocks[i].kind != "text") continue;
        const std::string printed = read_file(work / ".out" / std::to_string(i - 1));
        std::istringstream lines(blocks[i].text);
        for (std::string line; std::getline(lines, line);) {
            if (printed.find(line) != std::string::npos) continue;
            std::fprintf(
                stderr,
                "%s:%d: '%s' is not in\n%s\n",
                page.c_str(),
                blocks[i].line,
                line.c_str(),
                printed.c_str()
            );
            failed++;
        }
    }
    std::printf("%d files, %d blocks of commands\n", files, commands);
    if (files < 4 || commands < 8) return std::fprintf(stderr, "the page was not understood\n"), 1;
    fs::remove_all(work);
    return failed != 0;
}
