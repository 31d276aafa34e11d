// SPDX-License-Identifier: GPL-3.0-only
#include "lint.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace lint {
namespace {

constexpr std::size_t max_file_lines = 800;
constexpr std::size_t max_function_lines = 80;
constexpr std::size_t max_kernel_lines = 120;
constexpr std::size_t long_function_lines = 60;
constexpr double max_long_share = 0.03;
constexpr std::size_t max_family_lines = 1500;
constexpr std::uintmax_t max_fixture_bytes = 256 * 1024;

std::size_t lines_of(std::string_view text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string at_line(const source_file& f, std::size_t offset) {
    return f.path + ":" + std::to_string(lines_of(std::string_view(f.text).substr(0, offset)) + 1);
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](auto p) {
        return text.starts_with(p);
    });
}

bool is_ident(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// A call or use of the word: not part of a longer name, not a member of something, of rlx or of a
// class.
bool is_use(std::string_view code, std::size_t at, std::string_view word) {
    if (at + word.size() < code.size() && is_ident(code[at + word.size()])) return false;
    if (at == 0) return true;
    const char before = code[at - 1];
    if (is_ident(before) || before == '.' || before == '~') return false;
    const std::string_view front = code.substr(0, at);
    if (front.ends_with("->")) return false;
    if (!front.ends_with("::")) return true;
    return front.ends_with("std::") || front.size() < 3 || !is_ident(front[front.size() - 3]);
}

void find_uses(const source_file& f, std::string_view word, bool call, auto&& report) {
    const std::string_view code = f.code;
    for (std::size_t at = code.find(word); at != code.npos; at = code.find(word, at + 1)) {
        const std::size_t end = at + word.size();
        if (is_use(code, at, word) && (!call || (end < code.size() && code[end] == '(')))
            report(at);
    }
}

} // namespace

findings check_spdx(const source_file& f) {
    const auto e = f.extension();
    const bool needs = f.is_cpp() || e == ".def" || e == ".comp" || e == ".glsl" || e == ".cmake" ||
                       e == ".py" || e == ".sh" || f.path.ends_with("CMakeLists.txt");
    if (!needs) return {};
    std::string_view head = f.text;
    if (head.starts_with("#!")) head.remove_prefix(std::min(head.find('\n') + 1, head.size()));
    head = head.substr(0, head.find('\n'));
    if (head.find("SPDX-License-Identifier: GPL-3.0-only") != head.npos) return {};
    return {{"spdx", f.path, "the first line must be the SPDX line (GPL-3.0-only)"}};
}

findings check_pragma_once(const source_file& f) {
    const bool header = f.extension() == ".h" || f.extension() == ".hpp";
    if (!header || f.text.find("#pragma once") != f.text.npos) return {};
    return {{"pragma-once", f.path, "a header needs #pragma once"}};
}

findings check_machine_paths(const source_file& f) {
    // In pieces, so that this file does not report itself.
    static const std::array<std::string, 4> paths{
        std::string("/wo") + "rk/",
        std::string("/tmp/") + "w/",
        std::string("/ro") + "ot/",
        std::string("/ho") + "me/"};
    findings out;
    for (const auto& path : paths) {
        for (std::size_t at = f.text.find(path); at != f.text.npos;
             at = f.text.find(path, at + 1)) {
            const bool part_of_longer =
                at > 0 && (is_ident(f.text[at - 1]) || f.text[at - 1] == '}');
            if (!part_of_longer) {
                out.push_back(
                    {"machine-path", at_line(f, at), "'" + path + "' is one machine's path"}
                );
            }
        }
    }
    return out;
}

