// SPDX-License-Identifier: GPL-3.0-only
// rlx-run chat: a conversation. Answers go to stdout, the rest to stderr, so it works from a pipe
// too.
#include "../catalog.hpp"
#include "../line_editor.hpp"
#include "../lm.hpp"

#include "rlx/base/environment.hpp"

#include <fmt/format.h>

namespace rlx::cli {

namespace {

constexpr flag own[] = {
    {"system", 0, flag_kind::text, "TEXT", "", "system message"},
    {"template-vars",
     0,
     flag_kind::text,
     "JSON",
     "",
     "object of extra variables for the chat template"},
    {"no-think",
     0,
     flag_kind::toggle,
     "",
     "",
     "same as --template-vars '{\"enable_thinking\": false}'"},
    {"no-history", 0, flag_kind::toggle, "", "", "do not keep the lines typed for the next time"},
};

constexpr std::string_view help =
    "  /help            this help\n"
    "  /new             forget the conversation\n"
    "  /system TEXT     set the system message and start anew\n"
    "  /retry           answer the last message again, with another seed\n"
    "  /undo            take back the last message and its answer\n"
    "  /history         print the conversation\n"
    "  /save FILE       write the conversation as messages JSON\n"
    "  /stats           timing of the last answer\n"
    "  /exit            leave (also Ctrl-D)\n"
    "  A line that ends in \\ goes on in the next; \"\"\" begins and ends a block of lines.\n"
    "  Ctrl-C stops an answer, not the program.\n";

std::filesystem::path history_file() {
    if (auto dir = env_path("XDG_STATE_HOME")) return *dir / "rlx" / "chat_history";
    if (auto dir = env_path("HOME")) return *dir / ".local/state/rlx/chat_history";
    return {};
}

class conversation {
public:
    conversation(
        lm_runner& runner,
        generate_options options,
        render_options rendering,
        std::string system,
        bool quiet
    )
        : runner_(runner), options_(std::move(options)), rendering_(std::move(rendering)),
          system_(std::move(system)), quiet_(quiet) {
        reset();
    }

    void reset() {
        messages_ = json::array();
        if (!system_.empty()) messages_.push_back({{"role", "system"}, {"content", system_}});
    }

    void set_system(std::string text) {
        system_ = std::move(text);
        reset();
    }

    // Removes everything from the last user message on and returns that message.
    std::string undo() {
        while (!messages_.empty() && messages_.back()["role"] != "system") {
            const json last = messages_.back();
            messages_.erase(messages_.size() - 1);
            if (last["role"] == "user") return last["content"];
        }
        return {};
    }

    // Streams the answer to stdout. On an error the message is taken back, so the conversation goes
    // on.
    result<void> ask(const std::string& text) {
        messages_.push_back({{"role", "user"}, {"content", text}});
        auto answer = generate();
        if (!answer.ok()) {
            undo();
            if (answer.error().code == RLX_INVALID_ARGUMENT)
                answer.error().message +=
                    "; in this chat /new starts over and /undo takes back the last exchange";
            return answer.error();
        }
        messages_.push_back({{"role", "assistant"}, {"content", answer->text}});
        last_ = std::move(*answer);
        return {};
    }

    bool random() const { return options_.sample.temperature > 0; }

    void next_seed() { options_.sample.seed++; }

    const json& messages() const { return messages_; }

    bool answered() const { return last_.has_value(); }

    void stats() const { print_summary(runner_, *last_); }

private:
    result<generate_result> generate() {
        const std::string prompt = RLX_TRY(runner_.render_chat(dump(messages_), rendering_));
        const auto ids =
            RLX_TRY(runner_.tokenize(prompt, {.add_special = false, .parse_special = true}));
        result<void> written;
        const echo_off no_echo; // a line typed meanwhile must not land in the answer
        reset_cancel();
        auto r = runner_.generate(
            ids,
            options_,
            [&](std::int32_t, std::string_view piece) {
                if (!piece.empty()) written = print(piece);
                if (written.ok()) written = flush();
                return written.ok();
            },
            true
        );
        RLX_CHECK(std::move(written));
        if (!r.ok()) return r;
        RLX_CHECK(print("\n"));
        RLX_CHECK(flush());
        if (r->finish_reason == "cancelled" && !quiet_) say("[stopped]\n");
        if (r->finish_reason == "length" && !quiet_)
            say("[cut at {} tokens; --max-tokens and --max-seq {} are the limits]\n",
                r->usage.completion_tokens,
                runner_.max_seq());
        return r;
    }

