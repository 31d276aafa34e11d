// SPDX-License-Identifier: GPL-3.0-only
// `--device auto` with backends of higher priority that crash or hang when they are loaded: the run
// goes on with the next one, says so, and remembers.
#include "sandbox.hpp"

#include "process.hpp"
#include "rlx/devices.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

namespace {

using json = nlohmann::json;
using rlx::test::outcome;

class probe : public ::testing::Test {
protected:
    probe() : dir(box.folder("plugins")), cache(box.folder("cache")) {}

    // A backend that misbehaves, before the CPU's in priority.
    fs::path add_bad(const std::string& sample) const {
        std::string bytes = read_all(fs::path(RLX_BAD_PLUGINS) / (sample + ".so"));
        replace(bytes, "org.rlx.test.sample", ("org.rlx.bad." + sample + ".......").substr(0, 19));
        replace(bytes, "\"priority\": 100", "\"priority\": 900");
        write_all(dir / (sample + ".so"), bytes);
        return dir / (sample + ".so");
    }

    static void replace(std::string& bytes, const std::string& from, const std::string& to) {
        ASSERT_EQ(from.size(), to.size());
        ASSERT_NE(bytes.find(from), bytes.npos) << from;
        for (auto at = bytes.find(from); at != bytes.npos; at = bytes.find(from, at + 1))
            bytes.replace(at, to.size(), to);
    }

    // `device` opened by a catalog of these plugins and the built-in ones.
    rlx::result<std::unique_ptr<rlx::device>> open(double seconds) {
        rlx::search_options where;
        where.plugin_dirs = {dir};
        where.use_environment = where.use_index = false;
        catalogs.push_back(sandbox::open(where));
        rlx::device_options how{.name = "auto", .tier = {}, .probe = {}};
        how.probe.seconds = seconds;
        how.probe.cache = cache / "probes";
        how.probe.cancel = &cancel;
        return rlx::device::open(*catalogs.back(), how);
    }

    std::size_t verdicts() const {
        std::size_t n = 0;
        for ([[maybe_unused]] const auto& file : fs::directory_iterator(cache / "probes"))
            n++;
        return n;
    }

    sandbox box;
    fs::path dir, cache;
    std::atomic<std::uint32_t> cancel = 0;
    std::vector<std::unique_ptr<rlx::plugin_catalog>> catalogs;
};

TEST_F(probe, good_backend_is_tried_once_and_opened) {
    fs::file_time_type written;
    for (int i = 0; i < 2; i++) {
        auto device = open(60);
        ASSERT_TRUE(device.ok()) << device.error().message;
        EXPECT_EQ((*device)->name(), "cpu");
        EXPECT_TRUE((*device)->passed_over().empty());
        EXPECT_GE(verdicts(), 1u); // one more with Vulkan
        const auto now = fs::last_write_time(cache / "probes");
        if (i == 1) {
            EXPECT_EQ(now, written);
        }
        written = now;
    }
}

TEST_F(probe, backend_that_crashes_when_loaded_is_passed_over_and_named) {
    ASSERT_TRUE(open(60).ok());
    const std::size_t good = verdicts();
    const fs::path bad = add_bad("load_crash");
    for (int i = 0; i < 2; i++) { // tried, and remembered
        auto device = open(60);
        ASSERT_TRUE(device.ok()) << device.error().message;
        EXPECT_EQ((*device)->name(), "cpu");
        ASSERT_EQ((*device)->passed_over().size(), 1u);
        EXPECT_EQ((*device)->passed_over()[0].what, "device sample");
        const std::string& why = (*device)->passed_over()[0].reason;
        EXPECT_NE(why.find(bad.native()), why.npos) << why;
        EXPECT_NE(why.find("crashed (SIG"), why.npos) << why;
        EXPECT_EQ(verdicts(), good + 1);
    }
}

TEST_F(probe, backend_that_hangs_when_loaded_is_passed_over_after_its_time) {
    ASSERT_TRUE(open(60).ok()); // the good one is known from now on
    add_bad("load_hang");
    auto device = open(1);
    ASSERT_TRUE(device.ok()) << device.error().message;
    ASSERT_EQ((*device)->passed_over().size(), 1u);
    const std::string why = (*device)->passed_over()[0].reason;
    EXPECT_NE(why.find("gave no answer within 1 s"), why.npos) << why;
    // Remembered: with ten minutes of patience this would not come back.
    auto again = open(600);
    ASSERT_TRUE(again.ok()) << again.error().message;
    ASSERT_EQ((*again)->passed_over().size(), 1u);
    EXPECT_EQ((*again)->passed_over()[0].reason, why);
}

TEST_F(probe, backend_that_ends_the_process_is_passed_over) {
    add_bad("load_exit");
    auto device = open(60);
    ASSERT_TRUE(device.ok()) << device.error().message;
    ASSERT_EQ((*device)->passed_over().size(), 1u);
    const std::string& why = (*device)->passed_over()[0].reason;
    EXPECT_NE(why.find("ended the process (status 3)"), why.npos) << why;
}

TEST_F(probe, verdict_is_void_when_the_plugin_changes) {
    const fs::path bad = add_bad("load_crash");
    ASSERT_TRUE(open(60).ok());
    write_all(bad, read_all(bad)); // another time stamp, the same fault
    const auto before = fs::last_write_time(cache / "probes");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ASSERT_TRUE(open(60).ok());
    EXPECT_NE(fs::last_write_time(cache / "probes"), before) << "it was not tried again";
}

TEST_F(probe, verdict_is_void_when_another_driver_is_chosen) {
    add_bad("load_crash");
    ASSERT_TRUE(open(60).ok());
    const auto first = fs::last_write_time(cache / "probes");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ASSERT_TRUE(open(60).ok());
    EXPECT_EQ(fs::last_write_time(cache / "probes"), first) << "nothing has changed";
    ::setenv("VK_DRIVER_FILES", "/nowhere.json", 1);
    ASSERT_TRUE(open(60).ok());
    EXPECT_NE(fs::last_write_time(cache / "probes"), first) << "it was not tried again";
    ::unsetenv("VK_DRIVER_FILES");
}

TEST_F(probe, verdict_against_a_backend_lasts_a_day) {
    add_bad("load_crash");
    ASSERT_TRUE(open(60).ok());
    for (const auto& file : fs::directory_iterator(cache / "probes"))
        fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(25));
    const auto before = fs::last_write_time(cache / "probes");
    ASSERT_TRUE(open(60).ok());
    EXPECT_NE(fs::last_write_time(cache / "probes"), before);
}

