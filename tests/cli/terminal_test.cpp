// SPDX-License-Identifier: GPL-3.0-only
// What a person at a terminal sees: programs on a pseudo-terminal of their own.
#include "process.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace rlx::test {
namespace {

// A child whose standard streams are a terminal that the test types on and reads from.
class terminal {
public:
    explicit terminal(std::vector<std::string> argv) {
        child_ = forkpty(&master_, nullptr, nullptr, nullptr);
        if (child_ != 0) return;
        setenv("TERM", "dumb", 1);
        std::vector<char*> raw;
        for (std::string& a : argv)
            raw.push_back(a.data());
        raw.push_back(nullptr);
        execv(raw[0], raw.data());
        _exit(127);
    }

    ~terminal() {
        if (child_ > 0 && !ended_) {
            kill(child_, SIGKILL);
            waitpid(child_, nullptr, 0);
        }
        close(master_);
    }

    terminal(const terminal&) = delete;
    terminal& operator=(const terminal&) = delete;

    // A child that is gone takes no input.
    void type(const std::string& text) {
        [[maybe_unused]] const ssize_t n = write(master_, text.data(), text.size());
    }

    // Reads until `part` was seen `times` times; false when the child ended or time went by.
    bool wait_for(const std::string& part, int times = 1) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(40);
        while (count(part) < times)
            if (std::chrono::steady_clock::now() > end || !read_more()) return count(part) >= times;
        return true;
    }

    // Reads the rest and waits for the end.
    int exit_code() {
        while (read_more()) {
        }
        int status = 0;
        waitpid(child_, &status, 0);
        ended_ = true;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

    bool echoes() const {
        termios t{};
        return tcgetattr(master_, &t) == 0 && (t.c_lflag & ECHO);
    }

    int count(const std::string& part) const {
        int n = 0;
        for (std::size_t at = seen_.find(part); at != seen_.npos; at = seen_.find(part, at + 1))
            n++;
        return n;
    }

    const std::string& seen() const { return seen_; }

private:
    bool read_more() {
        pollfd p{master_, POLLIN, 0};
        if (poll(&p, 1, 20'000) <= 0) return false;
        char block[4096];
        const ssize_t n = read(master_, block, sizeof block);
        if (n > 0) seen_.append(block, static_cast<std::size_t>(n));
        return n > 0; // EIO once the child is gone
    }

    pid_t child_ = -1;
    int master_ = -1;
    bool ended_ = false;
    std::string seen_;
};

std::vector<std::string> chat(const std::string& max_tokens) {
    return {
        program("rlx-run"),
        "chat",
        "--weights",
        stories_model(),
        "--max-tokens",
        max_tokens,
        "--ignore-eos"};
}

TEST(terminal, a_line_typed_during_an_answer_waits_for_the_next_prompt) {
    if (!terminals_exist()) GTEST_SKIP() << "no pseudo-terminals here (/dev/pts)";
    terminal t(chat("300"));
    ASSERT_TRUE(t.wait_for("> ")) << t.seen();
    t.type("Tell me a story.\r");
    ASSERT_TRUE(t.wait_for("story.\r\nO")) << t.seen(); // the answer has begun
    t.type("/xyzzy\r");
    ASSERT_TRUE(t.wait_for("/xyzzy")) << t.seen();
    ASSERT_TRUE(t.wait_for("> ", 3)) << t.seen();
    // Shown behind the second prompt, not inside the answer.
    EXPECT_GT(t.seen().find("/xyzzy"), t.seen().find("> ", t.seen().find("Tell me"))) << t.seen();
    t.type("/exit\r");
    EXPECT_EQ(t.exit_code(), 0) << t.seen();
}

TEST(terminal, gets_no_arrays_and_pictures) {
    if (!terminals_exist()) GTEST_SKIP() << "no pseudo-terminals here (/dev/pts)";
    const std::string images = std::string(RLX_SOURCE_DIR) + "/tests/goldens/images/";
    const std::string tall = images + "dinov2/tall.png";
    const std::vector<std::vector<std::string>> asks{
        {"rlx-dinov2", "dinov2", "--out", "-"},
        {"rlx-dinov2", "dinov2", "--f32"},
        {"rlx-dinov2", "dinov2", "--pca", "-"},
        {"rlx-vision", "vision", "--out", "-", "--features", "last_hidden_state"},
        {"rlx-embed", "dinov2", "--f32"},
    };
    for (const auto& ask : asks) {
        std::vector<std::string> argv{program(ask[0]), "--weights", images + ask[1], tall};
        argv.insert(argv.end(), ask.begin() + 2, ask.end());
        terminal t(argv);
        EXPECT_EQ(t.exit_code(), 2) << ask[0] << ask[2] << t.seen();
        EXPECT_NE(t.seen().find("not writing binary data to a terminal"), std::string::npos)
            << t.seen();
        EXPECT_EQ(t.seen().find("NUMPY"), std::string::npos);
    }
    terminal text({program("rlx-dinov2"), "--weights", images + "dinov2", tall, "--quiet"});
    EXPECT_EQ(text.exit_code(), 0) << "vectors as text are for reading";
}

TEST(terminal, a_second_interrupt_ends_the_chat_and_leaves_the_terminal_as_it_was) {
    if (!terminals_exist()) GTEST_SKIP() << "no pseudo-terminals here (/dev/pts)";
    terminal t(chat("400"));
    ASSERT_TRUE(t.wait_for("> ")) << t.seen();
    t.type("Tell me a story.\r");
    ASSERT_TRUE(t.wait_for("story.\r\nO")) << t.seen();
    t.type("\x03\x03");
    t.type("/exit\r"); // where the answer ended before the second one came
    t.exit_code();
    EXPECT_TRUE(t.echoes());
}

} // namespace
} // namespace rlx::test
