// SPDX-License-Identifier: GPL-3.0-only
// The headers and ops.def of a release, as text, against today's: every declaration of the release
// is still there, word for word. Sizes and offsets (layout.golden) do not see a type of equal size,
// two parameters that changed places, or a text. Parameter names count: of two parameters of one
// type only the names tell which is which. Enumerators are pinned by layout-*.golden.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using texts = std::vector<std::string>;

struct declarations {
    std::map<std::string, texts> structs;        // members in order
    std::map<std::string, std::string> typedefs; // all others: functions, opaque objects
    std::map<std::string, std::string> defines;  // with their parameters
    std::map<std::string, std::string>
        ops; // rows of ops.def without the shape rule, the host's own
};

std::string normalised(const std::string& text) {
    const std::string single = std::regex_replace(text, std::regex(R"(\s+)"), " ");
    return std::regex_replace(single, std::regex(R"( ?([*,;(){}\[\]]) ?|^ | $)"), "$1");
}

// The last word outside of brackets, or for a function's type the word in "(*word)".
std::string typedef_name(const std::string& text) {
    std::smatch m;
    if (std::regex_search(text, m, std::regex(R"(\(\*(\w+)\))"))) return m[1];
    std::regex_search(text, m, std::regex(R"((\w+)(\[\w*\])*$)"));
    return m[1];
}

declarations parse(std::string text) {
    declarations out;
    text = std::regex_replace(text, std::regex(R"(\\\n)"), " ");
    text = std::regex_replace(text, std::regex(R"(//[^\n]*|/\*[^*]*\*+([^/*][^*]*\*+)*/)"), " ");
    const std::regex row(R"(\nRLX_OP(_ATTR)?\(([^)]*)\))");
    for (std::sregex_iterator m(text.begin(), text.end(), row), end; m != end; ++m) {
        const std::string fields = normalised((*m)[2]);
        const auto last = fields.rfind(',');
        if ((*m)[1].matched) // by op and attribute
            out.ops.emplace(fields.substr(0, fields.find(',', fields.find(',') + 1)), fields);
        else
            out.ops.emplace(fields.substr(0, fields.find(',')), fields.substr(0, last));
    }
    const std::regex line(R"(#[ \t]*(\w+)[ \t]*([^\n]*))");
    for (std::sregex_iterator m(text.begin(), text.end(), line), end; m != end; ++m) {
        if ((*m)[1] != "define") continue;
        const std::string body = (*m)[2];
        const auto name_end = body.find_first_of(" \t(");
        // A name without a value, and RLX_OP, made anew for each inclusion of ops.def, promise
        // nothing.
        if (name_end != body.npos)
            out.defines.emplace(body.substr(0, name_end), normalised(body.substr(name_end)));
    }
    text = normalised(std::regex_replace(text, std::regex(R"(#[^\n]*)"), " "));
    const std::regex declaration(R"(typedef (?:struct (\w+)\{([^{}]*)\}\w+|([^{};]+));)");
    for (std::sregex_iterator m(text.begin(), text.end(), declaration), end; m != end; ++m) {
        if (!(*m)[1].matched) {
            out.typedefs.emplace(typedef_name((*m)[3]), (*m)[3]);
            continue;
        }
        texts& members = out.structs[(*m)[1]];
        std::istringstream in((*m)[2]);
        for (std::string member; std::getline(in, member, ';');)
            members.push_back(member);
    }
    return out;
}

void compare_texts(
    const std::map<std::string, std::string>& before,
    const std::map<std::string, std::string>& now,
    texts& out
) {
    for (const auto& [name, text] : before)
        if (const auto found = now.find(name); found == now.end())
            out.push_back(name + ": removed");
        else if (found->second != text)
            out.push_back(name + ": was '" + text + "', is '" + found->second + "'");
}

// What a plugin that was compiled with `before` would misunderstand.
texts broken(const declarations& before, const declarations& now) {
    texts out;
    for (const auto& [name, members] : before.structs) {
        const auto found = now.structs.find(name);
        if (found == now.structs.end()) {
            out.push_back(name + ": removed");
            continue;
        }
        for (std::size_t i = 0; i < members.size(); ++i) {
            const std::string is = i < found->second.size() ? found->second[i] : "";
            if (is != members[i])
                out.push_back(name + ": was '" + members[i] + "', is '" + is + "'");
        }
    }
    compare_texts(before.typedefs, now.typedefs, out);
    auto defines = before.defines;
    defines.erase("RLX_ABI_MINOR");
    compare_texts(defines, now.defines, out);
    compare_texts(before.ops, now.ops, out);
    return out;
}

// All headers of a folder and ops.def, one behind the other: where a declaration stands is no part
// of it.
std::string headers(const fs::path& dir) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(dir))
        if (entry.path().extension() == ".h" || entry.path().extension() == ".def")
            files.push_back(entry.path());
    std::ranges::sort(files);
    std::ostringstream out;
    for (const fs::path& file : files)
        out << std::ifstream(file).rdbuf() << '\n';
    return out.str();
}

std::vector<fs::path> releases() {
    std::vector<fs::path> out;
    for (const auto& entry : fs::directory_iterator(RLX_RELEASES))
        if (entry.is_directory() && entry.path().filename().string().starts_with("sdk-"))
            out.push_back(entry.path() / "rlx/abi");
    return out;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    EXPECT_NE(at, text.npos) << "not in the headers: " << from;
    return at == text.npos ? text : text.replace(at, from.size(), to);
}

