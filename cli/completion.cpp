// SPDX-License-Identifier: GPL-3.0-only
// Completion scripts for bash, zsh and fish.
#include "manual.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace rlx::cli {

namespace {

std::string identifier(std::string_view name) {
    std::string out = "_";
    for (char c : name)
        out += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    return out;
}

std::string words_of(const flag& f) {
    std::string out(f.value);
    std::ranges::replace(out, '|', ' ');
    return out;
}

bool takes_commands(const command_spec& spec) {
    return spec.positional.starts_with("<command") || spec.positional.starts_with("[command");
}

// A positional argument is a path, unless it is a command, a question or only "-".
bool takes_files(const command_spec& spec) {
    return spec.positional.find("path") != std::string::npos ||
           spec.positional.find("weights") != std::string::npos ||
           spec.positional.find(".so") != std::string::npos;
}

template <class Each>
void for_each_flag(const command_spec& spec, Each&& each) {
    for (const flag_group& g : spec.groups)
        for (const flag& f : g.flags)
            each(f);
}

// ---- bash ------------------------------------------------------------------------------------

std::string bash_action(const flag& f) {
    switch (completion_of(f)) {
    case completion::file: return "files=-f";
    case completion::directory: return "files=-d";
    case completion::device: return "words=$(_rlx_list devices)";
    case completion::words: return fmt::format("words='{}'", words_of(f));
    default: return "return";
    }
}

// The branch of one command: its flags, and what follows a flag that takes a value.
std::string bash_branch(const manual_entry& e, const std::string& pattern) {
    std::string flags, values, sub;
    for_each_flag(e.spec, [&](const flag& f) {
        flags += fmt::format(" --{}", f.name);
        std::string names = fmt::format("--{}", f.name);
        if (f.letter)
            flags += fmt::format(" -{}", f.letter), names += fmt::format("|-{}", f.letter);
        if (completion_of(f) != completion::none)
            values += fmt::format("                {}) {} ;;\n", names, bash_action(f));
    });
    for (const subcommand& s : e.spec.subcommands)
        sub += s.name + " ";
    std::string rest = fmt::format("words='{}'", sub);
    if (takes_commands(e.spec))
        rest = "words=$(_rlx_list commands)";
    else if (takes_files(e.spec))
        rest += " files=-f";
    else if (sub.empty())
        rest = "words=$flags";
    return fmt::format(
        "        {})\n            flags='{}'\n            case $prev in\n{}                *) "
        "[[ $cur == -* ]] && words=$flags || {{ {}; }} ;;\n            esac ;;\n",
        pattern,
        flags.substr(std::min<std::size_t>(1, flags.size())),
        values,
        rest
    );
}

// Branches of an entry and everything below it; path is the words that lead to it.
std::string bash_branches(const manual_entry& e, const std::string& path) {
    std::string out = bash_branch(e, fmt::format("'{}'", path));
    for (const manual_entry& b : e.below)
        if (!b.is_family())
            out += bash_branches(b, path + (path.empty() ? "" : " ") + std::string(word_of(b)));
    for (const manual_entry& b : e.below)
        if (b.is_family()) out += bash_branch(b, fmt::format("' {}'", b.task));
    return out;
}

// Shell code that takes rlx-run's own flag with a value off the line, where a command follows.
constexpr std::string_view bash_own_flags =
    "    while ((COMP_CWORD > 2)) && [[ ${COMP_WORDS[1]} == --plugin-dir ]]; do\n"
    "        local own=2\n"
    "        [[ ${COMP_WORDS[2]} == '=' ]] && own=3\n"
    "        ((COMP_CWORD > own)) || break\n"
    "        COMP_WORDS=(\"${COMP_WORDS[0]}\" \"${COMP_WORDS[@]:own + 1}\")\n"
    "        ((COMP_CWORD -= own))\n"
    "    done\n";
constexpr std::string_view zsh_own_flags =
    "    while ((CURRENT > 2)); do\n"
    "        if [[ $words[2] == --plugin-dir ]] && ((CURRENT > 3)); then\n"
    "            words[2,3]=()\n"
    "            ((CURRENT -= 2))\n"
    "        elif [[ $words[2] == --plugin-dir=* ]]; then\n"
    "            words[2]=()\n"
    "            ((CURRENT--))\n"
    "        else\n"
    "            break\n"
    "        fi\n"
    "    done\n";

// Shell code that makes $path of the words before the cursor.
std::string bash_path(const manual_entry& e) {
    std::string out, families;
    for (const manual_entry& b : e.below) {
        std::string nested;
        for (const manual_entry& c : b.below)
            nested += (nested.empty() ? "" : "|") + std::string(word_of(c));
        if (b.is_family())
            families += fmt::format(
                "            [[ $'\\n'$(_rlx_list families:{0})$'\\n' == "
                "*$'\\n'${{COMP_WORDS[1]}}$'\\n'* ]] && path=' {0}'\n",
                b.task
            );
        else if (nested.empty())
            out += fmt::format("        {0}) path={0} ;;\n", word_of(b));
        else
            out += fmt::format(
                "        {0})\n            path={0}\n            ((COMP_CWORD > 2)) && case "
                "${{COMP_WORDS[2]}} in {1}) path+=\" ${{COMP_WORDS[2]}}\" ;; esac ;;\n",
                word_of(b),
                nested
            );
    }
    if (out.empty()) return out;
    if (!families.empty())
        out += "        *)\n            path='?'\n" + families +
               "            [[ $path == '?' ]] && files=-f ;;\n";
    return "    ((COMP_CWORD > 1)) && case ${COMP_WORDS[1]} in\n        -*) ;;\n" + out +
           "    esac\n";
}

// ---- zsh -------------------------------------------------------------------------------------

std::string zsh_quoted(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '\'')
            out += "'\\''";
        else if (c == '[' || c == ']' || c == ':' || c == '\\')
            out += std::string("\\") + c;
        else
            out += c;
    }
    return out;
}

