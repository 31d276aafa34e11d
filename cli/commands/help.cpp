// SPDX-License-Identifier: GPL-3.0-only
// rlx-run help: a command's help as text, manual page or completion script, and all of them as
// files.
#include "../catalog.hpp"
#include "../commands.hpp"
#include "../manual.hpp"
#include "../optest.hpp"
#include "../plugin_check.hpp"

#include "rlx/cli/cli.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace rlx::cli {

namespace {

namespace fs = std::filesystem;

constexpr flag top_own[] = {
    {"help", 'h', flag_kind::toggle, "", "", "print the commands"},
    {"version", 0, flag_kind::toggle, "", "", "print the version"},
    {"plugin-dir",
     0,
     flag_kind::text,
     "DIR",
     "",
     "before the command: search DIR for plugins first (may be repeated)"},
};

constexpr flag own[] = {
    {"format",
     0,
     flag_kind::text,
     "text|man|bash|zsh|fish",
     "text",
     "as text, as manual page, or as completion script of the program"},
    {"list",
     0,
     flag_kind::text,
     "commands|families|devices",
     "",
     "what there is on this machine: a name, a tab and a description per line"},
    {"write",
     0,
     flag_kind::text,
     "DIR",
     "",
     "write all manual pages and completion scripts into DIR, laid out as below /usr/share"},
    {"launcher",
     0,
     flag_kind::text,
     "NAME",
     "",
     "with --write: also those of the program rlx-NAME (may be repeated); a family's is NAME:TASK"},
};

// With its subcommands, called as `program` says.
manual_entry entry_of(const builtin& b, std::string program) {
    auto d = describe(b.run, {});
    manual_entry out{
        program, d ? std::move(d->spec) : command_spec{b.name, b.description, "", {}, {}, {}}};
    for (const subcommand& s : out.spec.subcommands) {
        const std::string args[] = {s.name};
        if (auto below = describe(b.run, args))
            out.below.push_back({program + " " + s.name, std::move(below->spec)});
    }
    return out;
}

manual_entry whole_program() {
    manual_entry top{
        "rlx-run",
        {"rlx-run", "Runs models from local files.", "<command>", {{"General", top_own}}}};
    for (const builtin& b : builtin_commands())
        top.below.push_back(entry_of(b, fmt::format("rlx-run {}", b.name)));
    for (const family_command& c : family_commands()) {
        manual_entry family{"rlx-run family", describe_family("family", c.task).spec};
        family.spec.summary = c.summary;
        family.task = c.task;
        top.below.push_back(std::move(family));
    }
    return top;
}

// What the program rlx-NAME is: a command of its own, or a family's ("NAME:TASK").
manual_entry launcher(const std::string& given) {
    const std::size_t colon = given.find(':');
    const std::string name = given.substr(0, colon);
    const std::string program = "rlx-" + name;
    for (const builtin& b : builtin_commands())
        if (b.name == name) return entry_of(b, program);
    if (name == "plugin-check") return {program, plugin_check_spec()};
    if (name == "optest") return {program, optest_spec()};
    const std::string task = colon == given.npos ? "lm" : given.substr(colon + 1);
    return {program, describe_family(name, task).spec};
}

// A family's with the task that its manifest says.
result<std::string> launcher_named(const std::string& name) {
    if (name == "plugin-check" || name == "optest") return name;
    for (const builtin& b : builtin_commands())
        if (b.name == name) return name;
    auto catalog = RLX_TRY(plugin_catalog::open());
    return fmt::format("{}:{}", name, RLX_TRY(catalog->find("family", name)).entry->task);
}

result<manual_entry> entry_named(std::span<const std::string> path) {
    for (const manual_entry& e : whole_program().below)
        if (!e.is_family() && word_of(e) == path[0]) {
            if (path.size() == 1) return e;
            for (const manual_entry& sub : e.below)
                if (path.size() == 2 && word_of(sub) == path[1]) return sub;
            return error{
                RLX_INVALID_ARGUMENT, fmt::format("{} has no subcommand '{}'", path[0], path[1])};
        }
    if (path.size() == 1)
        if (const auto known = launcher_named(path[0])) return launcher(*known);
    return error{
        RLX_INVALID_ARGUMENT,
        fmt::format("no command or family '{}'; 'rlx-run help' lists them", path[0])};
}

result<std::string> formatted(std::span<const std::string> path, std::string_view format) {
    if (path.empty() && format == "text") return top_help();
    if (format == "text" || format == "man") {
        const manual_entry e = path.empty() ? whole_program() : RLX_TRY(entry_named(path));
        return format == "man" ? man_page(e) : help_text(e.program, e.spec);
    }
    manual_entry e = whole_program();
    if (!path.empty()) {
        RLX_TRY(entry_named(path));
        e = launcher(RLX_TRY(launcher_named(path[0])));
    }
    if (format == "bash") return bash_completion(e);
    if (format == "zsh") return zsh_completion(e);
    if (format == "fish") return fish_completion(e);
    return error{
        RLX_INVALID_ARGUMENT,
        fmt::format("--format: '{}' is none of text, man, bash, zsh, fish", format)};
}

// A name goes into shell scripts' word lists, so only names that are nothing but words count.
void add_line(std::string& out, std::string_view name, std::string_view what) {
    constexpr std::string_view letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:+-";
    if (name.empty() || name.find_first_not_of(letters) != std::string_view::npos) return;
    std::string plain(what);
    std::ranges::replace_if(
        plain, [](unsigned char c) { return c < ' ' || c == 127; }, ' '
    );
    out += fmt::format("{}\t{}\n", name, plain);
}

result<std::string> listed(std::string_view what) {
    auto catalog = RLX_TRY(plugin_catalog::open());
    std::string out;
    // "families:TASK": those of one task.
    const std::size_t colon = std::min(what.find(':'), what.size());
    const std::string_view task = what.substr(std::min(colon + 1, what.size()));
    if (what == "commands" || what.substr(0, colon) == "families") {
        std::map<std::string, std::string> named; // a family brings a command of its name
        for (const auto& m : catalog->all("family"))
            if (task.empty() || m.entry->task == task)
                named.emplace(m.entry->name, m.entry->summary);
        if (what == "commands") {
            for (const command& c : registered())
                named.insert_or_assign(c.name, c.description);
            for (const auto& m : catalog->all("command"))
                named.emplace(m.entry->name, m.entry->summary);
        }
        for (const auto& [name, summary] : named)
            add_line(out, name, summary);
    } else if (what == "devices") {
        add_line(out, "auto", "the best device that is there");
        for (const auto& m : catalog->all("backend"))
            add_line(out, m.entry->name, m.entry->summary);
    } else {
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("--list: '{}' is none of commands, families, devices", what)};
    }
    return out;
}

