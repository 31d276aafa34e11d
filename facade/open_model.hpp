// SPDX-License-Identifier: GPL-3.0-only
// Private: from a checkpoint's path to what a model is made of. lm_runner and text_embedder begin
// here.
#pragma once

#include "rlx/checkpoint.hpp"
#include "rlx/devices.hpp"
#include "rlx/profile.hpp"
#include "rlx/rlx.hpp"

#include <span>
#include <string_view>

namespace rlx {

// Destroyed from the bottom up: the devices before the weights and the catalog they borrow from.
struct opened_model {
    std::unique_ptr<plugin_catalog> own_catalog;
    std::unique_ptr<rlx::checkpoint> files;
    device_set devices;
    model_parts parts{};
    check_report report;
    compile_profile profile;
    run_facts facts; // but for what only a loaded model knows
    std::vector<fallback> fallbacks;

    // The manifest's task of the family.
    const std::string& task() const { return report.family.entry->task; }
};

// Loads one family plugin and one backend plugin; reads no weights. RLX_UNSUPPORTED when the
// family's task is none of `tasks`.
result<opened_model> open_parts(const model_request& r, std::span<const std::string_view> tasks);

} // namespace rlx
