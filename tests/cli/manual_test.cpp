// SPDX-License-Identifier: GPL-3.0-only
// Manual pages and shell completion say what the flag table says, and the shells agree.
#include "process.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <regex>
#include <set>
#include <sstream>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using words = std::set<std::string>;

const std::string rlx_run = program("rlx-run");
const std::string path =
    "PATH=" + fs::path(rlx_run).parent_path().string() + ":" + std::getenv("PATH");

std::string help(std::vector<std::string> args) {
    args.insert(args.begin(), {rlx_run, "help"});
    const outcome r = run(args);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return r.out;
}

words lines(const std::string& text) {
    words out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        out.insert(line.substr(0, line.find_first_of(" \t")));
    return out;
}

// Every --flag that a text mentions.
words flags_in(const std::string& text) {
    static const std::regex flag("--[a-z][a-z0-9-]*");
    words out;
    for (std::sregex_iterator at(text.begin(), text.end(), flag), end; at != end; ++at)
        out.insert(at->str());
    return out;
}

// Flags that a command's help lists, with other spellings.
words flags_of(const std::vector<std::string>& command) {
    std::istringstream in(help(command));
    words out;
    static const std::regex own("^  (-., |    )(--[a-z0-9-]+)"), also("; also (--[a-z-]+)");
    for (std::string line; std::getline(in, line);) {
        std::smatch m;
        if (std::regex_search(line, m, own)) out.insert(m[2]);
        for (std::sregex_iterator at(line.begin(), line.end(), also), end; at != end; ++at)
            out.insert((*at)[1]);
    }
    return out;
}

std::vector<std::string> commands() {
    std::vector<std::string> out;
    for (const std::string& name : lines(help({"--list", "commands"})))
        if (run({rlx_run, "help", name}).exit_code == 0) out.push_back(name);
    return out;
}

std::string unescaped(std::string page) {
    for (std::size_t at = 0; (at = page.find("\\-", at)) != std::string::npos; at++)
        page.erase(at, 1);
    return page;
}

bool there(const std::string& tool) {
    return run({"/bin/sh", "-c", "command -v " + tool}).exit_code == 0;
}

struct scratch {
    std::string dir = scratch_directory();

    ~scratch() { fs::remove_all(dir); }

    std::string file(const std::string& name, const std::string& text = {}) const {
        std::ofstream(dir + "/" + name, std::ios::binary) << text;
        return dir + "/" + name;
    }
};

// What bash offers for a line whose last word is being typed.
words bash_offers(const std::vector<std::string>& line, const std::string& directory = "/") {
    const scratch s;
    const std::string name = fs::path(line[0]).filename(),
                      script = s.file(
                          "completion",
                          help(
                              name == "rlx-run"
                                  ? std::vector<std::string>{"--format", "bash"}
                                  : std::vector<std::string>{"--format", "bash", name.substr(4)}
                          )
                      );
    std::vector<std::string> argv{
        "/bin/bash",
        "-uc",
        R"(script=$1; shift; source "$script"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
           set -- $(complete -p "$1"); "$3"; printf '%s\n' "${COMPREPLY[@]}")",
        "bash",
        script};
    argv.insert(argv.end(), line.begin(), line.end());
    const outcome done = run(argv, {.environment = {path}, .directory = directory});
    EXPECT_EQ(done.exit_code, 0) << done.err;
    EXPECT_EQ(done.err, "");
    words out = lines(done.out);
    out.erase("");
    return out;
}

TEST(manual, every_flag_of_a_command_is_in_its_page_and_in_the_three_completions) {
    const words zsh = flags_in(help({"--format", "zsh"}));
    const std::string fish = help({"--format", "fish"});
    const auto all = commands();
    EXPECT_GE(all.size(), 13u);
    for (const std::string& name : all) {
        const words flags = flags_of({name});
        EXPECT_GE(flags.size(), 4u) << name;
        const words page = flags_in(unescaped(help({"--format", "man", name})));
        words offered = bash_offers({"rlx-run", name, "-"});
        std::erase_if(offered, [](const std::string& f) { return f.size() == 2; });
        EXPECT_EQ(offered, flags) << name;
        for (const std::string& f : flags) {
            EXPECT_TRUE(page.contains(f)) << name << " " << f;
            EXPECT_TRUE(zsh.contains(f)) << name << " " << f;
            EXPECT_NE(fish.find(" -l " + f.substr(2) + " "), std::string::npos) << name << " " << f;
        }
    }
}

TEST(manual, a_page_names_no_flag_that_its_command_does_not_have) {
    for (const char* name : {"run", "chat", "plugins", "qwen3"}) {
        const words flags = flags_of({name});
        for (const std::string& f : flags_in(unescaped(help({"--format", "man", name}))))
            EXPECT_TRUE(flags.contains(f)) << name << " " << f;
    }
}

