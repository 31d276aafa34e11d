// SPDX-License-Identifier: GPL-3.0-only
// The device behind the table: facts, tiers, buffers; and which tier a set of processor features
// allows.
#include "net.hpp"
#include "tier.hpp"

using namespace rlx;
using namespace rlx::cpu_test;

namespace {

std::string take(rlx_error* e) {
    return e ? from_wall(e).message : std::string();
}

} // namespace

TEST(device, names_itself_its_tier_and_its_memory) {
    options o;
    ASSERT_EQ(backend().device_count(nullptr), 1u);
    ASSERT_EQ(take(backend().device_info(nullptr, 0, o.handle())), "");
    EXPECT_EQ(o.get_string("name"), "cpu");
    EXPECT_FALSE(o.get_string("description").value_or("").empty());
    EXPECT_EQ(o.get_string("tier"), cpu::tier_name(cpu::best_tier(cpu::detect_features())));
    EXPECT_GT(o.get_int("memory").value_or(0), 1 << 20);
    EXPECT_NE(
        take(backend().device_info(nullptr, 1, o.handle())).find("device 1 of 1"), std::string::npos
    );
}

TEST(device, an_unknown_tier_is_refused_with_the_choices) {
    options o;
    o.set_string("tier", "avx9");
    void* d = nullptr;
    const std::string e = take(backend().open(nullptr, 0, o.handle(), &d));
    EXPECT_NE(e.find("unknown tier 'avx9'"), std::string::npos);
    EXPECT_NE(e.find("avx512_vnni"), std::string::npos);
    EXPECT_EQ(d, nullptr);
}

TEST(device, a_tier_the_processor_lacks_names_what_is_missing) {
    cpu::cpu_features f;
    char text[160];
    EXPECT_FALSE(cpu::tier_missing(f, cpu::tier::baseline, text, sizeof text));
    EXPECT_STREQ(text, "");
    f.avx2 = f.fma = f.bmi2 = true;
    EXPECT_TRUE(cpu::tier_missing(f, cpu::tier::avx2, text, sizeof text));
    EXPECT_STREQ(text, "F16C");
    EXPECT_TRUE(cpu::tier_missing(f, cpu::tier::avx512_vnni, text, sizeof text));
    EXPECT_STREQ(text, "F16C, AVX-512 F/BW/VL/DQ, AVX-512 VNNI");
    EXPECT_EQ(cpu::best_tier(f), cpu::tier::baseline);
    f.f16c = true;
    EXPECT_EQ(cpu::best_tier(f), cpu::tier::avx2);
    f.avx512 = true;
    EXPECT_EQ(cpu::best_tier(f), cpu::tier::avx512);
    f.avx512_vnni = true;
    EXPECT_EQ(cpu::best_tier(f), cpu::tier::avx512_vnni);
    f.amx = true;
    EXPECT_TRUE(cpu::tier_missing(f, cpu::tier::amx, text, sizeof text));
    EXPECT_STREQ(text, "AVX-512 BF16");
    f.avx512_bf16 = true;
    EXPECT_EQ(cpu::best_tier(f), cpu::tier::amx);
    char small[6];
    EXPECT_TRUE(cpu::tier_missing({}, cpu::tier::avx512_vnni, small, sizeof small));
    EXPECT_EQ(std::strlen(small), 5u) << "cut, terminated";
}

TEST(device, every_tier_this_machine_lacks_cannot_be_opened) {
    for (int i = 0; i < cpu::n_tiers; ++i) {
        const auto t = static_cast<cpu::tier>(i);
        char missing[160];
        const bool lacks = cpu::tier_missing(cpu::detect_features(), t, missing, sizeof missing);
        options o;
        o.set_string("tier", cpu::tier_name(t));
        void* d = nullptr;
        rlx_error* e = backend().open(nullptr, 0, o.handle(), &d);
        EXPECT_EQ(e != nullptr, lacks);
        if (e) {
            const rlx::error err = from_wall(e);
            EXPECT_EQ(err.code, std::uint32_t{RLX_UNSUPPORTED});
            EXPECT_NE(err.message.find(missing), std::string::npos);
        }
        if (d) backend().close(nullptr, d);
    }
}