std::string zsh_action(const flag& f) {
    switch (completion_of(f)) {
    case completion::file: return "_files";
    case completion::directory: return "_files -/";
    case completion::device: return " _rlx_list devices"; // a leading space: called as it stands
    case completion::words: return fmt::format("({})", words_of(f));
    default: return " ";
    }
}

std::string zsh_flag(const flag& f) {
    std::string value, name = fmt::format("--{}", f.name);
    const bool takes = completion_of(f) != completion::none;
    if (takes) value = fmt::format(":{}:{}", zsh_quoted(f.value), zsh_action(f));
    const std::string tail = fmt::format("[{}]{}", zsh_quoted(f.help), value);
    // A flag that may be repeated is offered again.
    const bool many = f.help.find("may be repeated") != std::string_view::npos;
    if (!f.letter) return fmt::format("'{}{}{}{}'", many ? "*" : "", name, takes ? "=" : "", tail);
    return fmt::format(
        "'{4}'{{-{0}{1},{2}{3}}}'{5}'",
        f.letter,
        takes ? "+" : "",
        name,
        takes ? "=" : "",
        many ? "*" : fmt::format("(-{} {})", f.letter, name),
        tail
    );
}

std::string zsh_arguments(const manual_entry& e, std::string_view indent) {
    std::string out = fmt::format("{}_arguments -s", indent), sub;
    for_each_flag(e.spec, [&](const flag& f) {
        out += fmt::format(" \\\n{}    {}", indent, zsh_flag(f));
    });
    for (const subcommand& s : e.spec.subcommands)
        sub += " " + s.name;
    std::string rest;
    if (takes_commands(e.spec)) rest = " _rlx_list commands";
    if (takes_files(e.spec)) rest = "_files";
    if (!sub.empty())
        rest = fmt::format("{{ compadd -- {}; {}; }}", sub, rest.empty() ? ":" : rest);
    if (!rest.empty()) out += fmt::format(" \\\n{}    '*:argument:{}'", indent, rest);
    return out + "\n";
}

// The call for an entry; a word that leads below it is taken off the line first.
std::string zsh_body(const manual_entry& e, const std::string& indent) {
    if (e.below.empty()) return zsh_arguments(e, indent);
    std::string out = indent + "if ((CURRENT > 2)) && [[ $words[2] != -* ]]; then\n" + indent +
                      "    case $words[2] in\n";
    const std::string inner = indent + "        ", shift = "shift words; ((CURRENT--))\n";
    std::string families;
    for (const manual_entry& b : e.below) {
        if (b.is_family())
            families += fmt::format(
                "{0}if (($(command rlx-run help --list families:{1} 2>/dev/null | cut -f1 | "
                "grep -cFx -- $words[2]))); then\n{0}    {2}{3}{0}    return\n{0}fi\n",
                inner,
                b.task,
                shift,
                zsh_body(b, inner + "    ")
            );
        else
            out += fmt::format("{}    {})\n{}{}", indent, word_of(b), inner, shift) +
                   zsh_body(b, inner) + inner + "return ;;\n";
    }
    if (!families.empty())
        out += indent + "    *)\n" + families + inner + "_files\n" + inner + "return ;;\n";
    return out + indent + "    esac\n" + indent + "fi\n" + zsh_arguments(e, indent);
}

// ---- fish ------------------------------------------------------------------------------------

