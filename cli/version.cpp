// SPDX-License-Identifier: GPL-3.0-only
#include "version.hpp"

#include "rlx/abi/abi.h"

#include <fmt/format.h>

namespace rlx::cli {

std::string version_text() {
    return fmt::format(
        "rlx {} ({}), plugin ABI {}.{}\n", RLX_VERSION, RLX_REVISION, RLX_ABI_MAJOR, RLX_ABI_MINOR
    );
}

} // namespace rlx::cli