TEST_F(probe, forged_and_damaged_verdicts_do_not_count) {
    add_bad("load_crash");
    ASSERT_TRUE(open(60).ok());
    for (const auto& file : fs::directory_iterator(cache / "probes")) {
        const std::string text = read_all(file);
        write_all(file, text.substr(0, text.size() / 2));
    }
    auto device = open(60);
    ASSERT_TRUE(device.ok()) << device.error().message;
    EXPECT_EQ((*device)->passed_over().size(), 1u);
    // A file others may write to that calls the bad backend harmless.
    for (const auto& file : fs::directory_iterator(cache / "probes")) {
        const std::string text = read_all(file);
        const auto verdict = text.find("crashed");
        if (verdict == text.npos) continue;
        write_all(file, text.substr(0, verdict));
        fs::permissions(file, fs::perms::all);
    }
    auto again = open(60);
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ((*again)->passed_over().size(), 1u);
}

TEST_F(probe, cancelling_ends_the_wait_at_once) {
    add_bad("load_hang");
    std::thread impatient([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        cancel = 1;
    });
    const auto begin = std::chrono::steady_clock::now();
    auto device = open(600);
    impatient.join();
    ASSERT_FALSE(device.ok());
    EXPECT_EQ(device.error().code, RLX_CANCELLED);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
    EXPECT_FALSE(fs::exists(cache / "probes")) << "a cancelled probe is no verdict";
}

TEST_F(probe, only_bad_backends_is_an_error_that_names_them) {
    add_bad("load_crash");
    rlx::search_options where = sandbox::only(dir);
    catalogs.push_back(sandbox::open(where));
    rlx::device_options how{.name = "auto", .tier = {}, .probe = {}};
    how.probe.use_cache = false;
    how.probe.cache = cache / "probes";
    auto device = rlx::device::open(*catalogs.back(), how);
    ASSERT_FALSE(device.ok());
    EXPECT_EQ(device.error().code, RLX_UNSUPPORTED);
    EXPECT_NE(device.error().message.find("load_crash.so"), std::string::npos);
}

TEST_F(probe, run_with_device_auto_survives_and_reports_the_fallback) {
    add_bad("load_crash");
    add_bad("load_exit");
    const outcome o = rlx::test::run(
        {rlx::test::program("rlx-run"),
         "run",
         "--weights",
         rlx::test::stories_model(),
         "--device",
         "auto",
         "--prompt-ids",
         "1,2,3",
         "--max-tokens",
         "4",
         "--json"},
        {.environment = {"RLX_PLUGIN_PATH=" + dir.native(), "RLX_CACHE_DIR=" + cache.native()}}
    );
    ASSERT_EQ(o.exit_code, 0) << o.err;
    const json doc = json::parse(o.out);
    EXPECT_EQ(doc["ran_on"]["device"], "cpu");
    ASSERT_EQ(doc["fallbacks"].size(), 2u) << o.out;
    for (const json& f : doc["fallbacks"])
        EXPECT_EQ(f["what"], "device sample");
}

} // namespace
