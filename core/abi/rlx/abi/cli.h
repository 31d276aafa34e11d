// SPDX-License-Identifier: GPL-3.0-only
// "rlx.cli/1": commands of rlx-run that a plugin adds, and "rlx.io/1", the streams they use. A plugin never prints
// by itself: the host handles partial writes, closed pipes, redirected streams and embedding.
//
// Manifest: {"kind": "command", "interface": "rlx.cli/1", "name": "wordcount", "summary": "count words"}; --help shows
// the summary without loading anything.
#pragma once

#include "rlx/abi/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RLX_STDIN = 0, RLX_STDOUT = 1, RLX_STDERR = 2 };

// "rlx.io/1", of the host. An rlx_io is valid while the run() that received it runs. [borrows] unless tagged otherwise.
typedef struct rlx_io_v1 {
    rlx_hdr hdr;
    // Writes all of it to RLX_STDOUT or RLX_STDERR. RLX_IO when the system refuses. When the reader of standard
    // output has gone away the process ends quietly, as commands in a pipe do. [any thread]
    rlx_error* (*write)(rlx_io* io, uint32_t stream, rlx_bytes data);
    // Hands buffered output to the system; also done when the command returns. [any thread]
    rlx_error* (*flush)(rlx_io* io, uint32_t stream);
    // Reads standard input: waits for at least one byte and gives what is there, at most n. *got = 0: the end.
    // RLX_CANCELLED when Ctrl-C came meanwhile. [one thread per rlx_io]
    rlx_error* (*read)(rlx_io* io, void* dst, uint64_t n, uint64_t* got);
    // 1 when RLX_STDIN, RLX_STDOUT or RLX_STDERR is a terminal. [any thread]
    uint32_t (*is_terminal)(rlx_io* io, uint32_t stream);
    // Columns of the terminal behind the stream; 0 when it is none or does not say. [any thread]
    uint32_t (*width)(rlx_io* io, uint32_t stream);
    // Becomes nonzero when the user wants the command to stop (Ctrl-C, SIGTERM); never NULL. A command that stops
    // because of it returns RLX_CANCELLED. The host ends the process at the second signal. [any thread]
    // [lends: end]: until run() returns
    const volatile uint32_t* (*cancelled)(rlx_io* io);
} rlx_io_v1;

// What a command is called with. Borrowed for the call.
typedef struct rlx_cli_call {
    uint32_t size; // sizeof as the caller knows it
    uint32_t argc;
    const rlx_str* argv; // [argc], without the program's and the command's name; each is followed by a NUL
    rlx_str program;     // what help and errors call the command: "rlx-run wordcount"
    rlx_io* io;
} rlx_cli_call;

// [borrows] unless tagged otherwise.
typedef struct rlx_cli_v1 {
    rlx_hdr hdr;
    // Number of commands; never fails. [any thread]
    uint32_t (*count)(void* self);
    // [any thread] [lends: process]
    rlx_error* (*describe)(void* self, uint32_t index, rlx_item* out);
    // Runs one command; *exit_code (0..255) becomes the process's. An error is printed by the host and mapped to an
    // exit code as docs/abi.md says. "--help" is passed like any argument. [any thread], commands may run at once
    rlx_error* (*run)(void* self, uint32_t index, const rlx_cli_call* call, int32_t* exit_code);
} rlx_cli_v1;

#ifdef __cplusplus
}
#endif