findings check_calls(const source_file& f) {
    findings out;
    if (!f.is_cpp() || f.is_test()) return out;
    for (const char* name : {"getenv", "secure_getenv", "environ", "setenv", "putenv"}) {
        find_uses(f, name, false, [&](std::size_t at) {
            out.push_back(
                {"getenv",
                 at_line(f, at),
                 std::string(name) + ": read the environment through rlx/base/environment.hpp"}
            );
        });
    }
    const bool library =
        starts_with_any(f.path, {"core/", "ssm/", "families/", "plugins/", "facade/"});
    if (!library) return out;
    for (const char* name : {"printf", "fprintf", "vprintf", "puts", "fputs", "putchar"}) {
        find_uses(f, name, true, [&](std::size_t at) {
            out.push_back(
                {"print", at_line(f, at), std::string(name) + ": libraries do not print, they log"}
            );
        });
    }
    for (const char* name : {"cout", "cerr", "clog"}) {
        find_uses(f, name, false, [&](std::size_t at) {
            out.push_back(
                {"print", at_line(f, at), std::string(name) + ": libraries do not print, they log"}
            );
        });
    }
    for (const char* name :
         {"abort", "exit", "_exit", "quick_exit", "terminate", "signal", "sigaction"}) {
        find_uses(f, name, true, [&](std::size_t at) {
            out.push_back({"exit", at_line(f, at), std::string(name) + ": libraries return errors"}
            );
        });
    }
    return out;
}

findings check_file_size(const source_file& f) {
    if (f.is_test() || f.is_generated() || f.extension() == ".md") return {};
    const std::size_t n = lines_of(f.text);
    if (n <= max_file_lines) return {};
    return {
        {"file-size",
         f.path,
         std::to_string(n) + " lines, at most " + std::to_string(max_file_lines)}};
}

findings check_function_size(const source_file& f) {
    findings out;
    if (!f.is_cpp() || f.is_test() || f.is_generated()) return out;
    const std::size_t limit = f.extension() == ".inl" ? max_kernel_lines : max_function_lines;
    for (const auto& span : functions_of(f.code)) {
        if (span.lines > limit) {
            out.push_back(
                {"function-size",
                 f.path + ":" + span.name,
                 std::to_string(span.lines) + " lines from line " +
                     std::to_string(span.first_line) + ", at most " + std::to_string(limit)}
            );
        }
    }
    return out;
}

namespace {

void check_long_share(const std::vector<source_file>& files, findings& out) {
    std::size_t n = 0;
    std::size_t n_long = 0;
    for (const auto& f : files) {
        if (!f.is_cpp() || f.is_test() || f.is_generated() || f.extension() == ".inl") continue;
        for (const auto& span : functions_of(f.code)) {
            n++;
            n_long += span.lines > long_function_lines;
        }
    }
    if (n >= 100 && static_cast<double>(n_long) > max_long_share * static_cast<double>(n)) {
        out.push_back(
            {"long-functions",
             ".",
             std::to_string(n_long) + " of " + std::to_string(n) + " functions are longer than " +
                 std::to_string(long_function_lines) + " lines, at most 3 %"}
        );
    }
}

void check_families(const std::vector<source_file>& files, findings& out) {
    std::string current;
    std::size_t total = 0;
    const auto finish = [&] {
        if (total <= max_family_lines) return;
        out.push_back(
            {"family-size",
             "families/" + current,
             std::to_string(total) + " lines without tests, at most " +
                 std::to_string(max_family_lines)}
        );
    };
    for (const auto& f : files) {
        if (!f.path.starts_with("families/") || !f.is_cpp() || f.is_test()) continue;
        const std::string name = f.path.substr(9, f.path.find('/', 9) - 9);
        if (name != current) {
            finish();
            current = name;
            total = 0;
        }
        total += lines_of(f.text);
    }
    finish();
}

} // namespace

findings check_tree(const std::vector<source_file>& files, const fs::path& root) {
    findings out;
    check_long_share(files, out);
    check_families(files, out);
    for (const char* folder :
         {"core", "families", "plugins", "facade", "cli", "tests", "ssm", "docs"}) {
        if (!fs::is_directory(root / folder)) continue;
        for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
            if (!entry.is_regular_file() || entry.file_size() <= max_fixture_bytes) continue;
            out.push_back(
                {"large-file",
                 entry.path().lexically_relative(root).generic_string(),
                 std::to_string(entry.file_size()) + " bytes, at most 256 KiB"}
            );
        }
    }
    return out;
}

} // namespace lint
