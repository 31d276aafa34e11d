// SPDX-License-Identifier: GPL-3.0-only
// commands NAME ARG...: rlx-run with a command of this program's own.
#include <rlx/cli/cli.hpp>

#include <cstdio>

int main(int argc, char** argv) {
    rlx::cli::register_cli(
        "count", "count the arguments", [](std::span<const std::string> args) {
            std::printf("%zu arguments\n", args.size());
            return static_cast<int>(args.size());
        }
    );
    return rlx::cli::dispatch(std::vector<std::string>(argv + 1, argv + argc));
}
