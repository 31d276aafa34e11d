// SPDX-License-Identifier: GPL-3.0-only
// Holds a layout of the ABI (what abi_layout prints) against a released one: what was released
// stays, new members go to the end.   abi_frozen_layout RELEASED NOW
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct member {
    std::string name;
    long offset, size;
};

struct table {
    long size = 0;
    std::vector<member> members;

    const member* find(std::string_view name) const {
        const auto at = std::find_if(members.begin(), members.end(), [&](const member& m) {
            return m.name == name;
        });
        return at == members.end() ? nullptr : &*at;
    }

    // Its readers know how long it is: from its header, its size member, or a stride beside the
    // array.
    bool may_grow(std::string_view name) const {
        constexpr std::array strided{"rlx_binding", "rlx_name_rule"};
        if (std::find(strided.begin(), strided.end(), name) != strided.end()) return true;
        return !members.empty() && (members[0].name == "hdr" || members[0].name == "size");
    }
};

struct op {
    std::string row;                          // "= 49 v1 2..2 -> 1"
    std::map<std::string, std::string> attrs; // name -> "I64 1"
};

struct layout {
    std::map<std::string, table> tables;
    std::map<std::string, std::string> constants;
    std::map<std::string, op> ops;
};

layout read(const char* file) {
    layout out;
    std::ifstream in(file);
    std::string line, open_table, open_op;
    bool in_ops = false;
    while (std::getline(in, line)) {
        if (line.starts_with("#")) {
            in_ops = line == "# ops.def";
            continue;
        }
        std::istringstream words(line);
        std::string name, rest;
        words >> name;
        std::getline(words, rest);
        rest.erase(0, 1);
        if (line.starts_with("  ") && in_ops) {
            out.ops[open_op].attrs[name] = rest;
        } else if (line.starts_with("  ")) {
            member m{name, 0, 0};
            std::sscanf(rest.c_str(), "%ld %ld", &m.offset, &m.size);
            out.tables[open_table].members.push_back(m);
        } else if (in_ops) {
            out.ops[open_op = name].row = rest;
        } else if (rest.starts_with("= ")) {
            out.constants[name] = rest.substr(2);
        } else {
            out.tables[open_table = name].size = std::atol(rest.c_str());
        }
    }
    return out;
}

int broken = 0;

void fault(const std::string& what, const char* rule) {
    std::printf("%s: %s\n", what.c_str(), rule);
    broken++;
}

std::string place(const member& m) {
    return "offset " + std::to_string(m.offset) + ", " + std::to_string(m.size) + " bytes";
}

void compare_table(const std::string& name, const table& old, const table* now) {
    if (!now)
        return fault(name, "removed; a released struct stays for the life of the major version");
    if (now->size < old.size)
        fault(name, "is smaller than it was released; plugins read and write its old size");
    if (now->size != old.size && !old.may_grow(name))
        fault(name, "has no size or stride that crosses with it, so it can never grow");
    for (const member& m : old.members) {
        const std::string what = name + "." + m.name;
        const member* after = now->find(m.name);
        if (!after) {
            fault(what, "removed; set it to NULL or 0 instead, the place stays taken");
        } else if (after->offset != m.offset || after->size != m.size) {
            fault(
                what + " (" + place(m) + ", now " + place(*after) + ")",
                "moved or resized; add a new member at the end instead"
            );
        }
    }
    for (const member& m : now->members) {
        if (!old.find(m.name) && m.offset < old.size)
            fault(name + "." + m.name, "inserted; a table grows at its end only");
    }
}

void compare_op(const std::string& name, const op& old, const op* now) {
    if (!now) return fault("op " + name, "removed; ids are never reused, deprecate it instead");
    if (now->row != old.row)
        fault("op " + name + " (" + old.row + ", now " + now->row + ")", "changed; add another op");
    for (const auto& [attr, row] : old.attrs) {
        const auto after = now->attrs.find(attr);
        if (after == now->attrs.end() || after->second != row)
            fault("op " + name + " attribute " + attr, "removed or changed; add another one");
    }
    for (const auto& [attr, row] : now->attrs) {
        if (!old.attrs.count(attr) && row.ends_with("1"))
            fault(
                "op " + name + " attribute " + attr,
                "added as required; families that exist do not set it"
            );
    }
}

// Two ops of one id, two attributes of one key: nobody could tell them apart.
void compare_ids(const layout& now) {
    std::map<std::string, std::string> taken;
    const auto take = [&](const std::string& id, const std::string& name) {
        const auto [other, is_new] = taken.try_emplace(id, name);
        if (!is_new) fault(name, ("has the number of " + other->second).c_str());
    };
    for (const auto& [name, o] : now.ops)
        take("op " + o.row.substr(0, o.row.find(" v")), "op " + name);
    for (const auto& [name, value] : now.constants) // in lower case: keys; the others are kinds
        if (name.starts_with("RLX_ATTR_") && std::islower(static_cast<unsigned char>(name[9])))
            take("key " + value, name);
}

template <class Map>
const typename Map::mapped_type* find(const Map& map, const std::string& key) {
    const auto at = map.find(key);
    return at == map.end() ? nullptr : &at->second;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const layout old = read(argv[1]);
    const layout now = read(argv[2]);
    if (old.tables.empty() || old.constants.empty() || old.ops.empty() || now.tables.empty()) {
        std::printf("%s or %s is no layout\n", argv[1], argv[2]);
        return 2;
    }
    for (const auto& [name, t] : old.tables)
        compare_table(name, t, find(now.tables, name));
    for (const auto& [name, value] : old.constants) {
        const std::string* after = find(now.constants, name);
        if (!after) fault(name, "removed; constants are never removed");
        if (after && *after != value)
            fault(
                name + " (" + value + ", now " + *after + ")", "renumbered; numbers never change"
            );
    }
    for (const auto& [name, o] : old.ops)
        compare_op(name, o, find(now.ops, name));
    compare_ids(now);
    if (broken == 0) return 0;
    std::printf(
        "%d break%s of the contract of %s: plugins that exist would not survive this host "
        "(docs/abi.md)\n",
        broken,
        broken == 1 ? "" : "s",
        argv[1]
    );
    return 1;
}
