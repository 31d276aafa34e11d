// SPDX-License-Identifier: GPL-3.0-only
// Small host services: "rlx.options/1" (typed key/value bag), "rlx.par/1" (the host's thread team).
#pragma once

#include "rlx/abi/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

// "rlx.options/1". Getters write *out and *found = 1, or leave *out alone and set *found = 0 when the
// key is absent; a value of another kind is RLX_INVALID_ARGUMENT naming the key. Strings are borrowed
// until the bag is changed or freed. Setters copy: [one thread per bag] and [borrows] unless tagged otherwise.
// Minor 1 added create and destroy.
typedef struct rlx_options_v1 {
    rlx_hdr hdr;
    // [any thread]
    rlx_error* (*get_i64)(const rlx_options* o, rlx_str key, int64_t* out, uint32_t* found);
    // [any thread]
    rlx_error* (*get_f64)(const rlx_options* o, rlx_str key, double* out, uint32_t* found);
    // [any thread] [lends: change]
    rlx_error* (*get_str)(const rlx_options* o, rlx_str key, rlx_str* out, uint32_t* found);
    rlx_error* (*set_i64)(rlx_options* o, rlx_str key, int64_t value);
    rlx_error* (*set_f64)(rlx_options* o, rlx_str key, double value);
    rlx_error* (*set_str)(rlx_options* o, rlx_str key, rlx_str value);
    // An empty bag that belongs to the caller, who ends it with destroy. [any thread] [gives: destroy]
    rlx_error* (*create)(rlx_options** out);
    // o came from create, or is NULL; bags that the host passes as arguments are the host's. [one thread per bag] [takes]
    void (*destroy)(rlx_options* o);
} rlx_options_v1;

// Body of a parallel region; runs once on every thread of the team, thread in [0, n_threads). [any thread] [borrows]
typedef void (*rlx_par_fn)(void* arg, uint32_t thread, uint32_t n_threads, void* team);

// "rlx.par/1": the process-wide team. Its size honours --threads, CPU affinity and the cgroup quota.
// Plugins use it instead of starting threads of their own. [borrows]: arg and team for the region.
typedef struct rlx_par_v1 {
    rlx_hdr hdr;
    void* ctx;  // first argument of threads() and run()
    uint32_t (*threads)(void* ctx);  // [any thread]
    // Runs fn on all threads (the caller is thread 0) and returns when all have returned. Concurrent
    // callers are serialised; a call from inside a region runs fn alone with n_threads = 1. [any thread]
    void (*run)(void* ctx, rlx_par_fn fn, void* arg);
    // Waits for every thread of the region. Spins briefly, then parks. Only inside a region, by all its threads. [any thread]
    void (*barrier)(void* team);
} rlx_par_v1;

#ifdef __cplusplus
}
#endif
