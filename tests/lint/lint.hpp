// SPDX-License-Identifier: GPL-3.0-only
// The project's own rules about its text: layering, sizes, licences, stray calls. What a compiler
// does not check.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lint {

namespace fs = std::filesystem;

struct finding {
    std::string rule;
    std::string where; // path, path:line or path:function
    std::string message;
};

struct source_file {
    std::string path; // relative to the root, with /
    std::string text;
    std::string code; // text with comments, literals and directives blanked; same lines

    std::string_view extension() const;
    bool is_cpp() const;  // C or C++
    bool is_test() const; // in a tests or benchmarks folder
    bool is_generated() const;
};

// Comments, string and character literals, and preprocessor directives become blanks; newlines
// stay.
std::string blank(std::string_view text);

// Every text file of the project's folders, sorted by path.
std::vector<source_file> load_tree(const fs::path& root);

using findings = std::vector<finding>;

// One finding per broken rule and place.
findings check_spdx(const source_file& f);
findings check_pragma_once(const source_file& f);
findings check_machine_paths(const source_file& f);
findings check_calls(const source_file& f);
findings check_file_size(const source_file& f);
findings check_function_size(const source_file& f);
findings check_includes(const source_file& f, const fs::path& root);
// Rules about the whole: size of a family, share of long functions, large binary files.
findings check_tree(const std::vector<source_file>& files, const fs::path& root);

struct function_span {
    std::string name;
    std::size_t first_line = 0;
    std::size_t lines = 0;
};

std::vector<function_span> functions_of(std::string_view code);

// Everything above, minus the exceptions in exceptions_file: lines "rule where # reason". An
// exception without a reason, or one that excuses nothing, is a finding itself.
findings check_all(const fs::path& root, const fs::path& exceptions_file);

// What a shared library exports and needs. kind "plugin": the entry and nothing else, no librlx*,
// no foreign search path. kind "library": names of ours only.
findings check_library(const fs::path& file, std::string_view kind);

} // namespace lint