TEST(manual, files_are_written_for_every_command_and_launcher) {
    const scratch s;
    help({"--write", s.dir, "--launcher", "qwen3", "--launcher", "inspect"});
    for (const char* name :
         {"man/man1/rlx-run.1",
          "man/man1/rlx-run-chat.1",
          "man/man1/rlx-run-help.1",
          "man/man1/rlx-qwen3.1",
          "man/man1/rlx-inspect.1",
          "bash-completion/completions/rlx-qwen3",
          "zsh/site-functions/_rlx-run",
          "fish/vendor_completions.d/rlx-inspect.fish"})
        EXPECT_TRUE(fs::is_regular_file(s.dir + "/" + name)) << name;
    for (const auto& page : fs::directory_iterator(s.dir + "/man/man1")) {
        const std::string stem = page.path().stem();
        std::string upper = stem;
        std::ranges::transform(upper, upper.begin(), [](char c) {
            return c == '-' ? c : std::toupper(c);
        });
        std::ifstream in(page.path());
        const std::string text = unescaped({std::istreambuf_iterator<char>(in), {}});
        EXPECT_NE(text.find(".TH " + upper + " 1 "), std::string::npos) << stem;
        EXPECT_NE(text.find(".SH NAME\n" + stem + " - "), std::string::npos) << stem;
    }
}

TEST(manual, the_pages_format_without_a_warning) {
    if (!there("man") || !there("groff")) GTEST_SKIP() << "man or groff is not installed";
    const scratch s;
    help({"--write", s.dir, "--launcher", "qwen3", "--launcher", "inspect"});
    for (const auto& page : fs::directory_iterator(s.dir + "/man/man1")) {
        const outcome r =
            run({"/bin/sh",
                 "-c",
                 "man --warnings -E UTF-8 -l -Tutf8 -Z \"$0\" >/dev/null",
                 page.path()},
                {.environment = {"LC_ALL=C.UTF-8", "MANROFFSEQ=", "MANWIDTH=80"}});
        EXPECT_EQ(r.exit_code, 0) << page.path() << r.err;
        EXPECT_EQ(r.err, "") << page.path();
    }
}

TEST(bash_completion, offers_commands_and_families) {
    EXPECT_EQ(bash_offers({"rlx-run", "ch"}), (words{"chat", "check"}));
    const words all = bash_offers({"rlx-run", ""});
    for (const char* name : {"run", "help", "qwen3", "llama32"})
        EXPECT_TRUE(all.contains(name)) << name;
    EXPECT_EQ(bash_offers({"rlx-run", "help", "tok"}), words{"tokenize"});
    EXPECT_EQ(bash_offers({"rlx-run", "inspect", "sc"}), words{"scan"});
}

TEST(bash_completion, offers_commands_behind_a_folder_of_plugins) {
    EXPECT_EQ(bash_offers({"rlx-run", "--plugin-dir", "/x", "ch"}), (words{"chat", "check"}));
    EXPECT_EQ(bash_offers({"rlx-run", "--plugin-dir", "=", "/x", "ch"}), (words{"chat", "check"}));
    EXPECT_EQ(
        bash_offers({"rlx-run", "--plugin-dir", "/x", "--plugin-dir", "/y", "run", "--kv", ""}),
        (words{"f16", "f32"})
    );
    EXPECT_EQ(bash_offers({"rlx-run", "--plugin-dir", "us"}), words{"usr"});
}

TEST(bash_completion, offers_files_to_a_command_it_does_not_know) {
    EXPECT_EQ(bash_offers({"rlx-run", "no-such-command", "--"}), words{});
    EXPECT_EQ(bash_offers({"rlx-run", "no-such-command", "us"}), words{"usr"});
}

TEST(bash_completion, knows_the_plugin_check) {
    const words flags = bash_offers({"rlx-plugin-check", "--"});
    EXPECT_EQ(flags, flags_in(run({program("rlx-plugin-check"), "--help"}).out));
    EXPECT_TRUE(flags.contains("--only"));
}

TEST(bash_completion, knows_the_judge_of_backends) {
    const words flags = bash_offers({"rlx-optest", "--"});
    EXPECT_EQ(flags, flags_in(run({program("rlx-optest"), "--help"}).out));
    EXPECT_TRUE(flags.contains("--case"));
}

// Vulkan's plugin is built where its tools are.
words devices() {
    words out{"auto", "cpu"};
    const fs::path plugins = fs::path(program("rlx-run")).parent_path() / "../lib/rlx/plugins";
    if (fs::exists(plugins / "rlx-vulkan.so")) out.insert("vulkan");
    return out;
}

TEST(bash_completion, offers_the_values_of_a_flag) {
    EXPECT_EQ(bash_offers({"rlx-run", "run", "--kv", ""}), (words{"f16", "f32"}));
    EXPECT_EQ(
        bash_offers({"rlx-run", "run", "--tier", "=", "avx512"}), (words{"avx512", "avx512_vnni"})
    );
    EXPECT_EQ(bash_offers({"rlx-run", "run", "--tier", "="}).size(), 5u);
    EXPECT_EQ(bash_offers({"rlx-qwen3", "--device", ""}), devices());
    EXPECT_EQ(bash_offers({"rlx-run", "help", "--list", "f"}), words{"families"});
    EXPECT_EQ(
        bash_offers({"rlx-inspect", "scan", "--source", "l"}), (words{"lmstudio", "lemonade"})
    );
    EXPECT_EQ(bash_offers({"rlx-run", "run", "--max-tokens", ""}), words{});
}

