// SPDX-License-Identifier: GPL-3.0-only
#include "commands.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/base/log.hpp"

#include <fmt/format.h>
#include <utility>

namespace rlx::cli {

namespace {

result<std::uint32_t> log_level_of_environment() {
    const std::string_view name = env_string("RLX_LOG").value_or("warn");
    constexpr std::string_view names[] = {
        "error", "warn", "info", "debug"}; // in the order of RLX_LOG_*
    for (std::uint32_t i = 0; i < std::size(names); i++)
        if (names[i] == name) return i;
    return error{
        RLX_INVALID_ARGUMENT,
        fmt::format("RLX_LOG: '{}' is none of {}", name, fmt::join(names, ", "))};
}

// Set while describe() runs a command on this thread.
thread_local std::optional<described>* description = nullptr;

std::optional<described> description_of(const std::function<int()>& run) {
    std::optional<described> out;
    auto* const outer = std::exchange(description, &out); // auto's own takes a family's flags
    run();
    description = outer;
    return out;
}

} // namespace

std::optional<described> describe(int (*run)(arg_span), arg_span args) {
    return description_of([&] { return run(args); });
}

described describe_family(std::string_view family, std::string_view task) {
    const std::string program = fmt::format("rlx-{}", family);
    for (const family_command& c : family_commands())
        if (c.task == task) return *description_of([&] { return c.run(family, program, {}); });
    return describe_family(family);
}

int report(std::string_view program, const error& e) {
    std::fflush(stdout);
    const bool colour = use_colour();
    say("{}{}: error:{} {}\n", colour ? "\033[31m" : "", program, colour ? "\033[0m" : "", e.message
    );
    if (e.code == RLX_CANCELLED && caught_signal() > 0) return 128 + caught_signal();
    return exit_code_of(e);
}

int run_command(
    std::string_view program,
    const command_spec& spec,
    arg_span args,
    const std::function<result<int>(const arguments&)>& body
) {
    if (description) {
        *description = described{std::string(program), spec};
        return exit_ok;
    }
    auto parsed = arguments::parse(spec, args);
    if (!parsed.ok()) return report(program, parsed.error());
    const arguments& a = parsed.value();
    if (a.has("help")) {
        auto printed = print(help_text(program, spec));
        return printed.ok() ? exit_ok : report(program, printed.error());
    }
    log_set_sink(log_stderr_sink, nullptr);
    if (auto level = log_level_of_environment(); level.ok())
        log_set_level(*level);
    else
        return report(program, level.error());
    if (a.has("verbose")) log_set_level(RLX_LOG_INFO);
    if (a.has("quiet")) log_set_level(RLX_LOG_ERROR);
    auto code = body(a);
    if (!code.ok()) return report(program, code.error());
    auto flushed = flush();
    return flushed.ok() ? code.value() : report(program, flushed.error());
}

} // namespace rlx::cli
