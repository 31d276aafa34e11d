// SPDX-License-Identifier: GPL-3.0-only
// Writes docs/ops.md from ops.def: ops_doc <ops.def> <intro.md> <ops.md> [--check]. With --check
// nothing is written; the exit status is 1 when the file is not what would be written.
#include "rlx/graph/ops.hpp"

#include "rlx/abi/graph.h"

#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using namespace rlx;

struct section {
    std::string op; // empty: text of a group
    std::vector<std::string> text;
};

struct group {
    std::string name;
    std::vector<section> sections;
};

struct document {
    std::vector<std::string> head; // what holds for every op
    std::vector<group> groups;
};

// Comments of ops.def without their "// ".
document read(std::istream& in) {
    document d;
    std::vector<std::string> text;
    std::string line;
    bool head = true;
    while (std::getline(in, line)) {
        if (line.starts_with("// ----")) {
            const std::size_t stop = line.find(" --", 8);
            d.groups.push_back({line.substr(8, stop - 8), {}});
            text.clear();
            head = false;
        } else if (line.starts_with("RLX_OP(")) {
            const std::size_t from = line.find(", ") + 2;
            const std::string op = line.substr(from, line.find(',', from) - from);
            d.groups.back().sections.push_back({op, std::move(text)});
            text.clear();
        } else if (line == "//" && !head) { // what came before is about the group
            d.groups.back().sections.push_back({"", std::move(text)});
            text.clear();
        } else if (line.starts_with("//") && line.find("SPDX") == std::string::npos) {
            (head ? d.head : text).push_back(line.size() > 3 ? line.substr(3) : "");
        }
    }
    return d;
}

std::string block(const std::vector<std::string>& text) {
    std::string s = "```text\n";
    for (const std::string& line : text)
        s += line + "\n";
    return s + "```\n";
}

const char* kind_name(op_kind k) {
    return k == op_kind::view ? "view" : k == op_kind::primitive ? "primitive" : "composite";
}

std::string facts(const op_desc& op) {
    const std::string inputs = op.min_inputs == op.max_inputs
                                   ? fmt::format("{}", op.min_inputs)
                                   : fmt::format("{} to {}", op.min_inputs, op.max_inputs);
    std::string s = fmt::format(
        "id {}, version {}, {}, inputs {}, outputs {}",
        op.id,
        op.version,
        kind_name(op.kind),
        inputs,
        op.n_outputs
    );
    std::string attrs;
    for (const attr_desc& a : op.attrs) {
        const char* kind = a.kind == RLX_ATTR_I64   ? "int"
                           : a.kind == RLX_ATTR_F64 ? "real"
                                                    : "list";
        attrs += fmt::format(
            "{}`{}` {}{}", attrs.empty() ? "" : ", ", a.name, kind, a.required ? "" : "?"
        );
    }
    return s + (attrs.empty() ? "" : "; attributes " + attrs) + "\n";
}

std::string table() {
    std::size_t n[3] = {0, 0, 0};
    for (const op_desc& op : op_list())
        n[static_cast<std::size_t>(op.kind)]++;
    return fmt::format(
        "{} ops: {} views, {} primitives, {} composites.\n", op_list().size(), n[0], n[1], n[2]
    );
}

std::string write(const document& d, const std::string& intro) {
    std::string s = intro + "\n## All ops\n\n" + table() + "\n" + block(d.head);
    for (const group& g : d.groups) {
        s += fmt::format("\n## {}\n", g.name);
        for (const section& x : g.sections) {
            if (const op_desc* op = op_by_name(x.op))
                s += fmt::format("\n### {}\n\n{}", x.op, facts(*op));
            if (!x.text.empty()) s += "\n" + block(x.text);
        }
    }
    return s;
}

std::string all_of(std::istream& in) {
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        fmt::print(stderr, "usage: ops_doc ops.def intro.md ops.md [--check]\n");
        return 2;
    }
    std::ifstream def(argv[1]), intro(argv[2]);
    if (!def || !intro) {
        fmt::print(stderr, "cannot read {} or {}\n", argv[1], argv[2]);
        return 3;
    }
    const std::string text = write(read(def), all_of(intro));
    if (argc > 4 && std::string_view(argv[4]) == "--check") {
        std::ifstream have(argv[3], std::ios::binary);
        if (all_of(have) == text) return 0;
        fmt::print(
            stderr,
            "{} is not what ops.def says: build the target ops_doc_write and commit\n",
            argv[3]
        );
        return 1;
    }
    std::ofstream out(argv[3], std::ios::binary);
    out << text;
    return out.flush() ? 0 : 1;
}
