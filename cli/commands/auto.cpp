// SPDX-License-Identifier: GPL-3.0-only
// rlx-run auto: finds the family of a checkpoint, then is that family's command.
#include "../catalog.hpp"
#include "../lm.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace rlx::cli {
namespace {

constexpr std::string_view program = "rlx-run auto";

const flag* find_flag(const flag_group& group, std::string_view given) {
    const bool whole = given.starts_with("--");
    const std::string_view name = given.substr(0, given.find('=')).substr(whole ? 2 : 1);
    for (const flag& f : group.flags)
        if (whole ? f.name == name : f.letter && given[1] == f.letter) return &f;
    return nullptr;
}

// Which command reads the arguments depends on the checkpoint, so that one is looked for first,
// among the flags of all commands that a family can have.
struct auto_arguments {
    std::vector<std::string> common, rest; // flags that every command has, and the others
    std::vector<std::string> positional;
    bool weights = false, prompt = false;

    explicit auto_arguments(arg_span args) {
        for (const family_command& c : family_commands())
            for (flag_group& g : describe_family("auto", c.task).spec.groups)
                groups_.push_back(g);
        for (std::size_t i = 0; i < args.size();)
            i += take(args.subspan(i));
    }

private:
    // One argument and the value behind it; how many those are.
    std::size_t take(arg_span args) {
        const std::string& given = args[0];
        if (given.size() < 2 || given[0] != '-') {
            positional.push_back(given);
            return 1;
        }
        const flag* found = nullptr;
        bool every = false;
        for (const flag_group& g : groups_) {
            found = find_flag(g, given);
            every = g.flags.data() == weights_flags.flags.data() ||
                    g.flags.data() == plugin_flags.flags.data() ||
                    g.flags.data() == general_flags.flags.data();
            if (found) break;
        }
        const bool attached =
            given.find('=') != given.npos || (given[1] != '-' && given.size() > 2);
        const bool next = found && found->kind != flag_kind::toggle && !attached && args.size() > 1;
        weights = weights || (found && found->name == "weights");
        prompt = prompt || (found && found->name == "prompt");
        const arg_span taken = args.first(next ? 2 : 1);
        auto& to = found && every ? common : rest;
        to.insert(to.end(), taken.begin(), taken.end());
        return taken.size();
    }

    std::vector<flag_group> groups_;
};

command_spec auto_spec() {
    command_spec spec = describe_family("auto", "lm").spec;
    spec.summary = "Finds the family of a checkpoint and is that family's command.";
    spec.positional = "<weights>";
    spec.notes = "The flags above are those of language models. For an encoder of text they are "
                 "those of\n'rlx-embed', for one of images those of 'rlx-run vision'; files to "
                 "read stand behind the\nweights.";
    return spec;
}

} // namespace

int cmd_auto(arg_span args) {
    auto_arguments given(args);
    std::span<const std::string> files = given.positional;
    if (!given.weights && !files.empty()) {
        given.common.insert(given.common.end(), {"--weights", files[0]});
        files = files.subspan(1);
    }
    return run_command(program, auto_spec(), given.common, [&](const arguments& a) -> result<int> {
        const shared_catalog shared(search_of(a)); // the family's command looks there, too
        auto catalog = RLX_TRY(open_catalog(a));
        const weights_choice choice = RLX_TRY(weights_of(a));
        auto w = RLX_TRY(weights::open(choice.path, with_plugins(choice.options, *catalog)));
        const auto match = RLX_TRY(find_family_of(*catalog, *w));
        const provided& family = *match.entry;
        if (given.prompt && family.task != "lm")
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "{}: family '{}' is an encoder, which generates no text, so --prompt has no "
                    "use; {}",
                    w->path().string(),
                    family.name,
                    family.task == "encode" ? "--text TEXT gives the vector of a text"
                                            : "name image files behind the weights"
                )};
        if (!a.has("quiet"))
            say("{}: architecture {}, family {} ({})\n",
                w->path().string(),
                w->architecture(),
                family.name,
                match.owner->id);
        std::vector<std::string> all = given.common;
        all.insert(all.end(), given.rest.begin(), given.rest.end());
        all.insert(all.end(), files.begin(), files.end());
        return run_family(family.name, family.task, program, all);
    });
}

} // namespace rlx::cli
