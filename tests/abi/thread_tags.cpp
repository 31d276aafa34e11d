// SPDX-License-Identifier: GPL-3.0-only
// Every function pointer in every table of the ABI says which threads may call it: in its own
// comment, or in the comment of its table.   abi_thread_tags HEADER...   prints the ones that do
// not
#include <cstdio>
#include <fstream>
#include <regex>
#include <string>

namespace {

bool has_tag(const std::string& comment) {
    return comment.find("[any thread") != comment.npos ||
           comment.find("[one thread") != comment.npos;
}

struct scanner {
    const char* file = "";
    int untagged = 0, members = 0;
    std::string comment, table,
        of_table; // comment lines just above; the struct we are in and its comment

    void line(const std::string& text, int number) {
        static const std::regex member(R"(\(\*\s*([A-Za-z0-9_]+)\)\s*\()");
        static const std::regex open(R"(^typedef struct ([a-z0-9_]+) \{)");
        std::smatch m;
        const auto slashes = text.find("//");
        const std::string code = text.substr(0, slashes);
        const std::string trailing = slashes == text.npos ? "" : text.substr(slashes);
        if (code.find_first_not_of(" \t") == code.npos) {
            comment = slashes == text.npos ? "" : comment + trailing + "\n";
            return;
        }
        if (std::regex_search(code, m, open)) {
            table = m[1];
            of_table = comment;
        } else if (code.starts_with("}")) {
            table.clear();
        } else if (!table.empty() && std::regex_search(code, m, member)) {
            members++;
            if (!has_tag(comment) && !has_tag(trailing) && !has_tag(of_table)) {
                std::printf(
                    "%s:%d: %s.%s has no thread tag ([any thread], [one thread per ...])\n",
                    file,
                    number,
                    table.c_str(),
                    m[1].str().c_str()
                );
                untagged++;
            }
        }
        comment.clear();
    }
};

} // namespace

int main(int argc, char** argv) {
    int untagged = 0, members = 0;
    for (int i = 1; i < argc; i++) {
        std::ifstream in(argv[i]);
        scanner s;
        s.file = argv[i];
        std::string text;
        for (int number = 1; std::getline(in, text); number++)
            s.line(text, number);
        untagged += s.untagged;
        members += s.members;
    }
    if (members == 0) std::printf("no tables in what was given\n");
    return untagged || members == 0;
}
