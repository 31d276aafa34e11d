// SPDX-License-Identifier: GPL-3.0-only
// Chat templates of published checkpoints rendered byte for byte as transformers does
// (goldens/template_goldens.py).
#include "fake_weights.hpp"

#include <nlohmann/json.hpp>

namespace rlx::text_test {
namespace {

using json = nlohmann::ordered_json;

const json& golden() {
    static const json j = json::parse(read_file(RLX_TEXT_FIXTURES "/templates.golden.json"));
    return j;
}

std::string fnv1a(std::string_view text) {
    std::uint64_t h = 0xCBF29CE484222325;
    for (const char c : text)
        h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    char out[17];
    std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(h));
    return out;
}

class template_golden : public testing::TestWithParam<std::string> {};

TEST_P(template_golden, renders_what_transformers_renders) {
    std::string path = std::string(RLX_TEXT_FIXTURES "/") + GetParam();
    if (!std::filesystem::exists(path))
        path = std::string(RLX_SHARED_DATA "/templates/") + GetParam();
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
    const json& g = golden();
    const auto t = library().parse_template(
        read_file(path), g["bos"].get<std::string>(), g["eos"].get<std::string>()
    );
    ASSERT_TRUE(t.ok()) << t.error().message;
    for (const auto& [name, expected] : g["expected"][GetParam()].items()) {
        const std::size_t slash = name.find('/');
        json variant = g["variants"][name.substr(slash + 1)];
        render_options o;
        o.now = g["now"];
        o.add_generation_prompt = variant.value("add_generation_prompt", true);
        o.extra_json = variant.dump();
        const auto text = (*t)->render(g["conversations"][name.substr(0, slash)].dump(), o);
        const std::string got =
            text.ok() ? std::to_string(text->size()) + " " + fnv1a(*text) : "error";
        EXPECT_EQ(got, expected.get<std::string>()) << name << "\n"
                                                    << (text.ok() ? *text : text.error().message);
    }
}

std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const auto& [name, rows] : golden()["expected"].items())
        out.push_back(name);
    return out;
}

INSTANTIATE_TEST_SUITE_P(published, template_golden, testing::ValuesIn(names()), [](const auto& i) {
    std::string name = i.param.substr(0, i.param.rfind('.'));
    for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    return name;
});

} // namespace
} // namespace rlx::text_test
