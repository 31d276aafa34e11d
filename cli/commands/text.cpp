// SPDX-License-Identifier: GPL-3.0-only
// rlx-run tokenize, rlx-run render: the text side alone; no model is loaded.
#include "../catalog.hpp"
#include "../lm.hpp"

#include <fmt/format.h>

namespace rlx::cli {

namespace {

constexpr flag tokenize_own[] = {
    {"text",
     0,
     flag_kind::text,
     "TEXT",
     "",
     "the text; the argument - reads standard input instead"},
    {"add-special", 0, flag_kind::toggle, "", "", "add BOS and EOS as the checkpoint says"},
    {"parse-special", 0, flag_kind::toggle, "", "", "recognise control tokens in the text"},
    {"pieces", 0, flag_kind::toggle, "", "", "also the text of every token"},
    {"json", 0, flag_kind::toggle, "", "", "print {\"ids\": [...]}"},
};

constexpr flag render_own[] = {
    {"messages-json",
     0,
     flag_kind::text,
     "FILE",
     "",
     "conversation [{\"role\": .., \"content\": ..}]; - reads standard input"},
    {"prompt", 0, flag_kind::text, "TEXT", "", "instead: one user message"},
    {"system", 0, flag_kind::text, "TEXT", "", "system message for --prompt"},
    {"template-vars", 0, flag_kind::text, "JSON", "", "object of extra variables for the template"},
    {"no-think",
     0,
     flag_kind::toggle,
     "",
     "",
     "same as --template-vars '{\"enable_thinking\": false}'"},
    {"no-generation-prompt", 0, flag_kind::toggle, "", "", "end after the last message"},
};

result<std::string> text_of(const arguments& a) {
    const bool from_stdin = !a.positional().empty();
    if (from_stdin && a.positional()[0] != "-")
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "unexpected argument '{}'; give the text with --text, or - for standard input",
                a.positional()[0]
            )};
    if (from_stdin == a.has("text"))
        return error{
            RLX_INVALID_ARGUMENT, "exactly one of --text TEXT and - (standard input) is needed"};
    return from_stdin ? read_stdin() : result<std::string>(a.text("text"));
}

result<int> tokenize(const arguments& a) {
    auto catalog = RLX_TRY(open_catalog(a));
    auto c = RLX_TRY(open_checkpoint(a, *catalog));
    const auto ids = RLX_TRY(c->tokenize(
        RLX_TRY(text_of(a)),
        {.add_special = a.has("add-special"), .parse_special = a.has("parse-special")}
    ));
    std::vector<std::string> pieces;
    if (a.has("pieces"))
        for (std::int32_t id : ids)
            pieces.push_back(RLX_TRY(RLX_TRY(c->tokenizer())->piece(id, true)));
    if (a.has("json")) {
        json doc{{"ids", ids}};
        if (a.has("pieces")) doc["pieces"] = pieces;
        RLX_CHECK(print(dump(doc) + "\n"));
    } else if (a.has("pieces")) {
        for (std::size_t i = 0; i < ids.size(); i++)
            RLX_CHECK(print(fmt::format("{:>7}  {}\n", ids[i], dump(pieces[i]))));
    } else {
        RLX_CHECK(print(fmt::format("{}\n", fmt::join(ids, " "))));
    }
    return exit_ok;
}

result<int> render(const arguments& a) {
    if (a.has("messages-json") == a.has("prompt"))
        return error{
            RLX_INVALID_ARGUMENT,
            "exactly one of --messages-json FILE and --prompt TEXT is needed"};
    auto catalog = RLX_TRY(open_catalog(a));
    auto c = RLX_TRY(open_checkpoint(a, *catalog));
    std::string messages = messages_of(a.text("system"), a.text("prompt"));
    if (a.has("messages-json")) {
        messages = RLX_TRY(read_text(a.text("messages-json")));
        RLX_CHECK(check_messages(messages));
    }
    render_options options = RLX_TRY(rendering_of(a));
    options.add_generation_prompt = !a.has("no-generation-prompt");
    RLX_CHECK(print(RLX_TRY(c->render_chat(messages, options))));
    return exit_ok;
}

} // namespace

int cmd_tokenize(arg_span args) {
    return run_command(
        "rlx-run tokenize",
        {"tokenize",
         "Prints the token ids of a text.",
         "[-]",
         {weights_flags, {"Text", tokenize_own}, plugin_flags, general_flags}},
        args,
        tokenize
    );
}

int cmd_render(arg_span args) {
    return run_command(
        "rlx-run render",
        {"render",
         "Prints the prompt that the chat template makes of messages, byte for byte.",
         "",
         {weights_flags, {"Messages", render_own}, plugin_flags, general_flags}},
        args,
        render
    );
}

} // namespace rlx::cli
