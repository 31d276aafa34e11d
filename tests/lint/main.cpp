// SPDX-License-Identifier: GPL-3.0-only
// rlx_lint tree ROOT EXCEPTIONS | rlx_lint plugin|library FILE...: prints what breaks the rules,
// exit status 1 if anything.
#include "lint.hpp"

#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
    lint::findings found;
    if (argc == 4 && std::strcmp(argv[1], "tree") == 0) {
        found = lint::check_all(argv[2], argv[3]);
    } else if (argc > 2 && (std::strcmp(argv[1], "plugin") == 0 || std::strcmp(argv[1], "library") == 0)) {
        for (int i = 2; i < argc; i++) {
            for (auto& f : lint::check_library(argv[i], argv[1]))
                found.push_back(std::move(f));
        }
    } else {
        std::fputs(
            "usage: rlx_lint tree ROOT EXCEPTIONS | rlx_lint plugin|library FILE...\n", stderr
        );
        return 2;
    }
    for (const auto& f : found)
        std::printf("%s: %s: %s\n", f.where.c_str(), f.rule.c_str(), f.message.c_str());
    return found.empty() ? 0 : 1;
}
