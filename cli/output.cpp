// SPDX-License-Identifier: GPL-3.0-only
#include "output.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/core.h>

namespace rlx::cli {

int status_when_written(std::string_view program, int status) {
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return status;
    fmt::print(stderr, "{}: cannot write standard output: {}\n", program, std::strerror(errno));
    return status == 0 ? 1 : status;
}

} // namespace rlx::cli
