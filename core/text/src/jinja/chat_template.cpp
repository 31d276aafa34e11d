// SPDX-License-Identifier: GPL-3.0-only
#include "jinja/chat_template.hpp"

#include "jinja/interpreter.hpp"
#include "jinja/parser.hpp"

#include <array>
#include <charconv>

namespace rlx::text::jinja {
namespace {

// "2026-07-26" or "2026-07-26 12:30:00".
result<std::tm> parse_now(const std::string& text) {
    std::array<int, 6> field = {0, 1, 1, 0, 0, 0};
    constexpr std::string_view pattern = "0000-00-00 00:00:00";
    bool good = text.size() == 10 || text.size() == pattern.size();
    for (std::size_t i = 0, n = 0; good && i < text.size(); ++i) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (pattern[i] == '0') {
            good = digit;
            if (i == 0 || pattern[i - 1] != '0') field[n] = 0;
            field[n] = field[n] * 10 + (text[i] - '0');
        } else {
            good = text[i] == pattern[i] || (i == 10 && text[i] == 'T');
            ++n;
        }
    }
    std::tm t{};
    t.tm_year = field[0] - 1900, t.tm_mon = field[1] - 1, t.tm_mday = field[2];
    t.tm_hour = field[3], t.tm_min = field[4], t.tm_sec = field[5];
    std::tm checked = t;
    // timegm() fills in the day of the week and moves impossible dates.
    if (good) good = timegm(&checked) != -1 || field[0] == 1969;
    good = good && checked.tm_mon == t.tm_mon && checked.tm_mday == t.tm_mday &&
           checked.tm_hour == t.tm_hour && checked.tm_sec == t.tm_sec;
    if (!good)
        return error{
            RLX_INVALID_ARGUMENT,
            "the date \"" + text + "\" is not of the form YYYY-MM-DD or YYYY-MM-DD HH:MM:SS"};
    return checked;
}

std::tm local_now() {
    const std::time_t t = std::time(nullptr);
    std::tm out{};
    localtime_r(&t, &out);
    return out;
}

// Reasoning goes by several names; transformers fills in the ones that templates read.
ordered_json with_reasoning(const ordered_json& message) {
    const ordered_json* reasoning = nullptr;
    for (const char* key : {"reasoning_content", "thinking", "reasoning"}) {
        const auto it = message.find(key);
        if (it != message.end() && !it->is_null()) {
            reasoning = &*it;
            break;
        }
    }
    if (!reasoning) return message;
    ordered_json out = ordered_json::object();
    out["thinking"] = *reasoning;
    for (const auto& [key, v] : message.items())
        out[key] = v;
    out["reasoning_content"] = *reasoning;
    return out;
}

result<value> read_messages(std::string_view text) {
    const ordered_json j = RLX_TRY(parse_json_as<ordered_json>(text).within("messages"));
    if (!j.is_array())
        return error{
            RLX_INVALID_ARGUMENT, "messages are no list of objects with \"role\" and \"content\""};
    ordered_json out = ordered_json::array();
    for (const auto& m : j) {
        if (!m.is_object())
            return error{
                RLX_INVALID_ARGUMENT,
                "message " + std::to_string(out.size()) +
                    " is no object with \"role\" and \"content\""};
        out.push_back(with_reasoning(m));
    }
    return from_json(out).within("messages");
}

class compiled_template final : public chat_template {
public:
    compiled_template(
        std::string source, program p, std::vector<std::pair<std::string, std::string>> names
    )
        : source_(std::move(source)), program_(std::move(p)), names_(std::move(names)) {}

    std::string_view source() const override { return source_; }

    result<std::string>
    render(std::string_view messages_json, const render_options& o) const override try {
        scope variables;
        for (const auto& [name, text] : names_)
            variables.set(name, value(text));
        variables.set("messages", RLX_TRY(read_messages(messages_json)));
        variables.set("tools", none{});
        variables.set("documents", none{});
        variables.set("add_generation_prompt", value(o.add_generation_prompt));
        if (!o.extra_json.empty()) {
            const ordered_json extra =
                RLX_TRY(parse_json_as<ordered_json>(o.extra_json).within("template variables"));
            if (!extra.is_object())
                return error{RLX_INVALID_ARGUMENT, "template variables are no JSON object"};
            for (const auto& [name, v] : extra.items())
                variables.set(name, RLX_TRY(from_json(v).within("template variables")));
        }
        const std::tm now = o.now.empty() ? local_now() : RLX_TRY(parse_now(o.now));
        return interpreter(program_, limits{}, now)
            .render(std::move(variables))
            .within("chat template");

    } catch (const std::bad_alloc&) {

        return error{RLX_OUT_OF_MEMORY, "out of memory in the chat template"};
    }

private:
    std::string source_;
    program program_;
    std::vector<std::pair<std::string, std::string>> names_;
};

} // namespace

result<std::unique_ptr<chat_template>> compile_chat_template(
    std::string source, std::vector<std::pair<std::string, std::string>> special_tokens
) {
    program p = RLX_TRY(parse_template(source).within("chat template"));
    return std::unique_ptr<chat_template>(std::make_unique<compiled_template>(
        std::move(source), std::move(p), std::move(special_tokens)
    ));
}

} // namespace rlx::text::jinja
