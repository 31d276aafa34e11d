// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/cli/cli.hpp"

int main(int argc, char** argv) {
    return rlx_cli_main(argc, argv);
}
