// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/cli/cli.hpp"

#include "args.hpp"
#include "catalog.hpp"
#include "commands.hpp"
#include "plugin_command.hpp"
#include "version.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>

namespace rlx::cli {

namespace {

constexpr builtin builtins[] = {
    {"auto", "find the family of a checkpoint and run its command", cmd_auto},
    {"run", "generate text", cmd_run},
    {"chat", "talk to a model", cmd_chat},
    {"embed", "turn texts or images into vectors, compare and rank texts", cmd_embed},
    {"check", "say whether a checkpoint can be run", cmd_check},
    {"inspect", "show what a weight file holds; find model files on this machine", cmd_inspect},
    {"plugins", "list plugins, and why a file was refused", cmd_plugins},
    {"devices", "what models can run on, and why the rest cannot", cmd_devices},
    {"env", "list environment variables", cmd_env},
    {"tokenize", "text to token ids", cmd_tokenize},
    {"render", "messages to prompt text", cmd_render},
    {"logits", "logits of every token as an .npy file", cmd_logits},
    {"help", "explain a command; manual pages and shell completion", cmd_help},
};

constexpr family_command by_task[] = {
    {"lm", "generates text with a language model of that family", cmd_family},
    {"encode", "turns text into vectors with an encoder of that family", cmd_embed_family},
    {"encode_image", "turns images into vectors, features and labels", cmd_image_family},
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
            made->commands.push_back({b.name, b.description, b.run, 100, "rlx"});
        return made;
    }();
    return *r;
}

// Every command of that name, the preferred one first; an empty name stands for all. Plugins are
// not loaded.
std::vector<command> commands_of(std::string_view name, plugin_catalog* catalog) {
    std::vector<command> out;
    for (command& c : registered())
        if (name.empty() || c.name == name) out.push_back(std::move(c));
    if (catalog)
        for (const auto& m : catalog->all("command")) {
            if (m.entry->interface != "rlx.cli/1" || (!name.empty() && m.entry->name != name))
                continue;
            const auto run = [catalog, m](arg_span args) {
                return run_plugin_command(*catalog, m, "rlx-run " + m.entry->name, args);
            };
            out.push_back(
                {m.entry->name,
                 m.entry->summary,
                 run,
                 m.entry->priority,
                 fmt::format("plugin {} ({})", m.owner->id, m.owner->library.native())}
            );
        }
    std::ranges::stable_sort(out, [](const command& a, const command& b) {
        return a.name != b.name ? a.name < b.name : a.priority > b.priority;
    });
    return out;
}

bool tied(std::span<const command> found) {
    return found.size() > 1 && found[0].name == found[1].name &&
           found[0].priority == found[1].priority;
}

// nullopt when nothing has that name.
std::optional<int> run_command_of(std::string_view name, plugin_catalog* catalog, arg_span args) {
    const std::vector<command> found = commands_of(name, catalog);
    if (found.empty()) return std::nullopt;
    if (!tied(found) && found[0].run) return found[0].run(args);
    if (!tied(found))
        return report(
            "rlx-run",
            {RLX_INVALID_ARGUMENT,
             fmt::format(
                 "command '{}' of {} was registered without a function", name, found[0].owner
             )}
        );
    return report(
        "rlx-run",
        {RLX_INVALID_ARGUMENT,
         fmt::format(
             "command '{}' is claimed with equal priority {} by {} and {}; remove one or give one "
             "another priority",
             name,
             found[0].priority,
             found[0].owner,
             found[1].owner
         )}
    );
}

std::vector<std::pair<std::string, std::string>> families_of(const plugin_catalog* catalog) {
    std::vector<std::pair<std::string, std::string>> out;
    if (!catalog) return out;
    for (const auto& m : catalog->all("family"))
        out.emplace_back(m.entry->name, m.entry->summary);
    return out;
}

std::string top_help(plugin_catalog* catalog) {
    std::string out = "rlx runs models from local files.\n\nusage: rlx-run [--plugin-dir DIR] "
                      "<command> [arguments]\n\nCommands:\n";
    for (const builtin& b : builtins) // in the order people meet them
        if (const auto found = commands_of(b.name, catalog);
            !tied(found) && found[0].owner == "rlx")
            out += fmt::format("  {:<10} {}\n", b.name, b.description);
    const std::vector<command> all = commands_of({}, catalog);
    for (std::size_t i = 0; i < all.size(); i++) {
        const std::span<const command> rest = std::span(all).subspan(i);
        const bool first = i == 0 || all[i - 1].name != all[i].name;
        if (!first || (all[i].owner == "rlx" && !tied(rest))) continue;
        out += fmt::format(
            "  {:<10} {}\n",
            all[i].name,
            tied(rest) ? fmt::format("claimed by {} and {}", rest[0].owner, rest[1].owner)
                       : all[i].description
        );
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

// Whether a name is of a command that this library did not make.
bool own_help(std::string_view name, plugin_catalog* catalog) {
    const auto found = commands_of(name, catalog);
    return !found.empty() && (tied(found) || found[0].owner != "rlx");
}

int print_all(const std::string& text) {
    auto done = print(text);
    if (done.ok()) done = flush();
    return done.ok() ? exit_ok : report("rlx-run", done.error());
}

int unknown_command(std::string_view name, plugin_catalog* catalog) {
    std::vector<std::string> names;
    for (const command& c : commands_of({}, catalog))
        names.push_back(c.name);
    for (const auto& [family, summary] : families_of(catalog))
        names.push_back(family);
    const std::vector<std::string_view> views(names.begin(), names.end());
    const auto close = nearest(name, views);
    const std::string hint =
        close ? fmt::format("did you mean '{}'?", *close) : "'rlx-run --help' lists the commands";
    std::size_t refused = 0;
    for (const candidate& c : catalog ? catalog->candidates() : std::span<const candidate>())
        refused += c.status == "refused";
    const std::string others =
        refused ? fmt::format("; plugin files refused: {}, see 'rlx-run plugins --why'", refused)
                : "";
    return report(
        "rlx-run",
        {RLX_INVALID_ARGUMENT, fmt::format("unknown command '{}'; {}{}", name, hint, others)}
    );
}

// Takes "--plugin-dir DIR" and "--plugin-dir=DIR" off the front.
result<std::vector<std::string>> leading_plugin_dirs(std::span<const std::string>& args) {
    constexpr std::string_view flag = "--plugin-dir";
    std::vector<std::string> dirs;
    while (!args.empty() && args[0].starts_with(flag)) {
        const std::string_view rest = std::string_view(args[0]).substr(flag.size());
        if (!rest.empty() && rest[0] != '=') break;
        if (rest.empty() && args.size() < 2)
            return error{RLX_INVALID_ARGUMENT, "--plugin-dir: a folder is missing"};
        dirs.emplace_back(rest.empty() ? std::string_view(args[1]) : rest.substr(1));
        args = args.subspan(rest.empty() ? 2 : 1);
    }
    return dirs;
}

// Built-in commands find plugins by their own flags.
std::vector<std::string> with_dirs(arg_span args, const std::vector<std::string>& dirs) {
    std::vector<std::string> out;
    for (const std::string& dir : dirs)
        out.insert(out.end(), {"--plugin-dir", dir});
    out.insert(out.end(), args.begin(), args.end());
    return out;
}

} // namespace

std::span<const builtin> builtin_commands() {
    return builtins;
}

std::span<const family_command> family_commands() {
    return by_task;
}

int run_family(
    std::string_view family, std::string_view task, std::string_view program, arg_span args
) {
    for (const family_command& c : by_task)
        if (c.task == task) return c.run(family, program, args);
    return report(
        program,
        {RLX_UNSUPPORTED,
         fmt::format("family '{}' is for task '{}', which no command here does", family, task)}
    );
}

std::string top_help() {
    auto catalog = plugin_catalog::open();
    return top_help(catalog.ok() ? catalog->get() : nullptr);
}

void register_cli(
    std::string name, std::string description, command_fn run, std::int64_t priority
) {
    registry& r = the_registry();
    const std::lock_guard lock(r.mutex);
    std::string owner = fmt::format("this process ('{}')", description);
    r.commands.push_back(
        {std::move(name), std::move(description), std::move(run), priority, std::move(owner)}
    );
    std::ranges::stable_sort(r.commands, {}, &command::name);
}

std::vector<command> registered() {
    registry& r = the_registry();
    const std::lock_guard lock(r.mutex);
    return r.commands;
}

int dispatch(std::span<const std::string> args) {
    if (!args.empty() && args[0] == "--version") return print_all(version_text());
    const auto dirs = leading_plugin_dirs(args);
    if (!dirs) return report("rlx-run", dirs.error());
    search_options where;
    where.plugin_dirs.assign(dirs->begin(), dirs->end());
    const shared_catalog shared(where);
    auto& catalog = shared.opened();
    if (!catalog && !dirs->empty()) return report("rlx-run", catalog.error());
    plugin_catalog* known = catalog.ok() ? catalog->get() : nullptr;
    if (args.empty() || args[0] == "--help" || args[0] == "-h") {
        const int code = print_all(top_help(known));
        return args.empty() && code == exit_ok ? exit_usage : code;
    }
    // "help wordcount" is "wordcount --help" for commands whose flags only they know.
    if (args[0] == "help" && args.size() == 2 && own_help(args[1], known)) {
        const std::string asked[] = {"--help"};
        if (auto code = run_command_of(args[1], known, asked)) return *code;
    }
    const arg_span rest = args.subspan(1);
    const std::vector<std::string> own = with_dirs(rest, *dirs);
    const bool outside = own_help(args[0], known);
    if (auto code = run_command_of(args[0], known, outside ? rest : arg_span(own))) return *code;
    if (known)
        for (const auto& m : known->all("family"))
            if (m.entry->name == args[0])
                return run_family(args[0], m.entry->task, "rlx-run " + args[0], own);
    return unknown_command(args[0], known);
}

} // namespace rlx::cli

extern "C" int rlx_cli_main(int argc, char** argv) {
    rlx::cli::open_missing_streams();
    const rlx::cli::plugin_watch watch;
    const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
    return rlx::cli::dispatch(args);
}

extern "C" int rlx_cli_main_as(const char* command, int argc, char** argv) {
    using namespace rlx::cli;
    open_missing_streams();
    const plugin_watch watch;
    const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
    if (args.size() == 1 && args[0] == "--version") return dispatch(args);
    for (const builtin& b : builtin_commands())
        if (std::string_view(b.name) == command) return b.run(args);
    // "bert:encode": a family and its task.
    const std::string_view whole = command;
    const std::string_view family = whole.substr(0, whole.find(':'));
    const std::string_view task =
        family.size() < whole.size() ? whole.substr(family.size() + 1) : std::string_view("lm");
    return run_family(family, task, fmt::format("rlx-{}", family), args);
}
