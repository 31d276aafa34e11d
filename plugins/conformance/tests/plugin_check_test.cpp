// SPDX-License-Identifier: GPL-3.0-only
// rlx-plugin-check passes what is right and fails what is wrong, each check at least once.
#include "process.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace rlx::test {
namespace {

using nlohmann::json;

std::string sample(const std::string& name) {
    return std::string(RLX_SAMPLES) + "/" + name + ".so";
}

outcome check(std::vector<std::string> words) {
    words.insert(words.begin(), program("rlx-plugin-check"));
    return run(words);
}

struct broken {
    const char* check;
    const char* file;
    const char* reason; // part of it
};

std::ostream& operator<<(std::ostream& out, const broken& b) {
    return out << b.check << " of " << b.file;
}

class every_check : public testing::TestWithParam<broken> {};

TEST_P(every_check, fails_the_sample_that_breaks_it_and_passes_the_one_that_does_not) {
    const broken& b = GetParam();
    // Only who waits for a time-out waits for a short one: the machine may be busy.
    const char* timeout =
        std::string(b.reason).find("within 3 s") == std::string::npos ? "60" : "3";
    const outcome bad = check({"--json", "--timeout", timeout, "--only", b.check, sample(b.file)});
    const json doc = json::parse(bad.out);
    ASSERT_EQ(doc["checks"].size(), 1u);
    const json& c = doc["checks"][0];
    if (c["status"] == "skipped") GTEST_SKIP() << c["reason"];
    EXPECT_EQ(c["status"], "failed") << bad.out;
    EXPECT_NE(c["reason"].get<std::string>().find(b.reason), std::string::npos) << c["reason"];
    EXPECT_EQ(bad.exit_code, 1);
    const outcome good = check({"--json", "--only", b.check, sample("nothing")});
    EXPECT_EQ(json::parse(good.out)["checks"][0]["status"], "ok") << good.out;
    EXPECT_EQ(good.exit_code, 0);
}

INSTANTIATE_TEST_SUITE_P(
    samples,
    every_check,
    testing::Values(
        broken{"manifest", "life", "its copy life.so.rlx.json differ"},
        broken{"manifest", "manifest_kind", "provides[0] has the kind \"opp\", expected family"},
        broken{
            "manifest", "manifest_key", "\"priorty\", which nobody reads; is \"priority\" meant?"},
        broken{"manifest", "manifest_twice", "offers the op 'org.rlx.test.double' once more"},
        broken{
            "interfaces",
            "extras_listed",
            "the manifest lists 'org.rlx.test.double', describe gives 'org.rlx.test.other'"},
        broken{"cancel", "extras_cancel", "run succeeded although reading gave RLX_CANCELLED"},
        broken{"life", "keeps", "in memory that was lent to a call and for that call alone"},
        broken{"life", "forks", "the plugin starts a process while calling rlx.family/1 build"},
        broken{"process-state", "denormals", "the treatment of denormal numbers"},
        broken{"exports", "exports", "exports 2 symbols (rlx_plugin_entry_v1, rlx_sample_extra)"},
        broken{"imports", "imports", "abort"},
        broken{"environment", "environment", "imports getenv"},
        broken{"printing", "printing", "imports puts"},
        broken{"libraries", "libraries", "looks for libraries in '/opt/somewhere'"},
        broken{"entry", "entry", "the entry negotiated 1.9"},
        broken{"stamp", "stamp", "the code says org.rlx.test.sample 9.9.9"},
        broken{"interfaces", "interfaces", "iface answers the unknown name 'no.such/1'"},
        broken{"life", "life", "has no output 'logits'"},
        broken{"life", "crash", "died of SIGSEGV while calling rlx.family/1 build"},
        broken{"life", "hang", "no answer within 3 s while calling rlx.family/1 build"},
        broken{"life", "silent_hang", "no answer within 3 s while calling rlx.family/1 build"},
        broken{
            "life", "exit", "ended the process (exit status 3) while calling rlx.family/1 build"},
        broken{"entry", "load_crash", "while loading the library"},
        broken{"entry", "load_exit", "the plugin ended the process (exit status 3)"},
        broken{"entry", "load_hang", "no answer within 3 s while loading the library"},
        broken{"older-host", "older_host", "of 8 bytes: the process died"},
        broken{
            "missing-services", "missing_services", "a host without rlx.par/1: the process died"},
        broken{"newer-host", "newer_host", "claims minor"},
        broken{"foreign-major", "foreign_major", "a host of ABI 0.0: the entry starts"},
        broken{"foreign-major", "foreign_minor", "a host of ABI 0.1: the entry starts"},
        broken{"short-table", "short_table", "wrote behind the"},
        broken{"null-arguments", "null_arguments", "info without a model succeeded"},
        broken{"short-structs", "short_structs", "run with args of 0 bytes succeeded"},
        broken{"cancel", "cancel", "compile succeeded although its cancel flag was raised"},
        broken{"host-errors", "host_errors", "died of SIGSEGV while calling rlx.family/1 info"},
        broken{
            "out-of-memory", "out_of_memory", "died of SIGSEGV while calling rlx.family/1 build"},
        broken{
            "exceptions",
            "exceptions",
            "an exception came out of rlx.family/1 info: the host said no"},
        broken{"memory", "memory", "4 lives leave 4 blocks of memory behind"},
        broken{"errors", "errors", "the error of a failing call is neither freed nor returned"},
        broken{"threads", "threads", "1 threads of its own still run"},
        broken{"descriptors", "descriptors", "3 lives leave 3 descriptors open"},
        broken{"output", "output", "it writes to stdout or stderr: hello"},
        broken{"process-state", "process_state", "the rounding of floating-point numbers"}
    ),
    [](const auto& p) {
        std::string name = std::string(p.param.check) + "_" + p.param.file;
        for (char& c : name)
            if (c == '-') c = '_';
        return name;
    }
);

struct wrong {
    const char* file;
    const char* check;
    const char* reason;
};

TEST(plugin_check, drives_ops_formats_tensor_names_and_commands) {
    const std::filesystem::path dir = scratch_directory();
    std::ofstream(dir / "w.extras", std::ios::binary) << "EXTRAS1\n" << std::string(40, 'x');
    const outcome good = check({sample("extras"), "--weights", (dir / "w.extras").native()});
    EXPECT_EQ(good.exit_code, 0) << good.out;
    EXPECT_NE(
        good.out.find("rlx.op/1, rlx.weight_format/1, rlx.tensor_names/1, rlx.cli/1"),
        std::string::npos
    ) << good.out;
    EXPECT_NE(good.out.find("ok       cancel "), std::string::npos) << good.out;
    std::filesystem::remove_all(dir);
    for (const wrong& w :
         {wrong{"extras_op", "null-arguments", "infer without args succeeded"},
          wrong{"extras_format", "life", "open takes 0 bytes of garbage"},
          wrong{"extras_names", "life", "rules gives 1 rules of stride 56 at NULL"},
          wrong{"extras_cli", "life", "run with --help writes nothing to standard output"}}) {
        const outcome bad = check({"--only", w.check, sample(w.file)});
        EXPECT_EQ(bad.exit_code, 1) << w.file;
        EXPECT_NE(bad.out.find(w.reason), std::string::npos) << bad.out;
    }
}

// Whoever adds a key of their own is told that it has no effect.
TEST(plugin_check, says_which_keys_of_a_manifest_nobody_reads) {
    const outcome o = check({"--only", "manifest", sample("manifest_unread")});
    EXPECT_EQ(o.exit_code, 0) << o.out;
    EXPECT_NE(o.out.find("not read by this rlx: provides[1] \"colour\""), std::string::npos)
        << o.out;
}

// Every fault is tried while there is time; a check that leaves some out says so.
TEST(plugin_check, says_how_many_allocations_there_was_no_time_for) {
    const auto reason = [](const char* file) {
        const outcome o =
            check({"--json", "--timeout", "8", "--only", "out-of-memory", sample(file)});
        const json c = json::parse(o.out)["checks"][0];
        return c["status"] == "failed" ? o.out : c["reason"].get<std::string>();
    };
    const std::string few = reason("slow");
    if (few.find("sanitizer") != std::string::npos) GTEST_SKIP() << few;
    EXPECT_NE(few.find(" allocations, the time for more was up (--timeout)"), std::string::npos)
        << few;
    EXPECT_EQ(reason("nothing").find(" of "), std::string::npos);
}

TEST(plugin_check, runs_no_code_of_a_library_that_does_not_load_more_than_once) {
    const outcome o = check({"--json", "--timeout", "2", sample("load_hang")});
    EXPECT_EQ(o.exit_code, 1) << o.out;
    const json doc = json::parse(o.out);
    EXPECT_EQ(doc["failed"], 1) << o.out;
    EXPECT_EQ(doc["checks"].back()["reason"], "the library does not load, see 'entry'");
}

TEST(plugin_check, names_every_import_that_ends_the_process) {
    const outcome bad = check({"--only", "imports", sample("imports")});
    EXPECT_EQ(bad.exit_code, 1);
    for (const char* name : {"abort", "killpg", "pthread_exit", "__assert_fail"})
        EXPECT_NE(bad.out.find(name), std::string::npos) << name << " in " << bad.out;
}

// What a plugin opens by its manifest need not survive without memory; what the plugin asks for
// itself has to.
TEST(plugin_check, judges_a_plugin_that_opens_a_library_by_its_own_allocations) {
    const outcome good =
        check({"--only", "imports,life,out-of-memory,exceptions,memory", sample("opens")});
    EXPECT_EQ(good.exit_code, 0) << good.out;
    EXPECT_NE(good.out.find("opens libm.so.6"), std::string::npos) << good.out;
    const outcome bad = check({"--json", "--only", "out-of-memory", sample("opens_out_of_memory")});
    const json c = json::parse(bad.out)["checks"][0];
    if (c["status"] == "skipped") GTEST_SKIP() << c["reason"];
    EXPECT_EQ(bad.exit_code, 1) << bad.out;
    EXPECT_NE(bad.out.find("died of SIGSEGV while calling rlx.family/1 build"), std::string::npos)
        << bad.out;
}

TEST(plugin_check, refuses_dlopen_without_a_library_in_the_manifest) {
    const outcome imports = check({"--only", "imports", sample("opens_unsaid")});
    EXPECT_EQ(imports.exit_code, 1);
    EXPECT_NE(imports.out.find("imports dlopen"), std::string::npos) << imports.out;
    // Then the libraries' allocations are its own.
    const outcome memory = check({"--json", "--only", "out-of-memory", sample("opens_unsaid")});
    if (json::parse(memory.out)["checks"][0]["status"] != "skipped") {
        EXPECT_EQ(memory.exit_code, 1) << memory.out;
    }
}

// A new check without a broken sample is a check nobody has seen fail.
TEST(plugin_check, has_a_broken_sample_for_every_check_in_its_list) {
    const outcome o = check({"--list"});
    EXPECT_EQ(o.exit_code, 0);
    std::istringstream lines(o.out);
    std::string line;
    int n = 0;
    while (std::getline(lines, line)) {
        std::string name = line.substr(0, line.find(' '));
        n++;
        for (char& c : name)
            if (c == '-') c = '_';
        if (name == "manifest") continue; // its sample is a copied manifest
        EXPECT_TRUE(std::filesystem::exists(sample(name))) << name;
    }
    EXPECT_GE(n, 27);
}

TEST(plugin_check, passes_a_good_plugin_with_a_line_per_check_and_a_sum) {
    const outcome o = check({sample("nothing")});
    EXPECT_EQ(o.exit_code, 0) << o.out;
    EXPECT_NE(o.out.find("org.rlx.test.sample 1.0.0"), std::string::npos);
    EXPECT_NE(
        o.out.find("\nok       stamp             org.rlx.test.sample 1.0.0\n"), std::string::npos
    ) << o.out;
    const std::string sum = o.out.substr(o.out.rfind('\n', o.out.size() - 2) + 1);
    EXPECT_NE(sum.find(" passed, 0 failed, "), std::string::npos) << sum;
    EXPECT_TRUE(o.err.empty()) << o.err;
}

TEST(plugin_check, passes_a_plugin_that_carries_its_own_cxx_runtime) {
    const outcome o = check({"--json", sample("static_runtime")});
    EXPECT_EQ(o.exit_code, 0) << o.out;
    bool seen = false;
    const json doc = json::parse(o.out);
    for (const json& c : doc["checks"])
        seen = seen ||
               (c["name"] == "imports" && c["reason"].get<std::string>().find("not judged") == 0);
    EXPECT_TRUE(seen) << o.out;
}

TEST(plugin_check, gives_json_with_names_reasons_and_sums) {
    const outcome o = check({"--json", "--only", "exports,stamp", sample("exports")});
    EXPECT_EQ(o.exit_code, 1);
    const json doc = json::parse(o.out);
    EXPECT_EQ(doc["schema"], 1);
    EXPECT_EQ(doc["plugin"]["id"], "org.rlx.test.sample");
    EXPECT_EQ(doc["passed"], 1);
    EXPECT_EQ(doc["failed"], 1);
    EXPECT_EQ(doc["skipped"], 0);
    EXPECT_EQ(doc["checks"][0]["status"], "failed");
    EXPECT_EQ(doc["checks"][1]["reason"], "org.rlx.test.sample 1.0.0");
}

TEST(plugin_check, tells_wrong_usage_from_a_file_that_is_no_plugin) {
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{},
          {"--no-such-flag", "x.so"},
          {"--only", "no-such-check", "x.so"},
          {"--timeout", "soon", "x.so"},
          {"--timeout"},
          {"--weights", "", "x.so"},
          {"--weights", "/absent/checkpoint", "x.so"},
          {"--weights", "/dev/null", "x.so"},
          {"a.so", "b.so"}}) {
        const outcome o = check(words);
        EXPECT_EQ(o.exit_code, 2);
        EXPECT_NE(o.err.find("usage: rlx-plugin-check"), std::string::npos) << o.err;
        EXPECT_TRUE(o.out.empty()) << o.out;
    }
    EXPECT_EQ(check({"--help"}).exit_code, 0);
    EXPECT_TRUE(check({"--version"}).out.starts_with("rlx ")) << check({"--version"}).out;
    const std::filesystem::path dir = scratch_directory();
    std::ofstream(dir / "text.so") << "no library";
    std::ofstream(dir / "empty.so") << "";
    for (const std::string& file :
         {(dir / "text.so").native(),
          (dir / "empty.so").native(),
          (dir / "absent.so").native(),
          dir.native(),
          std::string("/dev/null")}) {
        const outcome o = check({file});
        EXPECT_EQ(o.exit_code, 3) << file << o.err;
        EXPECT_NE(o.err.find(file), std::string::npos) << o.err;
    }
    std::filesystem::remove_all(dir);
}

