// SPDX-License-Identifier: GPL-3.0-only
// Is what this driver computes right? Before an op is first used on a pair of device and driver, a
// small case of it runs and is compared with plain loops in double precision. Passed ops are
// remembered in the cache directory under the driver's UUID and version.
#pragma once

#include "selftest_cases.hpp"

#include <set>
#include <span>
#include <string>

namespace rlx::vulkan {

class self_test {
public:
    // fault: name of an op whose result is spoilt on purpose, for tests.
    self_test(gpu& g, pipelines& code, const std::string& cache_dir, std::string fault);

    // RLX_UNSUPPORTED naming the op that comes out wrong, of those p uses and nobody has tried.
    status check(const program& p);
    // The same for every op there is.
    status check_all();

    std::size_t passed() const { return passed_.size(); }

private:
    status check(std::span<const self_case> cases);

    gpu& gpu_;
    pipelines& code_;
    std::string file_, fault_;
    std::set<std::string> passed_;
};

} // namespace rlx::vulkan
