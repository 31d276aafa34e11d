// SPDX-License-Identifier: GPL-3.0-only
// What is tested: for every op a list of cases and a builder that turns a case into a graph with
// numbers.
#pragma once

#include "../engine/model.hpp"

#include <functional>
#include <span>

namespace optest {

struct arg {
    std::string key, value;

    arg(const char* k, std::int64_t v) : key(k), value(std::to_string(v)) {}

    arg(const char* k, int v) : arg(k, static_cast<std::int64_t>(v)) {}

    arg(const char* k, const char* v) : key(k), value(v) {}

    arg(const char* k, const std::string& v) : key(k), value(v) {}

    arg(const char* k, const std::vector<std::int64_t>& v) : key(k), value(list_text(v)) {}
};

// Collects the cases of one op.
class sink {
public:
    sink(std::string op, bool all) : full(all), op_(std::move(op)) {}

    void add(std::vector<std::string> types, std::vector<arg> args);

    void add(std::vector<arg> args) { add({}, std::move(args)); }

    const bool full; // everything; else what fits into a minute
    std::vector<test_case> cases;

private:
    std::string op_;
};

struct op_cases {
    std::string_view name; // an op of ops.def, or a pattern
    void (*list)(sink&);
    void (*build)(model&);
};

std::span<const op_cases> view_cases();
std::span<const op_cases> index_cases();
std::span<const op_cases> elementwise_cases();
std::span<const op_cases> norm_cases();
std::span<const op_cases> linear_cases();
std::span<const op_cases> rope_cases();
std::span<const op_cases> attention_cases();
std::span<const op_cases> conv_cases();
std::span<const op_cases> arrange_cases();
std::span<const op_cases> image_cases();
std::span<const op_cases> recurrent_cases();
std::span<const op_cases> pattern_cases(); // several ops in a row, which backends like to fuse

std::vector<op_cases> all_cases();
// Throws usage for a name that has none.
const op_cases& cases_of(std::string_view name);
std::vector<test_case> list_cases(const op_cases& of, bool full);
// The graph of a case with its inputs. Throws bad_case, usage.
std::unique_ptr<model> build_case(const test_case& c);
// Whether a line that somebody typed is a case: throws usage naming the argument that is unknown,
// missing, of another length or out of range, or what the graph's rules say against it.
void check_case(const test_case& t);
// The same for lines of the modes that make their own graphs.
void check_arguments(const test_case& t, std::span<const std::string_view> allowed);

// ---- for the lists
// --------------------------------------------------------------------------------- 0, 1, around
// tiles of 4 to 64, primes; `full`: around larger tiles too.
std::vector<std::int64_t> sizes(bool full);
// The views a case can ask for beside "none".
inline constexpr const char* views[] = {"perm", "slice", "offset", "bcast", "mixed"};
// The packed types.
inline constexpr const char* packed_types[] = {
    "q4_0",
    "q4_1",
    "q5_0",
    "q5_1",
    "q8_0",
    "q2_K",
    "q3_K",
    "q4_K",
    "q5_K",
    "q6_K",
    "iq4_nl",
    "iq4_xs"};
inline constexpr const char* plain_types[] = {"f32", "f16", "bf16", "f64"};
bool is_super(std::string_view type); // blocks of 256

// ---- for the builders
// ------------------------------------------------------------------------------ Argument `key` as
// a shape; with sym=1 its first axis is a symbol.
axes shape_of(model& m, std::string_view key = "d", std::vector<std::int64_t> otherwise = {});
// Sequences of the lengths in `key`, one behind the other: [0, l0, l0 + l1, ...].
std::vector<std::int64_t> cuts(const std::vector<std::int64_t>& lengths);

} // namespace optest