result<void> write_below(const fs::path& file, const std::string& text) {
    std::error_code failed;
    fs::create_directories(file.parent_path(), failed);
    if (failed)
        return error{
            RLX_IO,
            fmt::format("cannot make {}: {}", file.parent_path().string(), failed.message())};
    return write_file(file.string(), text);
}

result<void> write_program(const fs::path& share, const manual_entry& e) {
    const std::string& name = e.program;
    RLX_CHECK(write_below(share / "man/man1" / (name + ".1"), man_page(e)));
    RLX_CHECK(write_below(share / "bash-completion/completions" / name, bash_completion(e)));
    RLX_CHECK(write_below(share / "zsh/site-functions" / ("_" + name), zsh_completion(e)));
    return write_below(share / "fish/vendor_completions.d" / (name + ".fish"), fish_completion(e));
}

result<void> write_all(const fs::path& share, std::span<const std::string> launchers) {
    const manual_entry top = whole_program();
    RLX_CHECK(write_program(share, top));
    for (const manual_entry& e : top.below)
        if (!e.is_family())
            RLX_CHECK(write_below(share / "man/man1" / (page_name(e) + ".1"), man_page(e)));
    for (const std::string& name : launchers)
        RLX_CHECK(write_program(share, launcher(name)));
    return {};
}

result<int> help(const arguments& a) {
    if (a.has("write"))
        RLX_CHECK(write_all(a.text("write"), a.all("launcher")));
    else if (a.has("list"))
        RLX_CHECK(print(RLX_TRY(listed(a.text("list")))));
    else
        RLX_CHECK(print(RLX_TRY(formatted(a.positional(), a.text("format", "text")))));
    return exit_ok;
}

} // namespace

int cmd_help(arg_span args) {
    return run_command(
        "rlx-run help",
        {"help",
         "Explains a command: as text, manual page or completion script.",
         "[command]...",
         {{"Help", own}, general_flags}},
        args,
        help
    );
}

} // namespace rlx::cli