std::string fish_quoted(std::string_view text) {
    std::string out = "'";
    for (char c : text) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

std::string fish_action(const flag& f) {
    switch (completion_of(f)) {
    case completion::none: return "";
    case completion::file: return " -rF";
    case completion::directory: return " -xa '(__fish_complete_directories)'";
    case completion::device: return " -xa '(__rlx_list devices)'";
    case completion::words: return fmt::format(" -xa '{}'", words_of(f));
    case completion::free: break;
    }
    return " -x";
}

std::string fish_entry(const std::string& head, const manual_entry& e) {
    std::string out;
    for_each_flag(e.spec, [&](const flag& f) {
        out += fmt::format(
            "{} -l {}{}{} -d {}\n",
            head,
            f.name,
            f.letter ? fmt::format(" -s {}", f.letter) : "",
            fish_action(f),
            fish_quoted(f.help)
        );
    });
    for (const subcommand& s : e.spec.subcommands)
        out += fmt::format("{} -a {} -d {}\n", head, s.name, fish_quoted(s.summary));
    if (takes_commands(e.spec)) out += head + " -a '(__rlx_list commands)'\n";
    if (takes_files(e.spec)) out += head + " -F\n";
    return out;
}

std::string
fish_entries(const manual_entry& e, const std::string& program, const std::string& path) {
    const std::string function = "_" + identifier(program);
    std::string condition = fmt::format("{}_in{}", function, path), below, siblings;
    for (const manual_entry& b : e.below) {
        if (b.is_family()) continue;
        const std::string deeper = fmt::format("{} {}", path, word_of(b));
        condition += fmt::format("; and not {}_in{}", function, deeper);
        siblings += fmt::format("; and not {}_in{}", function, deeper);
        below += fish_entries(b, program, deeper);
    }
    const std::string head = fmt::format("complete -c {} -n ", program);
    for (const manual_entry& b : e.below) {
        if (!b.is_family()) continue;
        const std::string other = fmt::format("{}_past{}", function, siblings);
        below += fish_entry(head + fish_quoted(other + "; and __rlx_family " + b.task), b);
    }
    if (std::ranges::any_of(e.below, &manual_entry::is_family))
        condition += fmt::format("; and not {}_past", function);
    return fish_entry(head + fish_quoted(condition), e) + below;
}

} // namespace

std::string bash_completion(const manual_entry& program) {
    const std::string function = identifier(program.program);
    std::string out = fmt::format(
        "# bash completion of {}, made by 'rlx-run help --format bash'\n"
        "_rlx_list() {{ # what the plugins here offer\n"
        "    command rlx-run help --list \"$1\" 2>/dev/null | cut -f1\n"
        "}}\n"
        "{}() {{\n"
        "{}"
        "    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}}\n"
        "    local path='' flags='' words='' files=''\n"
        "    COMPREPLY=()\n"
        "    # --flag=value arrives as three words.\n"
        "    if [[ $cur == '=' ]]; then\n"
        "        cur=''\n"
        "    elif [[ $prev == '=' ]]; then\n"
        "        prev=${{COMP_WORDS[COMP_CWORD - 2]}}\n"
        "    fi\n",
        program.program,
        function,
        program.below.empty() ? "" : bash_own_flags
    );
    out += bash_path(program) + "    case $path in\n" + bash_branches(program, "") + "    esac\n";
    out += "    [[ $files ]] && compopt -o filenames 2>/dev/null\n"
           "    mapfile -t COMPREPLY < <(\n"
           "        [[ $words ]] && compgen -W \"$words\" -- \"$cur\"\n"
           "        [[ $files ]] && compgen \"$files\" -- \"$cur\"\n"
           "    )\n}\n";
    return out + fmt::format("complete -F {} {}\n", function, program.program);
}

std::string zsh_completion(const manual_entry& program) {
    const std::string function = identifier(program.program);
    return fmt::format(
               "#compdef {0}\n# zsh completion of {0}, made by 'rlx-run help --format zsh'\n"
               "_rlx_list() {{ # what the plugins here offer\n"
               "    local -a lines\n"
               "    lines=(${{(f)\"$(command rlx-run help --list $1 2>/dev/null)\"}})\n"
               "    lines=(${{lines//:/\\\\:}})\n"
               "    lines=(${{lines//$'\\t'/:}})\n"
               "    _describe $1 lines\n"
               "}}\n{1}() {{\n    local curcontext=$curcontext\n",
               program.program,
               function
           ) +
           std::string(program.below.empty() ? "" : zsh_own_flags) + zsh_body(program, "    ") +
           fmt::format("}}\n{} \"$@\"\n", function);
}

std::string fish_completion(const manual_entry& program) {
    const std::string function = "_" + identifier(program.program);
    return fmt::format(
               "# fish completion of {0}, made by 'rlx-run help --format fish'\n"
               "function __rlx_list # what the plugins here offer\n"
               "    command rlx-run help --list $argv[1] 2>/dev/null\n"
               "end\n"
               "function __rlx_words # the line without rlx-run's own flag with a value\n"
               "    set -l words (commandline -opc)\n"
               "    while set -q words[2]; and test $words[2] = --plugin-dir\n"
               "        set -e words[2]\n"
               "        set -q words[2]; and set -e words[2]\n"
               "    end\n"
               "    printf '%s\\n' $words\n"
               "end\n"
               "function __rlx_family # a family of this task was given\n"
               "    contains -- (__rlx_words)[2] (__rlx_list families:$argv[1] | cut -f1)\n"
               "end\n"
               "function {1}_in # the line goes through these words\n"
               "    set -l words (__rlx_words)[2..-1]\n"
               "    set -l n (count $argv)\n"
               "    test $n -eq 0; or test \"$words[1..$n]\" = \"$argv\"\n"
               "end\n"
               "function {1}_past # a command was given\n"
               "    test (count (__rlx_words)) -gt 1\n"
               "end\n"
               "complete -c {0} -f\n",
               program.program,
               function
           ) +
           fish_entries(program, program.program, "");
}

} // namespace rlx::cli
