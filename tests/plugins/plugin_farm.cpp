// SPDX-License-Identifier: GPL-3.0-only
// plugin_farm DIR N: fills DIR with N plugins that can be found but not loaded, and their sidecars.
#include "tiny_elf.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

int main(int argc, char** argv) {
    const int n = argc == 3 ? std::atoi(argv[2]) : 0;
    if (n < 1) return 2;
    const std::filesystem::path dir = argv[1];
    std::filesystem::create_directories(dir);
    for (int i = 0; i < n; i++) {
        const std::string file =
            (dir / ("rlx-family" + std::to_string(100000 + i) + ".so")).native();
        const std::string manifest = tiny_manifest(i);
        std::ofstream(file, std::ios::binary) << tiny_elf(manifest);
        std::ofstream(file + ".rlx.json", std::ios::binary) << manifest;
    }
    return 0;
}
