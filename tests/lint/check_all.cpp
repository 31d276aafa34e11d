// SPDX-License-Identifier: GPL-3.0-only
#include "lint.hpp"

#include <fstream>

namespace lint {
namespace {

struct exception {
    std::string rule, where;
    std::size_t line;
    bool used = false;
};

std::string_view trimmed(std::string_view s) {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t'))
        s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t'))
        s.remove_suffix(1);
    return s;
}

std::vector<exception> read_exceptions(const fs::path& file, findings& out) {
    std::vector<exception> list;
    std::ifstream in(file);
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); number++) {
        const auto hash = line.find('#');
        const std::string_view entry = trimmed(std::string_view(line).substr(0, hash));
        if (entry.empty()) continue;
        const std::string_view reason = hash == line.npos
                                            ? std::string_view()
                                            : trimmed(std::string_view(line).substr(hash + 1));
        const auto space = entry.find(' ');
        if (space == entry.npos || reason.empty()) {
            out.push_back(
                {"exceptions",
                 file.filename().native() + ":" + std::to_string(number),
                 "expected: rule where # reason"}
            );
            continue;
        }
        list.push_back(
            {std::string(entry.substr(0, space)), std::string(trimmed(entry.substr(space))), number}
        );
    }
    return list;
}

// "where" of an exception is a path, a path:function, or a folder ending in /.
bool excuses(const exception& e, const finding& f) {
    if (e.rule != f.rule) return false;
    if (e.where == f.where || (e.where.ends_with('/') && f.where.starts_with(e.where))) return true;
    // A path excuses every line of it.
    return f.where.size() > e.where.size() && f.where.starts_with(e.where) &&
           f.where[e.where.size()] == ':';
}

} // namespace

findings check_all(const fs::path& root, const fs::path& exceptions_file) {
    findings out;
    auto exceptions = read_exceptions(exceptions_file, out);
    const auto files = load_tree(root);
    findings found = check_tree(files, root);
    for (const auto& f : files) {
        for (auto check :
             {check_spdx,
              check_pragma_once,
              check_machine_paths,
              check_calls,
              check_file_size,
              check_function_size}) {
            for (auto& one : check(f))
                found.push_back(std::move(one));
        }
        for (auto& one : check_includes(f, root))
            found.push_back(std::move(one));
    }
    for (auto& f : found) {
        bool excused = false;
        for (auto& e : exceptions) {
            if (!excuses(e, f)) continue;
            e.used = true;
            excused = true;
        }
        if (!excused) out.push_back(std::move(f));
    }
    for (const auto& e : exceptions) {
        if (e.used) continue;
        out.push_back(
            {"exceptions",
             exceptions_file.filename().native() + ":" + std::to_string(e.line),
             e.rule + " " + e.where + " excuses nothing"}
        );
    }
    return out;
}

} // namespace lint
