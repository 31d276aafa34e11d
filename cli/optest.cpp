// SPDX-License-Identifier: GPL-3.0-only
#include "optest.hpp"

namespace rlx::cli {

namespace {

constexpr flag backend[] = {
    {"backend",
     0,
     flag_kind::text,
     "DEVICE",
     "cpu",
     "what is tested: cpu, vulkan, vulkan:1, or the file of a plugin, ./x.so"},
    {"tier", 0, flag_kind::text, "NAME", "", "kernel tier of the backend; for cpu also RLX_CPU"},
    {"compute", 0, flag_kind::text, "f32|auto|f16|bf16", "f32", "how products are computed"},
    {"kv", 0, flag_kind::text, "f32|f16", "f32", "how keys and values are stored"},
    {"other", 0, flag_kind::text, "DEVICE", "cpu", "mode split: the second backend"},
    {"plugin-dir", 0, flag_kind::text, "DIR", "", "directory searched for plugins first"},
    {"threads", 0, flag_kind::integer, "N", "", "number of threads that compute"},
};

constexpr flag which[] = {
    {"op", 0, flag_kind::text, "NAME[,NAME...]", "", "these ops and patterns only"},
    {"case", 0, flag_kind::text, "LINE", "", "replay a case as it was printed"},
    {"full", 0, flag_kind::toggle, "", "", "many more sizes; minutes instead of seconds"},
    {"seed", 0, flag_kind::integer, "N", "1", "modes fuzz and split: where random graphs begin"},
    {"count", 0, flag_kind::integer, "N", "", "modes fuzz and split: how many graphs"},
    {"model",
     0,
     flag_kind::text,
     "PATH",
     "",
     "mode split: a checkpoint of a text model instead of the built-in graphs"},
    {"list", 0, flag_kind::toggle, "", "", "the cases, one line each"},
};

constexpr flag results[] = {
    {"docs",
     0,
     flag_kind::text,
     "FILE",
     "",
     "mode support: the document that holds the matrix; fails when it differs"},
    {"write", 0, flag_kind::toggle, "", "", "mode support: writes the document instead"},
    {"dump",
     0,
     flag_kind::text,
     "FILE",
     "",
     "writes the graph of --case instead of running it: .rlxg, which reads back, or .json"},
    {"verbose", 0, flag_kind::toggle, "", "", "every case with its verdict"},
    {"json", 0, flag_kind::toggle, "", "", "one JSON document"},
    {"help", 'h', flag_kind::toggle, "", "", "this text"},
    {"version", 0, flag_kind::toggle, "", "", "print the version"},
};

} // namespace

command_spec optest_spec() {
    return {
        "optest",
        "Judges a backend op by op against an oracle in double precision.",
        "[test|support|perf|fuse|split|state|det|mutate|fuzz]",
        {{"Backend", backend}, {"Cases", which}, {"Results", results}},
        "Modes:\n"
        "  test     every op in every case against the oracle\n"
        "  support  which ops the backend takes, as a table for the documents\n"
        "  perf     GB/s and GFLOP/s per op and shape\n"
        "  fuse     composites whole, taken apart and not fused with neighbours\n"
        "  split    graphs cut at random between the backend and another one\n"
        "  state    prefill, decode, ragged batches and rollback agree\n"
        "  det      two runs, and two programs, give the same bits\n"
        "  mutate   broken kernels, each of which the cases must catch\n"
        "  fuzz     random graphs; what fails is made smaller and printed\n"
        "\n"
        "A composite the backend refuses is taken apart, as the runtime does; any other node that\n"
        "it refuses is skipped, never passed. The last line is 'N passed, N failed[, N skipped]'.\n"
        "\n"
        "Exit status: 0 nothing failed, 1 a case failed or a broken kernel was not noticed, 2 "
        "wrong usage,\n"
        "4 the backend, its device or the tier is not there, or no case was judged,\n"
        "5 not enough memory."};
}

} // namespace rlx::cli