TEST(bash_completion, offers_files_where_a_file_is_wanted_and_folders_where_a_folder_is) {
    const scratch s;
    s.file("model.gguf");
    fs::create_directory(s.dir + "/more");
    const std::vector<std::string> before[] = {
        {"rlx-run", "qwen3", "--weights"}, {"rlx-run", "chat", "-w"}, {"rlx-llama32", "--weights"}};
    for (auto line : before) {
        line.push_back("mo");
        EXPECT_EQ(bash_offers(line, s.dir), (words{"model.gguf", "more"})) << line[1];
    }
    EXPECT_EQ(bash_offers({"rlx-run", "check", "mo"}, s.dir), (words{"model.gguf", "more"}));
    EXPECT_EQ(bash_offers({"rlx-run", "plugins", "--plugin-dir", "mo"}, s.dir), words{"more"});
}

TEST(bash_completion, is_a_script_bash_reads) {
    const scratch s;
    for (const char* name : {"qwen3", "inspect", "chat"}) {
        const outcome r = run({"/bin/bash", "-n", s.file(name, help({"--format", "bash", name}))});
        EXPECT_EQ(r.exit_code, 0) << r.err;
        EXPECT_EQ(r.err, "");
    }
}

TEST(zsh_completion, is_a_script_zsh_reads) {
    if (!there("zsh")) GTEST_SKIP() << "zsh is not installed";
    const scratch s;
    const outcome r = run({"/bin/zsh", "-n", s.file("_rlx-run", help({"--format", "zsh"}))});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.err, "");
}

// Types the line and a tab into an interactive zsh, and waits for what it shall show.
constexpr const char* zsh_offers = R"(
    zmodload zsh/zpty || exit 77
    zpty shell zsh -f -i
    zpty -w shell "PS1=; fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D; print RE''ADY"
    zpty -r shell seen '*READY*' || exit 1
    zpty -w -n shell "$2"$'\t\t'
    zpty -r shell seen "*$3*")";

TEST(zsh_completion, offers_commands_values_and_devices) {
    if (!there("zsh")) GTEST_SKIP() << "zsh is not installed";
    if (!terminals_exist()) GTEST_SKIP() << "no pseudo-terminals here (/dev/pts)";
    const scratch s;
    s.file("_rlx-run", help({"--format", "zsh"}));
    const std::pair<const char*, const char*> cases[] = {
        {"rlx-run ch", "talk to a model"},
        {"rlx-run run --tier ", "avx512_vnni"},
        {"rlx-run qwen3 --device ", "the best device"},
        {"rlx-run inspect sca", "inspect scan "},
        {"rlx-run --plugin-dir /x ch", "talk to a model"},
        {"rlx-run --plugin-dir=/x run --tier ", "avx512_vnni"}};
    for (const auto& [line, shown] : cases) {
        const outcome r =
            run({"/bin/zsh", "-f", "-c", zsh_offers, "zsh", s.dir, line, shown},
                {.environment = {path, "HOME=" + s.dir, "TERM=dumb"}, .timeout_seconds = 30});
        if (r.exit_code == 77) GTEST_SKIP() << "zsh has no pseudo-terminals here";
        EXPECT_EQ(r.exit_code, 0) << line;
    }
}

TEST(fish_completion, offers_commands_flags_values_and_files) {
    if (!there("fish")) GTEST_SKIP() << "fish is not installed";
    const scratch s;
    s.file("model.gguf");
    const std::string script = s.file("rlx-run.fish", help({"--format", "fish"}));
    const auto offers = [&](const std::string& line) {
        const outcome r =
            run({"/usr/bin/fish",
                 "--no-config",
                 "-c",
                 "source $argv[1]; complete -C $argv[2]",
                 script,
                 line},
                {.environment = {path, "HOME=" + s.dir}, .directory = s.dir});
        EXPECT_EQ(r.err, "") << line;
        return lines(r.out);
    };
    EXPECT_EQ(offers("rlx-run ch"), (words{"chat", "check"}));
    EXPECT_EQ(offers("rlx-run chat --kv "), (words{"f16", "f32"}));
    EXPECT_EQ(offers("rlx-run qwen3 --device "), devices());
    EXPECT_EQ(offers("rlx-run run --weights mo"), words{"model.gguf"});
    EXPECT_EQ(offers("rlx-run inspect sc"), words{"scan"});
    EXPECT_EQ(offers("rlx-run inspect scan --sn"), words{"--sniff"});
    EXPECT_EQ(offers("rlx-run inspect scan --ten"), words{});
    EXPECT_EQ(offers("rlx-run llama32 --max-t"), words{"--max-tokens"});
    EXPECT_EQ(offers("rlx-run --plugin-dir /x ch"), (words{"chat", "check"}));
    EXPECT_EQ(offers("rlx-run --plugin-dir /x chat --kv "), (words{"f16", "f32"}));
    EXPECT_EQ(offers("rlx-run --plugin-dir /x qwen3 --max-t"), words{"--max-tokens"});
}

} // namespace
} // namespace rlx::test
