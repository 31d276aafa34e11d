// SPDX-License-Identifier: GPL-3.0-only
// Reports bad data to the host: the first report of a run is kept. FLAGS is the binding.
layout(set = 0, binding = FLAGS, std430) buffer flag_words { uint v[4]; } flags_;

// step: number of the step; what: 1 an index, 2 a cache position, 3 a table entry
void report(uint step, uint what, uint value, uint limit) {
    if (atomicCompSwap(flags_.v[0], 0, step) != 0) return;
    flags_.v[1] = what;
    flags_.v[2] = value;
    flags_.v[3] = limit;
}
