// SPDX-License-Identifier: GPL-3.0-only
// Published vocabularies beside the checkout; no part of it.
#pragma once

#include <filesystem>
#include <string>

#include <cstdlib>
#include <unistd.h>

namespace rlx::text_test {

inline const std::filesystem::path vocab_dir = RLX_SHARED_DATA "/vocab";

// The file, unpacked if need be; empty when it is not there.
inline std::filesystem::path shared_vocabulary(const std::string& name) {
    namespace fs = std::filesystem;
    const fs::path plain = vocab_dir / (name + ".gguf"), packed = vocab_dir / (name + ".gguf.xz");
    if (fs::exists(plain)) return plain;
    if (!fs::exists(packed)) return {};
    const fs::path out = fs::path(RLX_TEXT_SCRATCH) / (name + ".gguf");
    // Each test case is a process of its own: unpack under a private name, then rename.
    const fs::path part = out.string() + "." + std::to_string(getpid());
    if (!fs::exists(out)) {
        const std::string command = "xz -dkc '" + packed.string() + "' > '" + part.string() + "'";
        if (std::system(command.c_str()) != 0) return {};
        fs::rename(part, out);
    }
    return out;
}

} // namespace rlx::text_test
