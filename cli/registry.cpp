// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/cli/cli.hpp"

#include "args.hpp"
#include "catalog.hpp"
#include "commands.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>

namespace rlx::cli {

namespace {

constexpr builtin builtins[] = {
    {"auto", "find the family of a checkpoint and run its command", cmd_auto},
    {"run", "generate text", cmd_run},
    {"chat", "talk to a model", cmd_chat},
    {"check", "say whether a checkpoint can be run", cmd_check},
    {"inspect", "show what a weight file holds; find model files on this machine", cmd_inspect},
    {"plugins", "list plugins, and why a file was refused", cmd_plugins},
    {"env", "list environment variables", cmd_env},
    {"tokenize", "text to token ids", cmd_tokenize},
    {"render", "messages to prompt text", cmd_render},
    {"logits", "logits of every token as an .npy file", cmd_logits},
    {"help", "explain a command; manual pages and shell completion", cmd_help},
};

struct registry {
    std::mutex mutex;
    std::vector<command> commands;
};

// Leaked on purpose: commands may run while static objects are destroyed.
registry& the_registry() {
    static registry* r = [] {
        auto* made = new registry;
        for (const builtin& b : builtins)
            made->commands.push_back({b.name, b.description, b.run});
        return made;
    }();
    return *r;
}

std::optional<command> copy_of(std::string_view name) {
    registry& r = the_registry();
    const std::lock_guard lock(r.mutex);
    for (const command& c : r.commands)
        if (c.name == name) return c;
    return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> families_of(const plugin_catalog* catalog) {
    std::vector<std::pair<std::string, std::string>> out;
    if (!catalog) return out;
    for (const auto& m : catalog->all("family"))
        out.emplace_back(m.entry->name, m.entry->summary);
    return out;
}

std::string top_help(const plugin_catalog* catalog) {
    std::string out =
        "rlx runs models from local files.\n\nusage: rlx-run <command> [arguments]\n\nCommands:\n";
    for (const builtin& b : builtins)
        out += fmt::format("  {:<10} {}\n", b.name, b.description);
    for (const command& c : registered()) {
        bool own = true;
        for (const builtin& b : builtins)
            own &= c.name != b.name;
        if (own) out += fmt::format("  {:<10} {}\n", c.name, c.description);
    }
    out += "\nFamilies (rlx-run <family> ... is the same as rlx-<family> ...):\n";
    for (const auto& [name, summary] : families_of(catalog))
        out += fmt::format("  {:<10} {}\n", name, summary);
    out +=
        "\n'rlx-run <command> --help' explains a command; 'rlx-run --version' prints the version.\n"
        "Exit codes:";
    for (const exit_meaning& e : exit_meanings)
        out += fmt::format("{} {} {}", &e == exit_meanings ? "" : ",", e.codes, e.meaning);
    return out + ".\n";
}

int print_all(const std::string& text) {
    auto done = print(text);
    if (done.ok()) done = flush();
    return done.ok() ? exit_ok : report("rlx-run", done.error());
}

int unknown_command(std::string_view name, const plugin_catalog* catalog) {
    std::vector<std::string> names;
    for (const command& c : registered())
        names.push_back(c.name);
    for (const auto& [family, summary] : families_of(catalog))
        names.push_back(family);
    const std::vector<std::string_view> views(names.begin(), names.end());
    const auto close = nearest(name, views);
    const std::string hint =
        close ? fmt::format("did you mean '{}'?", *close) : "'rlx-run --help' lists the commands";
    return report(
        "rlx-run", {RLX_INVALID_ARGUMENT, fmt::format("unknown command '{}'; {}", name, hint)}
    );
}

} // namespace

std::span<const builtin> builtin_commands() {
    return builtins;
}

std::string top_help() {
    auto catalog = plugin_catalog::open();
    return top_help(catalog.ok() ? catalog->get() : nullptr);
}

void register_cli(std::string name, std::string description, command_fn run) {
    registry& r = the_registry();
    const std::lock_guard lock(r.mutex);
    std::erase_if(r.commands, [&](const command& c) { return c.name == name; });
    r.commands.push_back({std::move(name), std::move(description), std::move(run)});
    std::ranges::sort(r.commands, {}, &command::name);
}

std::vector<command> registered() {
    registry& r = the_registry();
    const std::lock_guard lock(r.mutex);
    return r.commands;
}

std::optional<int> run_registered(std::string_view name, std::span<const std::string> args) {
    const std::optional<command> found = copy_of(name);
    if (!found) return std::nullopt;
    return found->run(args);
}

int dispatch(std::span<const std::string> args) {
    if (!args.empty() && args[0] == "--version") return print_all(version_text());
    const bool help = args.empty() || args[0] == "--help" || args[0] == "-h";
    if (!help) {
        if (auto code = run_registered(args[0], args.subspan(1))) return *code;
    }
    auto catalog = plugin_catalog::open();
    const plugin_catalog* known = catalog.ok() ? catalog->get() : nullptr;
    if (help) {
        const int code = print_all(top_help(known));
        return args.empty() && code == exit_ok ? exit_usage : code;
    }
    for (const auto& [family, summary] : families_of(known))
        if (family == args[0]) return cmd_family(family, "rlx-run " + family, args.subspan(1));
    return unknown_command(args[0], known);
}

} // namespace rlx::cli

extern "C" int rlx_cli_main(int argc, char** argv) {
    const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
    return rlx::cli::dispatch(args);
}

extern "C" int rlx_cli_main_as(const char* command, int argc, char** argv) {
    using namespace rlx::cli;
    const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
    if (args.size() == 1 && args[0] == "--version") return dispatch(args);
    if (auto code = run_registered(command, args)) return *code;
    return cmd_family(command, std::string("rlx-") + command, args);
}
