// SPDX-License-Identifier: GPL-3.0-only
// rlx-run wordcount: lines, words and bytes of standard input, and how often each of the most
// common words occurs. Shows what a command has: arguments, streams, the terminal's width, Ctrl-C,
// exit codes.
#include <rlx/sdk.hpp>

#include <algorithm>
#include <charconv>
#include <map>

namespace {

namespace sdk = rlx::sdk;

constexpr std::string_view usage =
    " [--top N] < text\n\nCounts lines, words and bytes of standard input.\n\n"
    "  --top N   also the N most common words\n"
    "  --help    this text\n";

struct counts {
    std::uint64_t lines = 0, words = 0, bytes = 0;
    std::map<std::string, std::uint64_t> of;
};

class counter {
public:
    void feed(std::string_view text) {
        total.bytes += text.size();
        for (const char c : text) {
            if (c == '\n') ++total.lines;
            const bool space = c == ' ' || (c >= '\t' && c <= '\r');
            if (!space) word_ += c;
            if (space) end_word();
        }
    }

    void end_word() {
        if (word_.empty()) return;
        ++total.words;
        ++total.of[word_];
        word_.clear();
    }

    counts total;

private:
    std::string word_;
};

sdk::result<std::uint64_t> parse(std::span<const std::string_view> args) {
    if (args.empty()) return std::uint64_t{0};
    std::uint64_t n = 0;
    const std::string_view v = args.size() == 2 ? args[1] : std::string_view();
    const auto [end, failed] = std::from_chars(v.data(), v.data() + v.size(), n);
    if (args[0] == "--top" && failed == std::errc() && end == v.data() + v.size()) return n;
    return sdk::fail(RLX_INVALID_ARGUMENT, "expected --top N, or --help");
}

sdk::status print_top(const counts& c, std::uint64_t n, sdk::console& io) {
    std::vector<std::pair<std::string, std::uint64_t>> all(c.of.begin(), c.of.end());
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
        return a.second > b.second;
    });
    const std::size_t width = io.width() > 20 ? io.width() - 12 : 68; // 0 when it is no terminal
    for (std::size_t i = 0; i < all.size() && i < n; ++i)
        RLX_CHECK(io.print(sdk::format("{} {}\n", all[i].second, all[i].first.substr(0, width))));
    return {};
}

struct wordcount {
    static constexpr sdk::cli_info info{"wordcount", "count lines, words and bytes of a text"};

    static sdk::result<int> run(std::span<const std::string_view> args, sdk::console& io) {
        if (!args.empty() && args[0] == "--help") {
            RLX_CHECK(io.print(sdk::format("usage: {}{}", io.program(), usage)));
            return 0;
        }
        const std::uint64_t top = RLX_TRY(parse(args));
        counter count;
        for (;;) {
            const std::string part = RLX_TRY(io.read());
            if (part.empty()) break;
            count.feed(part);
            if (io.cancelled()) return sdk::fail(RLX_CANCELLED, "interrupted");
        }
        count.end_word();
        const counts& c = count.total;
        RLX_CHECK(io.print(sdk::format("lines {} words {} bytes {}\n", c.lines, c.words, c.bytes)));
        RLX_CHECK(print_top(c, top, io));
        return c.words == 0 ? 1 : 0; // like grep: nothing found is not success
    }
};

struct plugin {
    static constexpr std::uint16_t min_minor = 1; // as in plugin.json: older hosts refuse politely
    using commands = sdk::cli_list<wordcount>;
};

} // namespace

RLX_PLUGIN(plugin)
