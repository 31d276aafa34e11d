// SPDX-License-Identifier: GPL-3.0-only
// A plugin without version script: exports too much, links one of our libraries, looks for it in a
// fixed place.
#include <vector>

extern "C" int lint_needed();

extern "C" int rlx_plugin_entry_v1() {
    return lint_needed();
}

int foreign_name(int n) {
    return n;
}

struct foreign {};

template class std::vector<foreign>;
