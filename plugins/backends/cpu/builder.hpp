// SPDX-License-Identifier: GPL-3.0-only
// Nodes -> steps. Fuses what pays: one activation for all products that read the same rows (made
// straight from an RmsNorm when nobody else wants it), gate and up products with their Glu, a
// product with the sum that follows, neighbouring products of one activation.
#pragma once

#include "reader.hpp"

#include <deque>

namespace rlx::cpu {

struct build_options {
    bool fuse =
        true; // off: every node is a step of its own (the reference that tests compare with)
};

// p.cfg is set by the caller. Nothing is read from the checkpoint.
status build_program(program& p, const rlx_compile_args& args, const build_options& options);

} // namespace rlx::cpu
