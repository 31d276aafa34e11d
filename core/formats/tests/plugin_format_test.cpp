// SPDX-License-Identifier: GPL-3.0-only
// Files that a plugin reads, and names that a plugin knows, seen through the same checkpoint as all
// others.
#include "rlx/base/wall.hpp"
#include "rlx/formats/weights.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace rlx {
namespace {

// A "toy" file: 16 bytes of head, then f32 [2, 3] "a.weight" in the file; "b.weight" is computed by
// read(); both 1..6.
struct toy {
    rlx_format_tensor tensors[2];
    int opened = 0, closed = 0;
    std::string config = R"({"model_type": "toymodel", "hidden_size": 3, "list": [7, 8]})";
};

toy& state() {
    static toy t;
    return t;
}

rlx_error* toy_open(void*, std::uint32_t, const rlx_format_file* in, void** out) {
    if (in->bytes.n < 40) return to_wall({RLX_CORRUPT_DATA, "shorter than 40 bytes"});
    state().opened++;
    *out = &state();
    return nullptr;
}

rlx_error* toy_tensor(void*, void*, std::uint64_t i, rlx_format_tensor* out) {
    *out = state().tensors[i];
    return nullptr;
}

rlx_error*
toy_read(void*, void*, std::uint64_t i, std::uint64_t offset, void* dst, std::uint64_t n) {
    EXPECT_EQ(i, 1u);
    float all[6] = {1, 2, 3, 4, 5, 6};
    if (offset + n > sizeof all) return to_wall({RLX_INTERNAL, "asked beyond its end"});
    std::memcpy(dst, reinterpret_cast<char*>(all) + offset, n);
    return nullptr;
}

rlx_error* toy_meta(void*, void*, std::uint64_t, rlx_str* key, rlx_meta* out) {
    *key = str("hidden_size");
    *out = {sizeof *out, RLX_META_INT, 12, 0, {}};
    return nullptr;
}

rlx_error* toy_text(void*, void*, rlx_str name, rlx_bytes* out, std::uint32_t* found) {
    *found = view(name) == "config.json";
    *out = {state().config.data(), state().config.size()};
    return nullptr;
}

rlx_weight_format_v1 toy_table() {
    rlx_weight_format_v1 t{};
    t.hdr = {sizeof t, 1, 0};
    t.open = toy_open;
    t.close = [](void*, void*) { state().closed++; };
    t.tensor_count = [](void*, void*, std::uint64_t* n) -> rlx_error* { return *n = 2, nullptr; };
    t.tensor = toy_tensor;
    t.read = toy_read;
    t.meta_count = [](void*, void*, std::uint64_t* n) -> rlx_error* { return *n = 1, nullptr; };
    t.meta = toy_meta;
    t.text = toy_text;
    return t;
}

class plugin_format : public testing::Test {
protected:
    plugin_format()
        : dir(std::filesystem::temp_directory_path() / ("rlx-format-" + std::to_string(getpid()))) {
        std::filesystem::create_directories(dir);
        const float v[6] = {1, 2, 3, 4, 5, 6};
        std::ofstream out(dir / "model.toy", std::ios::binary);
        out.write("TOY1------------", 16).write(reinterpret_cast<const char*>(v), sizeof v);
        out.close();
        state() = {};
        state().tensors[0] = {
            sizeof(rlx_format_tensor),
            RLX_F32,
            2,
            {2, 3},
            RLX_FORMAT_IN_FILE,
            0,
            16,
            24,
            str("a.weight")};
        state().tensors[1] = {
            sizeof(rlx_format_tensor), RLX_F32, 2, {2, 3}, 0, 0, 0, 24, str("b.weight")};
        options.find_format = [this](
                                  const std::filesystem::path&, std::span<const std::byte> head
                              ) -> result<std::optional<weight_format>> {
            if (head.size() < 4 || std::memcmp(head.data(), "TOY1", 4) != 0)
                return std::optional<weight_format>();
            return std::optional<weight_format>(weight_format{"toy", &table, nullptr, 0});
        };
    }

    ~plugin_format() override { std::filesystem::remove_all(dir); }

    std::string refused() {
        auto w = weights::open(dir / "model.toy", options);
        if (w.ok()) return "opened";
        const std::string text = w.error().message, file = (dir / "model.toy").string() + ": ";
        EXPECT_TRUE(text.starts_with(file)) << text;
        return text.substr(std::min(file.size(), text.size()));
    }

    std::filesystem::path dir;
    open_options options;
    rlx_weight_format_v1 table = toy_table();
};

std::vector<float> rows(weights& w, std::string_view name, std::uint64_t first, std::uint64_t n) {
    std::vector<float> out(n * 3);
    if (rlx_error* e = weights_table()->read_f32(w.handle(), str(name), first, n, out.data()))
        ADD_FAILURE() << from_wall(e).message;
    return out;
}

} // namespace

