// SPDX-License-Identifier: GPL-3.0-only
// Manual pages: man(7) macros only, so that every man program shows them.
#include "exit_code.hpp"
#include "manual.hpp"

#include "rlx/base/environment.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace rlx::cli {

namespace {

// Plain text as roff: no line is taken for a request, and what people copy is ASCII.
std::string roff(std::string_view text) {
    std::string out;
    bool line_begins = true;
    for (char c : text) {
        if (line_begins && (c == '.' || c == '\'')) out += "\\&";
        line_begins = c == '\n';
        switch (c) {
        case '\\': out += "\\(rs"; break;
        case '-': out += "\\-"; break;
        case '\'': out += "\\(aq"; break;
        case '`': out += "\\(ga"; break;
        case '^': out += "\\(ha"; break;
        case '~': out += "\\(ti"; break;
        case '"': out += "\\(dq"; break;
        default: out += c;
        }
    }
    return out;
}

std::string bold(std::string_view text) {
    return fmt::format("\\fB{}\\fR", roff(text));
}

std::string italic(std::string_view text) {
    return fmt::format("\\fI{}\\fR", roff(text));
}

std::string upper(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) {
        return static_cast<char>(std::toupper(c));
    });
    return out;
}

// A choice is typed as it stands, anything else is a placeholder.
std::string value_of(const flag& f) {
    return completion_of(f) == completion::words ? bold(f.value) : italic(f.value);
}

std::string flag_text(const flag& f, const flag_group& group) {
    std::string out = ".TP\n";
    if (f.letter) out += bold(fmt::format("-{}", f.letter)) + ", ";
    out += bold(fmt::format("--{}", f.name));
    for (const flag& a : group.flags)
        if (a.alias_of == f.name) out += ", " + bold(fmt::format("--{}", a.name));
    if (!f.value.empty()) out += " " + value_of(f);
    out += "\n" + roff(f.help) + ".\n";
    if (!f.fallback.empty()) out += fmt::format("Default: {}.\n", roff(f.fallback));
    return out;
}

std::string flags_text(const command_spec& spec, bool with_general) {
    std::string out;
    for (const flag_group& g : spec.groups) {
        if (!with_general && g.title == general_flags.title) continue;
        out += fmt::format(".SS {}\n", roff(g.title));
        for (const flag& f : g.flags)
            if (f.alias_of.empty()) out += flag_text(f, g);
    }
    return out;
}

std::string synopsis(const manual_entry& e) {
    std::string out = bold(e.program);
    if (!e.spec.positional.empty()) out += " " + italic(e.spec.positional);
    if (!e.spec.groups.empty()) out += " [" + italic("flags") + "]";
    return out + "\n";
}

// Commands of a program with their one line, each with a page of its own.
std::string commands_text(const manual_entry& e) {
    std::string out = ".SH COMMANDS\n";
    for (const manual_entry& b : e.below) {
        const std::string page = b.is_family() ? "rlx\\-<family>" : bold(page_name(b));
        out += fmt::format(
            ".TP\n{}\n{}\nSee {}(1).\n",
            b.is_family() ? italic("family") : bold(word_of(b)),
            roff(b.spec.summary),
            page
        );
    }
    return out + ".PP\nPlugins bring families and may bring commands; \\fBrlx\\-run help\\fR lists "
                 "those of this machine.\n";
}

std::string subcommands_text(const manual_entry& e) {
    std::string out;
    for (const manual_entry& b : e.below) {
        out += fmt::format(".SH {}\n{}.PP\n", roff(upper(word_of(b))), synopsis(b));
        out += roff(b.spec.summary) + "\n" + flags_text(b.spec, false);
    }
    return out;
}

std::string exit_text() {
    std::string out = ".SH EXIT STATUS\n";
    for (const exit_meaning& e : exit_meanings)
        out += fmt::format(".TP\n{}\n{}.\n", bold(e.codes), roff(e.meaning));
    return out;
}

std::string environment_text() {
    std::string out = ".SH ENVIRONMENT\n";
    for (const env_var& v : env_vars) {
        out += fmt::format(".TP\n{}\n{}.\n", bold(v.name), roff(v.doc));
        if (!v.fallback.empty()) out += fmt::format("Default: {}.\n", roff(v.fallback));
    }
    return out;
}

constexpr std::string_view files_text = R"(.SH FILES
.TP
\fI$XDG_DATA_HOME/rlx/plugins\fR
Plugins of the user.
\fBrlx\-run plugins \-\-why\fR
prints every directory that is searched.
.TP
\fI$XDG_CACHE_HOME/rlx\fR
The index of plugins, and models that were fetched.
)";

} // namespace

std::string_view word_of(const manual_entry& e) {
    return std::string_view(e.program).substr(e.program.rfind(' ') + 1);
}

std::string page_name(const manual_entry& e) {
    std::string out = e.program;
    std::ranges::replace(out, ' ', '-');
    return out;
}

std::string man_page(const manual_entry& e) {
    const bool top = e.program == "rlx-run";
    std::string out = ".\\\" made from the flag table of rlx-run\n";
    out += fmt::format(
        ".TH {} 1 \"\" \"rlx {}\" \"User Commands\"\n", upper(roff(page_name(e))), RLX_VERSION
    );
    std::string brief = e.spec.summary.substr(0, e.spec.summary.find_first_of(";:"));
    if (brief.ends_with('.')) brief.pop_back();
    if (!brief.empty()) brief[0] = static_cast<char>(std::tolower(brief[0]));
    out += fmt::format(".SH NAME\n{} \\- {}\n", roff(page_name(e)), roff(brief));
    out += ".SH SYNOPSIS\n" + synopsis(e);
    for (const manual_entry& b : e.below)
        if (!top) out += ".br\n" + synopsis(b);
    out += fmt::format(".SH DESCRIPTION\n{}\n", roff(e.spec.summary));
    if (!e.spec.notes.empty()) out += fmt::format(".PP\n{}\n", roff(e.spec.notes));
    if (top) out += commands_text(e);
    out += ".SH OPTIONS\n" + flags_text(e.spec, true);
    if (!top) out += subcommands_text(e);
    out += exit_text();
    if (top) out += environment_text() + std::string(files_text);
    out += ".SH SEE ALSO\n" +
           (top ? std::string("\\fBrlx\\-run\\-run\\fR(1), \\fBrlx\\-run\\-help\\fR(1)")
                : std::string("\\fBrlx\\-run\\fR(1)"));
    return out + "\n";
}

} // namespace rlx::cli
