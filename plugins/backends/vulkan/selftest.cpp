// SPDX-License-Identifier: GPL-3.0-only
#include "selftest.hpp"

#include "ops/ops.hpp"
#include "vk/files.hpp"

#include <cmath>

namespace rlx::vulkan {

namespace {

constexpr double limit = 2e-3; // of the largest difference, relative to the root mean square

// What passed holds for these shaders only.
const std::string& header() {
    static const std::string line =
        sdk::format("rlx-vulkan self-test, shaders {}\n", shader_hash(all_shaders()));
    return line;
}

double distance(const std::vector<float>& got, const std::vector<double>& want) {
    if (got.size() != want.size()) return INFINITY;
    double worst = 0, squares = 1e-30;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double d = std::abs(static_cast<double>(got[i]) - want[i]);
        if (!(d <= worst)) worst = std::isnan(d) ? INFINITY : d;
        squares += want[i] * want[i];
    }
    return worst / std::sqrt(squares / static_cast<double>(want.size()));
}

const matrix_format* format_of(const program& p, const node& n) {
    const bool product = n.op() == RLX_OP_MatMul || n.op() == RLX_OP_GroupedMatMul;
    const std::size_t at = product ? 1 : n.op() == RLX_OP_GatherRows ? 0 : n.in.size();
    stored_rows rows;
    return at < n.in.size() && find_stored(p, *n.in[at], &rows) ? rows.format : nullptr;
}

} // namespace

self_test::self_test(gpu& g, pipelines& code, const std::string& cache_dir, std::string fault)
    : gpu_(g), code_(code), fault_(std::move(fault)) {
    if (cache_dir.empty()) return;
    const gpu_facts& f = g.facts();
    file_ = sdk::format(
        "{}/selftest-{}-{}-{}-{}",
        cache_dir,
        hex(f.driver_uuid),
        hex(f.device_uuid),
        f.driver_version,
        f.device
    );
    const std::string old = read_own_file(file_);
    if (!old.starts_with(header())) return;
    for (std::size_t at = header().size(); at < old.size();) {
        const std::size_t end = std::min(old.find('\n', at), old.size());
        passed_.insert(old.substr(at, end - at));
        at = end + 1;
    }
}

status self_test::check(const program& p) {
    std::vector<self_case> cases;
    for (const auto& s : p.steps)
        cases.push_back(find_case(s->n.op(), format_of(p, s->n)));
    return check(cases);
}

status self_test::check_all() {
    return check(all_cases());
}

status self_test::check(std::span<const self_case> cases) {
    const std::size_t before = passed_.size();
    for (const self_case& c : cases) {
        const bool spoil = !fault_.empty() && c.name.starts_with(fault_);
        if (!c.run || (passed_.contains(c.name) && !spoil)) continue;
        program small(gpu_, code_);
        small.cfg = {.kv_f16 = false, .page_tokens = 4};
        bench b(small);
        std::vector<float> got;
        std::vector<double> want;
        if (status ran = c.run(b, got, want); !ran.ok())
            return std::move(ran.error()).within(sdk::format("self-test of {}", c.name));
        if (spoil && !got.empty()) got[0] += 1;
        if (const double d = distance(got, want); !(d <= limit))
            return fail(
                RLX_UNSUPPORTED,
                "vulkan: {} with driver {} computes {} wrong (error {}, at most {}); it is not "
                "used. "
                "Update the driver, or use --device cpu",
                gpu_.facts().name,
                gpu_.facts().driver,
                c.name,
                d,
                limit
            );
        passed_.insert(c.name);
    }
    if (file_.empty() || passed_.size() == before) return {};
    std::string text(header());
    for (const std::string& name : passed_)
        text += name + "\n";
    write_own_file(file_, text);
    return {};
}

} // namespace rlx::vulkan
