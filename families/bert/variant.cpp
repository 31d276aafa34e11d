// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

namespace rlx::bert {

std::string_view family_name() {
    return "bert";
}

void check_checkpoint(const sdk::checkpoint&) {}

std::string_view variant_of(const sdk::checkpoint&, const config&) {
    return {};
}

} // namespace rlx::bert