    lm_runner& runner_;
    generate_options options_;
    render_options rendering_;
    std::string system_;
    bool quiet_;
    json messages_;
    std::optional<generate_result> last_;
};

// Reads one message, which may span lines; nullopt at the end of the input. Ctrl-C drops what was
// typed.
std::optional<std::string> read_message(line_editor& editor) {
    std::string text;
    bool block = false, more = false;
    for (;;) {
        const auto in = editor.read(block || more ? ". " : "> ");
        if (in.what == line_editor::event::interrupted) {
            if (text.empty() && !block) say("(Ctrl-D or /exit leaves)\n");
            return std::string();
        }
        if (in.what == line_editor::event::end)
            return text.empty() ? std::nullopt : std::optional(text);
        std::string line = in.text;
        editor.remember(line);
        const bool fence = line == "\"\"\"";
        if (fence && block) return text;
        if (fence && !more) {
            block = true;
            continue;
        }
        more = !block && line.ends_with('\\');
        if (more) line.pop_back();
        text += line;
        if (block || more)
            text += '\n';
        else
            return text;
    }
}

void print_history(const json& messages) {
    for (const json& m : messages)
        say("{}: {}\n", m["role"].get<std::string>(), m["content"].get<std::string>());
}

enum class verdict { go_on, leave };

result<verdict> slash_command(conversation& talk, const std::string& line) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string name = line.substr(0, space),
                      rest = line.substr(std::min(space + 1, line.size()));
    if (name == "/exit" || name == "/quit" || name == "/bye") return verdict::leave;
    if (name == "/help" || name == "/?")
        say("{}", help);
    else if (name == "/new" || name == "/clear")
        talk.reset();
    else if (name == "/system")
        talk.set_system(rest);
    else if (name == "/history")
        print_history(talk.messages());
    else if (name == "/save" && !rest.empty())
        RLX_CHECK(write_file(rest, talk.messages().dump(2) + "\n"));
    else if (name == "/stats" && talk.answered())
        talk.stats();
    else if (name == "/undo")
        talk.undo();
    else if (name == "/retry") {
        const std::string again = talk.undo();
        talk.next_seed();
        if (!talk.random()) say("(temperature is 0: the answer will be the same)\n");
        if (again.empty()) return error{RLX_INVALID_ARGUMENT, "/retry: nothing was asked yet"};
        RLX_CHECK(talk.ask(again));
    } else if (name == "/stats" || name == "/save")
        return error{
            RLX_INVALID_ARGUMENT,
            name == "/save" ? "/save: a file name is needed" : "/stats: nothing was answered yet"};
    else
        return error{
            RLX_INVALID_ARGUMENT, fmt::format("unknown command {}; /help lists them", name)};
    return verdict::go_on;
}

// One message or command. An error is shown and the conversation goes on, except when nobody reads
// the answers any more.
result<verdict> turn(conversation& talk, const std::string& text) {
    if (text.find_first_not_of(" \t\n") == std::string::npos) return verdict::go_on;
    if (text[0] == '/') return slash_command(talk, text);
    RLX_CHECK(talk.ask(text));
    return verdict::go_on;
}

result<int> chat(const arguments& a) {
    catch_signals();
    auto options = RLX_TRY(generation_of(a, 512));
    auto catalog = RLX_TRY(open_catalog(a));
    auto c = RLX_TRY(open_checkpoint(a, *catalog));
    RLX_CHECK(require_language_model(c->weights(), *catalog));
    if (a.has("explain-partition"))
        return show_partition(
            a, RLX_TRY(RLX_TRY(builder_of(a, catalog.get(), "")).plan()).partition
        );
    RLX_CHECK([&]() -> result<void> {
        RLX_TRY(c->chat_template());
        return {};
    }());
    c.reset();
    auto runner = RLX_TRY(load_model(a, catalog.get(), ""));
    line_editor editor(a.has("no-history") ? std::filesystem::path() : history_file());
    conversation talk(
        *runner,
        options,
        RLX_TRY(rendering_of(a)),
        a.text("system"),
        a.has("quiet") || !editor.interactive()
    );
    if (editor.interactive() && !a.has("quiet"))
        say("{} on {} {}, at most {} tokens. /help lists commands, Ctrl-D leaves.\n",
            runner->family(),
            runner->ran_on().device,
            runner->ran_on().tier,
            runner->max_seq());
    int failed = 0;
    while (auto text = read_message(editor)) {
        auto next = turn(talk, *text);
        if (!next.ok()) {
            if (next.error().code == RLX_IO) return next.error();
            failed = report("rlx-run chat", next.error());
        } else if (*next == verdict::leave)
            break;
        // From a pipe there is nobody to talk to: a signal ends the program.
        if (!editor.interactive() && cancel_flag()) return 128 + std::max(caught_signal(), 2);
        reset_cancel();
    }
    if (editor.interactive()) say("\n");
    return editor.interactive() ? exit_ok : failed;
}

} // namespace

int cmd_chat(arg_span args) {
    return run_command(
        "rlx-run chat",
        {"chat",
         "Talks to a model: one message per line, the conversation is kept.",
         "",
         {weights_flags, {"Chat", own}, generate_flags, device_flags, plugin_flags, general_flags},
         "Inside: "
         "/help lists commands. From a pipe every line of standard input is one message."},
        args,
        chat
    );
}

} // namespace rlx::cli
