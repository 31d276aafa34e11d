// SPDX-License-Identifier: GPL-3.0-only
// cpp-chat: a conversation with a model in the terminal, over the C++ API rlx/rlx.hpp.
#include <rlx/rlx.hpp>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

namespace {

enum exit_code { exit_failed = 1, exit_usage = 2, exit_interrupted = 130 };

struct arguments {
    std::string model;
    std::string system;
    std::string device = "cpu";
    double temperature = 0;
    std::int64_t tokens = 256;
};

// Ctrl-C ends the answer that is being written; at the prompt it ends the program.
std::atomic<std::uint32_t> interrupted{0};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "set in a signal handler");

void catch_interrupt() {
    struct sigaction action {};

    action.sa_handler = [](int) { interrupted = 1; };
    sigaction(SIGINT, &action, nullptr); // without SA_RESTART: reading a line ends too
}

int usage(const char* program) {
    std::cerr << "usage: " << program
              << " [--system TEXT] [--temperature T] [--tokens N] [--device NAME] MODEL\n"
                 "One message per line; an empty line or the end of the input ends the chat.\n";
    return exit_usage;
}

template <class T>
bool read_number(std::string_view text, T& out) {
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
    return failed == std::errc() && end == text.data() + text.size() && out >= 0;
}

std::optional<arguments> parse(int argc, char** argv) {
    arguments a;
    int i = 1;
    for (; i + 1 < argc && std::string_view(argv[i]).starts_with("--"); i += 2) {
        const std::string_view flag = argv[i], value = argv[i + 1];
        if (flag == "--system")
            a.system = value;
        else if (flag == "--device")
            a.device = value;
        else if (flag == "--temperature" ? !read_number(value, a.temperature)
                 : flag == "--tokens"    ? !read_number(value, a.tokens)
                                         : true)
            return std::nullopt;
    }
    if (argc - i != 1 || std::string_view(argv[i]).starts_with("--")) return std::nullopt;
    a.model = argv[i];
    return a;
}

int report(const rlx::error& e) {
    std::cerr << "error: " << e.message << "\n";
    if (e.code == RLX_CANCELLED) return exit_interrupted;
    return e.code == RLX_INVALID_ARGUMENT ? exit_usage : exit_failed;
}

// The answer to the conversation so far, streamed while it is made.
rlx::result<rlx::generate_result>
answer(rlx::lm_runner& model, std::span<const rlx::chat_message> talk, const arguments& a) {
    const std::string prompt = RLX_TRY(model.render_chat(talk));
    const auto ids = RLX_TRY(model.tokenize(prompt, {.parse_special = true}));
    rlx::generate_options how;
    how.max_tokens = a.tokens;
    how.sample.temperature = a.temperature;
    how.cancel = &interrupted;
    const auto print = [](std::int32_t, std::string_view text) {
        return static_cast<bool>(std::cout << text << std::flush);
    };
    constexpr bool keep_cache = true; // the next turn begins with this one
    return model.generate(std::span<const std::int32_t>(ids), how, print, keep_cache);
}

rlx::result<void> chat(rlx::lm_runner& model, const arguments& a) {
    std::vector<rlx::chat_message> talk;
    if (!a.system.empty()) talk.push_back({"system", a.system});
    for (std::string line; std::cerr << "> " << std::flush, std::getline(std::cin, line);) {
        if (line.empty()) break;
        talk.push_back({"user", line});
        auto said = RLX_TRY(answer(model, talk, a));
        std::cout << "\n";
        if (!std::cout) return rlx::error{RLX_IO, "standard output is closed"};
        if (said.finish_reason == "length") std::cerr << "(cut off)\n";
        talk.push_back({"assistant", std::move(said.text)});
        interrupted = 0;
    }
    if (interrupted) return rlx::error{RLX_CANCELLED, "interrupted"};
    return {};
}

} // namespace

int main(int argc, char** argv) {
    const auto a = parse(argc, argv);
    if (!a) return usage(argv[0]);
    catch_interrupt();
    const auto model =
        rlx::lm_runner::builder().weights(a->model).device(a->device).cancel(&interrupted).build();
    if (!model) return report(model.error());
    for (const std::string& warning : (*model)->warnings())
        std::cerr << "note: " << warning << "\n";
    std::cerr << (*model)->family() << " on " << (*model)->ran_on().device_description << "\n";
    const auto done = chat(**model, *a);
    return done ? 0 : report(done.error());
}