TEST(plugin_check, does_not_wait_for_a_pipe_in_the_place_of_a_manifest) {
    const std::filesystem::path dir = scratch_directory();
    std::filesystem::copy_file(sample("life"), dir / "life.so");
    ASSERT_EQ(::mkfifo((dir / "life.so.rlx.json").c_str(), 0600), 0);
    const outcome o =
        run({program("rlx-plugin-check"), "--only", "manifest", (dir / "life.so").native()},
            {.timeout_seconds = 30});
    EXPECT_EQ(o.exit_code, 1);
    EXPECT_NE(o.out.find("life.so.rlx.json is not a regular file"), std::string::npos) << o.out;
    std::filesystem::remove_all(dir);
}

TEST(plugin_check, ends_when_it_is_interrupted_and_leaves_nothing_behind) {
    const std::filesystem::path dir = scratch_directory();
    const outcome o =
        run({"/bin/bash",
             "-m",
             "-c",
             "exec '" + program("rlx-plugin-check") + "' --only entry '" + sample("load_hang") +
                 "' & pid=$!; until compgen -G '" + dir.native() +
                 "/rlx-plugin-check-*' >/dev/null; do sleep 0.05; done; sleep 0.3; kill -INT $pid; "
                 "wait $pid"},
            {.environment = {"TMPDIR=" + dir.native()}, .timeout_seconds = 30});
    EXPECT_EQ(o.exit_code, 130) << o.err;
    EXPECT_TRUE(std::filesystem::is_empty(dir));
    std::filesystem::remove_all(dir);
}

TEST(plugin_check, a_report_that_cannot_be_written_is_no_success) {
    const outcome o = run(
        {"/bin/sh",
         "-c",
         program("rlx-plugin-check") + " --only manifest " + sample("life") + " > /dev/full"}
    );
    EXPECT_EQ(o.exit_code, 1);
    EXPECT_NE(o.err.find("cannot write standard output"), std::string::npos) << o.err;
}

} // namespace
} // namespace rlx::test