TEST(device, buffers_copy_and_check_their_ranges) {
    void* d = nullptr;
    ASSERT_EQ(take(backend().open(nullptr, 0, nullptr, &d)), "");
    rlx_buffer *a = nullptr, *b = nullptr;
    ASSERT_EQ(take(backend().alloc(d, 64, &a)), "");
    ASSERT_EQ(take(backend().alloc(d, 32, &b)), "");
    const char text[] = "0123456789";
    char back[11] = {};
    EXPECT_EQ(take(backend().upload(d, a, 5, {text, 10})), "");
    EXPECT_EQ(take(backend().copy(d, b, 22, a, 5, 10)), "");
    EXPECT_EQ(take(backend().copy(d, a, 7, a, 5, 10)), "") << "ranges of one buffer may overlap";
    EXPECT_EQ(take(backend().download(d, b, 22, back, 10)), "");
    EXPECT_STREQ(back, text);
    EXPECT_NE(
        take(backend().copy(d, b, 23, a, 5, 10)).find("10 bytes at 23 of a buffer of 32"),
        std::string::npos
    );
    EXPECT_NE(take(backend().download(d, b, 33, back, 0)), "");
    EXPECT_NE(take(backend().upload(d, b, UINT64_MAX, {text, 10})), "");
    backend().free(d, a);
    backend().free(d, b);
    rlx_buffer* huge = nullptr;
    EXPECT_NE(take(backend().alloc(d, UINT64_MAX / 2, &huge)).find("no memory"), std::string::npos);
    backend().close(nullptr, d);
}

TEST(device, a_wrong_mode_is_refused_when_compiling) {
    net n;
    const rlx_value a = n.in("a", RLX_F32, {4});
    n.output("o", n.add(RLX_OP_Unary, {a}, {{RLX_ATTR_kind, RLX_UNARY_NEG}}));
    EXPECT_NE(
        session(n, {"", true, "int3", "f32", 16}).error.find("compute 'int3'"), std::string::npos
    );
    net m;
    m.output("o", m.add(RLX_OP_Unary, {m.in("a", RLX_F32, {4})}, {{RLX_ATTR_kind, RLX_UNARY_NEG}}));
    EXPECT_NE(session(m, {"", true, "f32", "q4", 16}).error.find("kv 'q4'"), std::string::npos);
}

namespace {

struct loading {
    std::vector<std::uint64_t> done;
    std::uint64_t total = 0;
    std::uint32_t flag = 0;
    bool stop = false; // raise the flag at the first report
};

void report(void* ctx, std::uint64_t done, std::uint64_t total) {
    auto& l = *static_cast<loading*>(ctx);
    l.done.push_back(done);
    l.total = total;
    if (l.stop) l.flag = 1;
}

// Its weight is loaded in two parts, one per output phase. The session's error.
std::string load_transposed(memory_weights& w, loading& l) {
    w.f32("up", {16, 32, 4}, std::vector<float>(std::size_t{16 * 32 * 4}, 0.5F));
    net n(&w);
    const rlx_value x = n.in("x", RLX_F32, {1, 16, 5}), up = n.weight("up", {16, 32, 4});
    n.output("y", n.add(RLX_OP_ConvTranspose, {x, up}, {{RLX_ATTR_stride, std::vector<dim>{2}}}));
    setup how;
    how.cancel = &l.flag;
    how.progress = report;
    how.progress_ctx = &l;
    const session s(n, how);
    return s.error;
}

} // namespace

TEST(device, weights_loaded_in_another_order_are_counted_and_released) {
    memory_weights w;
    loading l;
    ASSERT_EQ(load_transposed(w, l), "");
    EXPECT_EQ(l.done, (std::vector<std::uint64_t>{4096, 8192, 8192}));
    EXPECT_EQ(l.total, 8192u);
    EXPECT_EQ(w.tensors_by_name["up"].released, 1);
}

TEST(device, loading_weights_in_another_order_can_be_cancelled) {
    memory_weights w;
    loading l;
    l.stop = true;
    EXPECT_NE(load_transposed(w, l).find("cancelled"), std::string::npos);
    EXPECT_EQ(l.done, (std::vector<std::uint64_t>{4096}));
    EXPECT_EQ(w.tensors_by_name["up"].released, 0);
}
