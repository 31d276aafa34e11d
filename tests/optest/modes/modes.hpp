// SPDX-License-Identifier: GPL-3.0-only
// What the program does: one function per mode, all of which report case by case.
#pragma once

#include "../cases/cases.hpp"
#include "../engine/judge.hpp"
#include "../engine/session.hpp"

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

namespace optest {

// none: no case of this mode, not counted unless it was asked for by its line.
enum class verdict { passed, failed, skipped, none };

struct outcome {
    verdict what = verdict::passed;
    std::string why;         // of a failure or a skip; a remark when passed
    bool decomposed = false; // a composite the backend refused ran taken apart
    double off = 0;          // of a difference: how many times the limit
};

struct options {
    std::string mode = "test";
    device_options device;
    setup how;
    std::vector<std::string> ops;   // empty: all
    std::vector<test_case> cases;   // --case
    std::string docs, other, model; // --docs, --other, --model
    std::string replay;             // --case as written
    std::uint64_t seed = 1;
    std::int64_t count = 0; // of random graphs; 0: the mode's choice
    bool full = false, as_json = false, verbose = false, write = false;
};

// Prints and counts.
class report {
public:
    explicit report(const options& o);

    void add(const std::string& line, const outcome& o, nlohmann::json more = {});
    // A line for people, and its data.
    void note(const std::string& line, nlohmann::json data = {});
    // The last lines (or the document); the exit status, 4 when no case was judged.
    int end();

    int failed() const { return failed_; }

private:
    const options& options_;
    int passed_ = 0, failed_ = 0, skipped_ = 0, decomposed_ = 0;
    std::map<std::pair<std::string, std::string>, int> skips_; // name of the cases, reason
    nlohmann::json cases_ = nlohmann::json::array(), notes_ = nlohmann::json::array();
};

// Everything a mode needs.
struct context {
    const options& opt;
    device& dev;
    report& out;

    // f(case) for the cases asked for: those of --case, or the lists of --op.
    void each_case(const std::function<outcome(const test_case&)>& f) const;
};

// What the remark of a decomposed case begins with.
inline constexpr const char* decomposed_mark = "decomposed: ";

// What the oracle says for a feed; states carry on from step to step.
class oracle {
public:
    explicit oracle(const model& m);

    outputs run(const feed& f, const ref::node_function& node = ref::compute);

private:
    const model& m_;
    std::map<rlx_value, ref::kv_rows> states_;
};

// A backend's reason without the node it is about.
std::string short_reason(const std::string& why);

// Runs f and turns what the engine throws into an outcome.
outcome guarded(const std::function<outcome()>& f);
// noise: per output what rounding may leave behind, empty for none (see judge).
outcome compare(
    const model& m,
    const outputs& got,
    const outputs& want,
    const std::string& compute,
    const std::vector<double>& noise = {}
);
// Runs an input that the text calls an error: run() must throw session::run_failed.
outcome judge_bad(model& m, const std::function<void()>& run);
// What a failure is, without its numbers: two that have the same are taken for one fault.
std::string failure_kind(const std::string& why);
// The graph of a Fuzz(..) line with its inputs. Throws usage.
std::unique_ptr<model> fuzz_model(const std::string& line);
// The outputs of a graph, and per output what rounding every intermediate result to `unit` may
// change of it: results that cancel are made of what their terms lost.
std::pair<outputs, std::vector<double>> with_noise(const model& m, std::uint16_t unit);
// A case on the device against the oracle.
outcome run_case(const context& c, const test_case& t, const setup& how);

void mode_test(const context& c);
void mode_support(const context& c);
void mode_perf(const context& c);
void mode_fuse(const context& c);
void mode_split(const context& c);
void mode_state(const context& c);
void mode_det(const context& c);
void mode_mutate(const context& c);
void mode_fuzz(const context& c);

} // namespace optest
