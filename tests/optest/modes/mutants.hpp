// SPDX-License-Identifier: GPL-3.0-only
// The list of deliberately broken kernels.
#pragma once

#include "../engine/case.hpp"
#include "../ref/ref.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace optest {

struct mutant {
    std::string cases; // whose cases must catch it
    std::uint16_t op;  // the op that is broken
    std::string what;
    std::function<ref::results(const ref::call&)> run;
    bool ignores_errors = false; // runs where the text says error
};

const std::vector<mutant>& mutants();

// A kernel that goes on where the text says error: results of the right shape, all 0.
ref::results unnoticed(const ref::call& c);
// Whether the judge sees the mutant on this case; nullopt: it changes nothing here.
std::optional<bool> caught(const test_case& t, const mutant& mutation, const std::string& compute);

// Those of the ops of images, signals, recurrent models and index arithmetic.
void more_mutants(std::vector<mutant>& out);

} // namespace optest
