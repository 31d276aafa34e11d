// SPDX-License-Identifier: GPL-3.0-only
// Where vectors go: standard output, or a file that an interrupted run can go on with.
//
// A run with --out X writes X.part and X.journal. The journal has a line for each time that what
// was written is complete: how many texts were read, how many bytes of X.part they made, a hash of
// the texts. It is written after the bytes are on the disk. A run that goes on cuts X.part to the
// last line's bytes and skips its texts, so that whatever moment the run before ended at, nothing
// is lost and nothing is there twice. At the end the journal gets what X.meta.json will hold; then
// the meta of an X that is replaced is removed, X.part becomes X, X.meta.json is written, and the
// journal is removed. Each of these is on the disk before the next, and a run that goes on does
// what is left of them.
#pragma once

#include "embed_input.hpp"

#include "rlx/embedder.hpp"

#include <string>
#include <string_view>

namespace rlx::cli {

enum class vector_format { lines, npy, raw };

// What a line of the journal says.
struct embed_progress {
    std::uint64_t items = 0; // of the whole input, read
    std::uint64_t rows = 0;  // written
    std::uint64_t failed = 0;
    std::uint64_t hash = 0; // of the texts read
};

class vector_file {
public:
    virtual ~vector_file() = default;
    virtual result<void> write(std::string_view bytes) = 0;
    // Everything written so far belongs to `done`. Durable when a second or 4096 rows
    // have gone by since it was, and when `last`.
    virtual result<void> commit(const embed_progress& done, bool last) = 0;
    // The whole is complete. head: the first bytes, of the length that open had; meta: a JSON text,
    // which `done` and the fingerprint are added to.
    virtual result<void>
    finish(const embed_progress& done, std::string_view head, std::string_view meta) = 0;
    // What an earlier run did, of a complete file too; all 0 for a new file.
    virtual const embed_progress& resumed() const = 0;
    // The file was complete before: there is nothing to do.
    virtual bool complete() const = 0;
};

struct vector_file_options {
    std::string path;        // "-" is standard output
    std::string head;        // the first bytes of a new file
    std::string fingerprint; // of all that decides what is written
    bool resume = false, restart = false;
};

// RLX_INVALID_ARGUMENT: rows of an interrupted run when neither resume nor restart is asked for,
// those of other options, a complete file of other options when resuming, another process that
// writes the same file. Leftovers without rows are dropped.
result<std::unique_ptr<vector_file>> open_vector_file(const vector_file_options& o);

// FNV-1a of 64 bits, going on from `seed`.
std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed = 0xcbf29ce484222325U);

} // namespace rlx::cli