TEST(abi_declarations, of_every_release_are_unchanged_today) {
    const declarations now = parse(headers(RLX_ABI));
    ASSERT_FALSE(releases().empty());
    for (const fs::path& release : releases())
        for (const std::string& finding : broken(parse(headers(release)), now))
            ADD_FAILURE() << release << ": " << finding;
}

TEST(abi_declarations, are_all_found) {
    const std::string text = headers(fs::path(RLX_RELEASES) / "sdk-1.0/rlx/abi");
    const declarations d = parse(text);
    const auto count = [&](const char* pattern) {
        const std::regex re(pattern);
        return static_cast<std::size_t>(
            std::distance(std::sregex_iterator(text.begin(), text.end(), re), {})
        );
    };
    EXPECT_EQ(d.structs.size(), count(R"(typedef struct \w+ \{)"));
    EXPECT_EQ(d.structs.size() + d.typedefs.size(), count(R"(typedef )"));
    EXPECT_EQ(d.structs.at("rlx_str"), (texts{"const char*p", "uint64_t n"}));
    EXPECT_EQ(d.structs.at("rlx_host").size(), 8U);
    EXPECT_EQ(d.typedefs.at("rlx_error"), "struct rlx_error rlx_error");
    EXPECT_EQ(d.typedefs.count("rlx_plugin_entry_fn"), 1U);
    EXPECT_EQ(d.defines.at("RLX_NOTE_TYPE"), "0x584c5201u");
    EXPECT_EQ(d.defines.count("RLX_HAS"), 1U);
    EXPECT_EQ(d.ops.size(), count(R"(\nRLX_OP(_ATTR)?\()"));
    EXPECT_EQ(d.ops.at("2"), "2,Permute,1,1,1,1,View");
    EXPECT_EQ(d.ops.at("Permute,perm"), "Permute,perm,LIST,1");
}

TEST(abi_declarations, may_be_spaced_commented_and_continued) {
    const std::string text = headers(RLX_ABI);
    const declarations before = parse(text);
    std::string now = replaced(
        text,
        "(*error_new)(void* ctx, uint32_t code,",
        "(*error_new)(\n  void *ctx, /* * */ uint32_t  code,"
    );
    now = replaced(now, "} rlx_host;", "    void (*added)(void* ctx); // minor 9\n} rlx_host;");
    now = replaced(now, "#define RLX_ABI_MINOR ", "#define RLX_ABI_MINOR 1");
    now = replaced(now, "#define RLX_MAX_RANK 8", "#define RLX_MAX_RANK  8 // axes");
    now += "#define RLX_NEW 1\ntypedef struct rlx_new { uint32_t size; } rlx_new;\n";
    EXPECT_EQ(broken(before, parse(now)), texts{});
}

TEST(abi_declarations, that_change_at_equal_size_are_caught) {
    const struct {
        const char *from, *to, *finding;
    } mutations[] = {
        {"(*error_new)(void* ctx, uint32_t code, rlx_str message,",
         "(*error_new)(void* ctx, rlx_str message, uint32_t code,",
         "rlx_host: was '"},
        {"(*log)(void* ctx, uint32_t level,", "(*log)(void* ctx,", "rlx_host: was '"},
        {"uint64_t first, uint64_t n, float* dst",
         "uint64_t n, uint64_t first, float* dst",
         "rlx_weights_v1: was '"},
        {"    double f; ", "    int64_t f; ", "rlx_meta: was 'double f', is 'int64_t f'"},
        {"    rlx_str hf;\n    rlx_str gguf;",
         "    rlx_str gguf;\n    rlx_str hf;",
         "rlx_name_rule: was '"},
        {"    void (*quiesce)(void* self);",
         "",
         "rlx_plugin: was 'void(*quiesce)(void*self)', is ''"},
        {"(*rlx_plugin_entry_fn)(const rlx_host* host,",
         "(*rlx_plugin_entry_fn)(rlx_host* host,",
         "rlx_plugin_entry_fn: was '"},
        {"typedef struct rlx_options rlx_options;",
         "typedef void rlx_options;",
         "rlx_options: was '"},
        {"\"rlx_plugin_entry_v1\"", "\"rlx_plugin_entry_v2\"", "RLX_PLUGIN_ENTRY_SYMBOL: was '"},
        {"#define RLX_NOTE_OWNER \"RLX\"",
         "#define RLX_NOTE_OWNER \"XLR\"",
         "RLX_NOTE_OWNER: was '"},
        {"#define RLX_NOTE_OWNER \"RLX\"", "", "RLX_NOTE_OWNER: removed"},
        {"#define RLX_MAX_RANK 8", "#define RLX_MAX_RANK 9", "RLX_MAX_RANK: was '"},
        {"RLX_OP(2, Permute, 1, 1, 1, 1, View,",
         "RLX_OP(2, Permute, 1, 1, 1, 1, Primitive,",
         "2: was '2,Permute,1,1,1,1,View', is"},
        {"RLX_OP_ATTR(Permute, perm, LIST, 1)", "", "Permute,perm: removed"}};

    const std::string text = headers(RLX_ABI);
    for (const auto& m : mutations) {
        const texts found = broken(parse(text), parse(replaced(text, m.from, m.to)));
        ASSERT_GE(found.size(), 1U) << m.to;
        EXPECT_TRUE(found.front().starts_with(m.finding)) << found.front();
    }
}

} // namespace
