// SPDX-License-Identifier: GPL-3.0-only
// The device itself: what it says of itself, its buffers, the self-test and its cache, the
// validation layer, machines without a driver.
#include "ops/ops.hpp"
#include "selftest_cases.hpp"
#include "twin.hpp"

#include <cmath>
#include <cstdlib>
#include <fstream>

using namespace rlx;
using namespace rlx::vulkan_test;

namespace {

class folder {
public:
    folder() {
        char name[] = "/tmp/rlx-vulkan-XXXXXX";
        path = ::mkdtemp(name);
    }

    ~folder() { std::filesystem::remove_all(path); }

    std::string path;
};

// A product, a norm and a sum; empty text or the error of compiling and running it.
std::string small_run(const setup& s) {
    memory_weights w;
    w.q8_0("w", {40, 64}, numbers(40 * 64, 1));
    net n(&w);
    const rlx_value x = n.in("x", RLX_F32, {3, 64});
    const rlx_value h = n.add(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-5}});
    const rlx_value y = n.add(RLX_OP_MatMul, {h, n.weight("w", {40, 64})});
    n.output("y", n.add(RLX_OP_Binary, {y, y}, {{RLX_ATTR_kind, RLX_BINARY_ADD}}));
    const rlx_value out =
        n.output("z", n.add(RLX_OP_Unary, {y}, {{RLX_ATTR_kind, RLX_UNARY_SILU}}));
    session run(n, s);
    if (!run.error.empty()) return run.error;
    run.set(x, numbers(192, 2));
    const std::string error = run.run({}, {{out, 120}});
    // Only z is bound.
    return error.find("is not bound") != error.npos ? "" : error;
}

setup on_vulkan() {
    setup s;
    s.api = &vulkan_backend();
    return s;
}

TEST_F(vulkan, every_op_passes_its_self_test_in_every_format) {
    auto device = rlx::vulkan::gpu::open(0, rlx::vulkan::validation::none);
    ASSERT_TRUE(device.ok()) << device.error().message;
    auto code = rlx::vulkan::pipelines::make(**device, "");
    ASSERT_TRUE(code.ok());
    const auto cases = rlx::vulkan::all_cases();
    for (const auto& c : cases) {
        SCOPED_TRACE(c.name);
        rlx::vulkan::program p(**device, **code);
        p.cfg.page_tokens = 4;
        rlx::vulkan::bench b(p);
        std::vector<float> got;
        std::vector<double> want;
        const auto ran = c.run(b, got, want);
        ASSERT_TRUE(ran.ok()) << ran.error().message;
        const std::vector<float> wanted(want.begin(), want.end());
        EXPECT_LE(cpu_test::distance(got, wanted), 1e-5);
    }
    EXPECT_GE(cases.size(), 45u);
}

TEST_F(vulkan, a_driver_that_computes_wrong_is_refused_with_the_op_named) {
    const folder cache;
    setup s = on_vulkan();
    s.cache_dir = cache.path;
    s.fault = "RmsNorm";
    const std::string error = small_run(s);
    EXPECT_NE(error.find("computes RmsNorm wrong"), std::string::npos) << error;
    s.fault.clear(); // nothing wrong was remembered as right
    EXPECT_EQ(small_run(s), "");
    s.fault = "MatMul q8_0";
    EXPECT_NE(small_run(s).find("computes MatMul q8_0 wrong"), std::string::npos);
}

TEST_F(vulkan, caches_are_written_and_damaged_ones_remade) {
    const folder cache;
    setup s = on_vulkan();
    s.cache_dir = cache.path;
    ASSERT_EQ(small_run(s), "");
    std::size_t files = 0;
    for (const auto& f : std::filesystem::directory_iterator(cache.path + "/vulkan")) {
        ++files;
        EXPECT_GT(f.file_size(), 0u);
        std::ofstream(f.path()) << "nonsense";
    }
    EXPECT_EQ(files, 2u); // pipelines and self-test
    EXPECT_EQ(small_run(s), "");
    for (const auto& f : std::filesystem::directory_iterator(cache.path + "/vulkan"))
        EXPECT_GT(f.file_size(), 20u) << f.path();
}

TEST_F(vulkan, an_unwritable_cache_costs_nothing_but_time) {
    setup s = on_vulkan();
    s.cache_dir = "/proc/nowhere";
    EXPECT_EQ(small_run(s), "");
}

TEST_F(vulkan, the_validation_layer_has_nothing_to_say) {
    for (const int how : {1, 2}) {
        setup s = on_vulkan();
        s.validate = how;
        const std::string error = small_run(s);
        if (error.find("is not installed") != error.npos) GTEST_SKIP() << error;
        EXPECT_EQ(error, "") << how;
    }
}

TEST_F(vulkan, buffers_are_copied_up_down_and_onto_themselves) {
    const rlx_backend_v1& api = vulkan_backend();
    void* device = nullptr;
    ASSERT_EQ(api.open(nullptr, 0, nullptr, &device), nullptr);
    rlx_buffer *a = nullptr, *b = nullptr;
    constexpr std::size_t n = (20u << 20) + 13; // more than the ring takes at once
    ASSERT_EQ(api.alloc(device, n, &a), nullptr);
    ASSERT_EQ(api.alloc(device, n, &b), nullptr);
    std::vector<char> data(n), back(n);
    for (std::size_t i = 0; i < n; ++i)
        data[i] = static_cast<char>(i * 31 + i / 4096);
    ASSERT_EQ(api.upload(device, a, 0, {data.data(), n}), nullptr);
    ASSERT_EQ(api.copy(device, b, 0, a, 0, n), nullptr);
    ASSERT_EQ(api.copy(device, b, 4, b, 0, n - 4), nullptr);
    ASSERT_EQ(api.download(device, b, 4, back.data(), n - 4), nullptr);
    data.resize(n - 4);
    back.resize(n - 4);
    EXPECT_EQ(back, data);
    rlx_error* e = api.upload(device, a, n - 1, {data.data(), 2});
    ASSERT_NE(e, nullptr);
    EXPECT_NE(from_wall(e).message.find("2 bytes at"), std::string::npos);
    api.free(device, a);
    api.free(device, b);
    api.close(nullptr, device);
}

TEST_F(vulkan, too_much_memory_is_an_error_not_a_crash) {
    const rlx_backend_v1& api = vulkan_backend();
    void* device = nullptr;
    ASSERT_EQ(api.open(nullptr, 0, nullptr, &device), nullptr);
    rlx_buffer* b = nullptr;
    rlx_error* e = api.alloc(device, std::uint64_t{1} << 50, &b);
    ASSERT_NE(e, nullptr);
    EXPECT_EQ(from_wall(e).code, static_cast<std::uint32_t>(RLX_OUT_OF_MEMORY));
    api.close(nullptr, device);
}

TEST_F(vulkan, a_machine_without_a_driver_has_no_device_and_a_reason) {
    const rlx_backend_v1& api = vulkan_backend();
    ::setenv("VK_ICD_FILENAMES", "/nonexistent.json", 1);
    ::setenv("VK_DRIVER_FILES", "/nonexistent.json", 1);
    const std::uint32_t n = api.device_count(nullptr);
    void* device = nullptr;
    rlx_error* e = api.open(nullptr, 0, nullptr, &device);
    ::unsetenv("VK_ICD_FILENAMES");
    ::unsetenv("VK_DRIVER_FILES");
    EXPECT_EQ(n, 0u);
    ASSERT_NE(e, nullptr);
    EXPECT_NE(from_wall(e).message, "");
}

} // namespace
