// SPDX-License-Identifier: GPL-3.0-only
// Lines for the chat: readline on a terminal, plain reads from a pipe.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace rlx::cli {

class line_editor {
public:
    enum class event { line, interrupted, end };

    struct input {
        event what;
        std::string text;
    };

    // history may be empty: nothing is kept. The file is written by the destructor.
    explicit line_editor(std::filesystem::path history);
    ~line_editor();
    line_editor(const line_editor&) = delete;
    line_editor& operator=(const line_editor&) = delete;

    bool interactive() const { return interactive_; }

    // One line without its end. A Ctrl-C on a terminal is `interrupted`.
    input read(const std::string& prompt);
    void remember(const std::string& line);

private:
    std::filesystem::path history_;
    bool interactive_;
};

} // namespace rlx::cli
