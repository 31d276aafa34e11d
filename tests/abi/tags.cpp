// SPDX-License-Identifier: GPL-3.0-only
// Every function pointer of the ABI says which threads may call it and who owns what it is handed
// and hands out, in its own comment or in the comment of its table (rlx/abi/abi.h explains the
// tags).
//   abi_tags HEADER...          prints the ones that do not
//   abi_tags --list HEADER...   docs/abi-members.md
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

struct member {
    std::string file, table, name, code; // table: empty for a callback
    int line = 0;
    std::string own, of_table; // comments
    std::vector<std::string> threads = {}, owners = {};

    std::string full_name() const { return table.empty() ? name : table + "." + name; }
};

struct headers {
    std::vector<member> members;
    std::set<std::string> carriers; // structs that hold pointers
};

bool found(const std::string& text, const char* pattern) {
    return std::regex_search(text, std::regex(pattern));
}

class scanner {
public:
    scanner(const std::string& file, headers& out) : file_(file), out_(out) {}

    void line(const std::string& text, int number) {
        const auto slashes = text.find("//");
        const std::string code = text.substr(0, slashes);
        const std::string trailing = slashes == text.npos ? "" : text.substr(slashes);
        if (code.find_first_not_of(" \t") == code.npos) {
            comment_ = slashes == text.npos ? "" : comment_ + trailing + "\n";
            return;
        }
        declaration(code, trailing, number);
        comment_.clear();
    }

private:
    void declaration(const std::string& code, const std::string& trailing, int number) {
        static const std::regex pointer(R"(\(\*\s*([A-Za-z0-9_]+)\)\s*\()");
        static const std::regex open(R"(^typedef struct ([a-z0-9_]+) \{)");
        std::smatch m;
        if (std::regex_search(code, m, open)) {
            table_ = m[1];
            of_table_ = comment_;
        } else if (code.starts_with("}")) {
            table_.clear();
        } else if (std::regex_search(code, m, pointer)) {
            const bool callback = table_.empty();
            out_.members.push_back(
                {file_, table_, m[1], code, number, comment_ + trailing, callback ? "" : of_table_}
            );
        } else if (!table_.empty() && found(code, R"(\*|rlx_str|rlx_bytes)")) {
            out_.carriers.insert(table_);
        }
    }

    std::string file_;
    headers& out_;
    std::string comment_, table_, of_table_; // just above; the struct we are in and its comment
};

headers read(const std::vector<std::string>& files) {
    headers out;
    for (const auto& file : files) {
        std::ifstream in(file);
        scanner s(file, out);
        std::string text;
        for (int number = 1; std::getline(in, text); number++)
            s.line(text, number);
    }
    return out;
}

// ---- tags

std::vector<std::string> tags(const std::string& comment, const std::string& pattern) {
    const std::regex all(R"(\[()" + pattern + R"()\])");
    std::vector<std::string> out;
    for (auto it = std::sregex_iterator(comment.begin(), comment.end(), all);
         it != std::sregex_iterator();
         ++it)
        out.push_back((*it)[1]);
    return out;
}

const std::string thread_tag = R"(any thread|one thread per \w+)";
const std::string owner_tag =
    R"(borrows|takes|gives: \w+|lends: (?:process|end|change)|keeps: (?:process|end|change))";

void read_tags(member& m) {
    m.threads = tags(m.own, thread_tag);
    if (m.threads.empty()) m.threads = tags(m.of_table, thread_tag);
    m.owners = tags(m.own, owner_tag);
    if (m.owners.empty()) m.owners = tags(m.of_table, owner_tag);
}

bool says(const member& m, std::string_view word) {
    return std::ranges::any_of(m.owners, [&](const auto& tag) { return tag.starts_with(word); });
}