TEST_F(plugin_format, is_a_checkpoint_like_any_other) {
    for (const auto& path : {dir / "model.toy", dir}) { // the lone file of a directory too
        auto opened = weights::open(path, options);
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        weights& w = **opened;
        EXPECT_EQ(w.format(), "toy");
        EXPECT_EQ(w.architecture(), "toymodel");
        EXPECT_EQ(w.meta_int("hidden_size"), 12); // a value of its own wins over the text
        EXPECT_EQ(w.meta_ints("list"), (std::vector<std::int64_t>{7, 8}));
        ASSERT_EQ(w.tensors().size(), 2u);
        rlx_bytes view{};
        ASSERT_EQ(weights_table()->view(w.handle(), str("a.weight"), &view), nullptr);
        EXPECT_EQ(view.n, 24u);
        ASSERT_EQ(weights_table()->view(w.handle(), str("b.weight"), &view), nullptr);
        EXPECT_EQ(view.p, nullptr);
        for (const char* name : {"a.weight", "b.weight"}) {
            EXPECT_EQ(rows(w, name, 1, 1), (std::vector<float>{4, 5, 6}));
            float raw[6] = {};
            EXPECT_EQ(weights_table()->read_rows(w.handle(), str(name), 0, 2, raw, 24), nullptr);
            EXPECT_EQ(raw[5], 6);
            weights_table()->release(w.handle(), str(name));
        }
        EXPECT_EQ(w.unused().size(), 2u);
    }
    EXPECT_EQ(state().opened, 2);
    EXPECT_EQ(state().closed, 2);
}

TEST_F(plugin_format, texts_beside_the_file_serve_when_it_has_none) {
    std::ofstream(dir / "tokenizer.json") << "{}";
    auto w = weights::open(dir / "model.toy", options);
    ASSERT_TRUE(w.ok());
    EXPECT_EQ((*w)->sidecar("tokenizer.json").value(), "{}");
    EXPECT_EQ((*w)->sidecar("config.json").value(), state().config);
    EXPECT_EQ((*w)->sidecar("generation_config.json").value(), std::nullopt);
}

TEST_F(plugin_format, what_the_plugin_says_is_not_trusted) {
    rlx_format_tensor& t = state().tensors[0];
    const rlx_format_tensor good = t;
    const auto says = [&](auto change, std::string_view want) {
        t = good;
        change(t);
        EXPECT_EQ(refused(), want);
        t = good;
    };
    says([](auto& x) { x.offset = 17; }, "tensor 0 'a.weight': 24 bytes at 17 of a file of 40");
    says(
        [](auto& x) { x.offset = UINT64_MAX; },
        "tensor 0 'a.weight': 24 bytes at 18446744073709551615 of a file of 40"
    );
    says([](auto& x) { x.n_bytes = 12; }, "tensor 0 'a.weight': 12 bytes, its shape needs 24");
    says([](auto& x) { x.rank = 9; }, "tensor 0 'a.weight': F32 of rank 9: no such shape");
    says([](auto& x) { x.dim[0] = -2; }, "tensor 0 'a.weight': F32 of rank 2: no such shape");
    says([](auto& x) { x.dtype = 999; }, "tensor 0 'a.weight': type 999 of rank 2: no such shape");
    says([](auto& x) { x.name = {}; }, "tensor 0 '': a name of 1 to 65535 bytes is expected");
    table.read = nullptr;
    EXPECT_EQ(
        refused(), "tensor 1 'b.weight': its bytes are not in the file and the format has no read()"
    );
    table = toy_table();
    state().tensors[1].name = str("a.weight");
    EXPECT_NE(refused().find("'a.weight' is in"), std::string::npos);
    table.hdr.size = 16;
    EXPECT_NE(refused().find("lacks open, close"), std::string::npos);
    EXPECT_EQ(state().opened, state().closed);
}

TEST_F(plugin_format, a_file_nobody_reads_is_unsupported) {
    std::ofstream(dir / "other.xyz") << "something else, long enough";
    const auto w = weights::open(dir / "other.xyz", options);
    ASSERT_FALSE(w.ok());
    EXPECT_EQ(w.error().code, static_cast<std::uint32_t>(RLX_UNSUPPORTED));
    EXPECT_NE(w.error().message.find("and no plugin reads it"), std::string::npos);
}

TEST_F(plugin_format, names_of_a_plugin_win_and_its_alias_is_what_families_see) {
    options.find_names = [](std::string_view format,
                            std::string_view arch) -> result<tensor_names> {
        EXPECT_EQ(format, "toy");
        EXPECT_EQ(arch, "toymodel");
        return tensor_names{
            {{"up.weight", "b.weight"}, {"plus", "a.weight", RLX_TX_PLUS_ONE, ""}}, "llama"};
    };
    auto w = weights::open(dir, options);
    ASSERT_TRUE(w.ok()) << w.error().message;
    EXPECT_EQ((*w)->architecture(), "llama");
    EXPECT_EQ((*w)->stored_architecture(), "toymodel");
    EXPECT_EQ(rows(**w, "plus", 0, 1), (std::vector<float>{0, 1, 2}));
    rlx_error* e = weights_table()->require((*w)->handle(), str("missing"), nullptr);
    ASSERT_NE(e, nullptr);
    from_wall(e);
    options.find_names = [](auto, auto) -> result<tensor_names> {
        return tensor_names{{{"other.weight", "b.weight"}, {"gone.weight", "c.weight"}}, ""};
    };
    w = weights::open(dir, options);
    ASSERT_TRUE(w.ok()) << w.error().message;
    EXPECT_EQ((*w)->architecture(), "toymodel");
    EXPECT_EQ(rows(**w, "other.weight", 1, 1), (std::vector<float>{4, 5, 6}));
    e = weights_table()->require((*w)->handle(), str("gone.weight"), nullptr);
    ASSERT_NE(e, nullptr);
    EXPECT_NE(from_wall(e).message.find("(looked for 'c.weight')"), std::string::npos);
    options.find_names = [](auto, auto) -> result<tensor_names> {
        return tensor_names{{{"x", "y{}"}}, ""};
    };
    EXPECT_FALSE(weights::open(dir, options).ok());
}

} // namespace rlx