// What comes out of the call that is, or holds, a pointer.
bool hands_out(const headers& h, const member& m) {
    if (found(m.code, R"(^\s*(typedef )?(rlx_str|rlx_bytes|[a-z0-9_ ]+\*) \()") &&
        !found(m.code, R"(^\s*(typedef )?rlx_error\* \()"))
        return true;
    const std::string arguments = m.code.substr(m.code.find(")("));
    if (found(arguments, R"(\*\*|[(,] ?rlx_(str|bytes)\* )")) return true;
    return std::ranges::any_of(h.carriers, [&](const auto& name) {
        return found(arguments, (R"([(,] ?)" + name + R"(\* )").c_str());
    });
}

std::string wrong(const headers& h, const member& m) {
    if (m.threads.empty()) return "has no thread tag ([any thread], [one thread per ...])";
    if (m.threads.size() > 1) return "has several thread tags";
    if (m.owners.empty()) return "has no ownership tag ([borrows], [gives: MEMBER], ...)";
    if (says(m, "borrows") && m.owners.size() > 1) return "[borrows] and something else";
    const bool ends = found(m.name, R"((^|_)(free|close|destroy)($|_))");
    if (ends != (says(m, "takes") && !says(m, "gives")))
        return ends ? "ends an object and is not [takes]" : "is [takes] and ends no object";
    if (!ends && hands_out(h, m) && !says(m, "gives") && !says(m, "lends"))
        return "hands out a pointer and is neither [gives: MEMBER] nor [lends: UNTIL]";
    for (const auto& tag : m.owners) {
        if (!tag.starts_with("gives: ")) continue;
        const bool known = std::ranges::any_of(h.members, [&](const member& other) {
            return other.table == m.table && "gives: " + other.name == tag;
        });
        if (!known) return "[" + tag + "]: its table has no such member";
    }
    return {};
}

// A word of ours in brackets that is no tag.
std::string misspelt(const member& m) {
    for (const auto& tag :
         tags(m.own + m.of_table, R"((?:borrow|take|give|lend|keep|any |one )[^\]]*)"))
        if (!std::regex_match(tag, std::regex(thread_tag + "|" + owner_tag)))
            return "[" + tag + "] is no tag";
    return {};
}

int check(const headers& h) {
    int faults = 0;
    for (const member& m : h.members) {
        std::string why = misspelt(m);
        if (why.empty()) why = wrong(h, m);
        if (why.empty()) continue;
        std::printf("%s:%d: %s %s\n", m.file.c_str(), m.line, m.full_name().c_str(), why.c_str());
        faults++;
    }
    if (h.members.empty()) std::printf("no tables in what was given\n");
    return faults || h.members.empty();
}

// ---- the page

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& word : words)
        out += (out.empty() ? "" : ", ") + word;
    return out;
}

void list(const headers& h) {
    std::printf("# Members of the ABI\n\n"
                "Made from the comments of the headers by `abi_tags --list`; a test compares them. "
                "The tags are explained in "
                "[abi.md](abi.md), the members in the headers.\n");
    const std::string* table = nullptr;
    for (const member& m : h.members) {
        if (!table || *table != m.table) {
            std::printf(
                "\n## %s\n\n", m.table.empty() ? "Callbacks and the entry" : m.table.c_str()
            );
            std::printf("| member | threads | ownership |\n|---|---|---|\n");
        }
        table = &m.table;
        std::printf(
            "| `%s` | %s | %s |\n",
            m.name.c_str(),
            joined(m.threads).c_str(),
            joined(m.owners).c_str()
        );
    }
}

} // namespace

int main(int argc, char** argv) {
    std::vector<std::string> files(argv + 1, argv + argc);
    const bool listing = !files.empty() && files[0] == "--list";
    if (listing) files.erase(files.begin());
    headers h = read(files);
    std::ranges::for_each(h.members, read_tags);
    std::ranges::stable_sort(h.members, {}, [](const member& m) { return m.table.empty(); });
    if (!listing) return check(h);
    list(h);
    return 0;
}
