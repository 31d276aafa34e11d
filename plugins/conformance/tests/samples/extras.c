/* SPDX-License-Identifier: GPL-3.0-only */
/* An op, a weight format, tensor names and a command in plain C; BREAK_extras_* makes one thing
 * wrong. */
#include "rlx/abi/cli.h"
#include "rlx/abi/note.h"
#include "rlx/abi/op.h"
#include "rlx/abi/tensor_names.h"
#include "rlx/abi/weight_format.h"

#include <string.h>

RLX_EMBED_MANIFEST(EXTRAS_MANIFEST);

static const rlx_host* host;

static rlx_str text(const char* s) {
    return (rlx_str){s, strlen(s)};
}

static rlx_error* fail(uint32_t code, const char* why) {
    return host->error_new(host->ctx, code, text(why), NULL);
}

static int is(rlx_str s, const char* what) {
    return s.n == strlen(what) && (s.n == 0 || memcmp(s.p, what, s.n) == 0);
}

/* Fills what fits of a struct whose size the caller set. */
static rlx_error* give(void* out, const void* value, uint32_t bytes) {
    uint32_t room = 0;
    if (!out) return fail(RLX_INVALID_ARGUMENT, "no place for the result");
    memcpy(&room, out, sizeof room);
    if (room < sizeof room) return fail(RLX_INVALID_ARGUMENT, "the result has no size");
    memcpy(out, value, room < bytes ? room : bytes);
    memcpy(out, &room, sizeof room);
    return NULL;
}

static uint32_t one(void* self) {
    (void)self;
    return 1;
}

static rlx_error* describe(void* self, uint32_t index, rlx_item* out) {
    const rlx_item item = {sizeof item, 0, text("extras"), text("for tests")};
    (void)self;
    if (index) return fail(RLX_INVALID_ARGUMENT, "there is one");
    return give(out, &item, sizeof item);
}

/* ---- op: y = 2 x */

static rlx_error* op_describe(void* self, uint32_t index, rlx_op_desc* out) {
    rlx_op_desc d = {0};
    (void)self;
    if (index) return fail(RLX_INVALID_ARGUMENT, "there is one op");
    d.version = d.min_inputs = d.max_inputs = d.n_outputs = 1;
#if defined(BREAK_extras_listed)
    d.name = text("org.rlx.test.other");
#else
    d.name = text("org.rlx.test.double");
#endif
    d.description = text("twice its input");
    return give(out, &d, sizeof d);
}

static rlx_error* op_infer(void* self, uint32_t index, const rlx_op_infer* a) {
    (void)self;
#if defined(BREAK_extras_op)
    if (!a) return NULL;
#endif
    if (index || !a || a->size < sizeof *a || a->n_in != 1 || a->n_out != 1 || !a->in || !a->out)
        return fail(RLX_INVALID_ARGUMENT, "one input, one output");
    if (a->in->dtype != RLX_F32) return fail(RLX_INVALID_ARGUMENT, "expected f32");
    a->out->dtype = RLX_F32;
    a->out->rank = a->in->rank;
    memcpy(a->out->dim, a->in->dim, sizeof a->in->dim);
    return NULL;
}

static rlx_error* op_run(void* self, uint32_t index, const rlx_op_run* a) {
    (void)self;
    if (index || !a || a->size < sizeof *a || a->n_in != 1 || a->n_out != 1 || !a->in || !a->out)
        return fail(RLX_INVALID_ARGUMENT, "one input, one output");
    for (uint64_t i = 0; i < a->out->n_bytes / 4; i++)
        ((float*)a->out->data)[i] = 2 * ((const float*)a->in->data)[i];
    return NULL;
}

/* ---- weight format: "EXTRAS1\n", then one tensor of f32 */

static rlx_error* format_open(void* self, uint32_t index, const rlx_format_file* in, void** file) {
    (void)self;
    if (index || !in || in->size < sizeof *in || !file)
        return fail(RLX_INVALID_ARGUMENT, "a file and a place for it");
#if !defined(BREAK_extras_format)
    if (!in->bytes.p || in->bytes.n < 12 || memcmp(in->bytes.p, "EXTRAS1\n", 8) != 0)
        return fail(RLX_CORRUPT_DATA, "does not begin with EXTRAS1");
#endif
    *file = (void*)(uintptr_t)in->bytes.n; /* all there is to know */
    return NULL;
}

static void format_close(void* self, void* file) {
    (void)self;
    (void)file;
}

static rlx_error* format_count(void* self, void* file, uint64_t* out) {
    (void)self;
    if (!file || !out) return fail(RLX_INVALID_ARGUMENT, "no file");
    *out = 1;
    return NULL;
}

static rlx_error* format_tensor(void* self, void* file, uint64_t index, rlx_format_tensor* out) {
    rlx_format_tensor t = {0};
    (void)self;
    if (!file || index) return fail(RLX_INVALID_ARGUMENT, "there is one tensor");
    t.rank = 1;
    t.flags = RLX_FORMAT_IN_FILE;
    t.offset = 8;
    t.dim[0] = (int64_t)(((uintptr_t)file - 8) / 4);
    t.n_bytes = (uint64_t)t.dim[0] * 4;
    t.name = text("x");
    return give(out, &t, sizeof t);
}

/* ---- tensor names */

static rlx_error* rules(
    void* self,
    uint32_t index,
    rlx_str arch,
    rlx_str format,
    const rlx_name_rule** list,
    uint64_t* n,
    uint64_t* stride
) {
    static rlx_name_rule rule;
    (void)self;
    if (index || !list || !n || !stride)
        return fail(RLX_INVALID_ARGUMENT, "no place for the rules");
    rule.hf = text("model.embed_tokens.weight");
    rule.gguf = text("embedding");
    rule.transform = RLX_TX_EXPERTS_TRANSPOSED; /* the last one there is */
    rule.param = text("num_experts");
    *n = is(arch, "extras") && is(format, "gguf") ? 1 : 0;
    *list = &rule;
    *stride = sizeof rule;
#if defined(BREAK_extras_names)
    *list = NULL;
#endif
    return NULL;
}

/* ---- command: prints its arguments */

static rlx_error* cli_run(void* self, uint32_t index, const rlx_cli_call* c, int32_t* code) {
    const rlx_io_v1* io = host->iface(host->ctx, text("rlx.io/1"), 0);
    (void)self;
    if (index || !c || c->size < sizeof *c || !code || !c->io || (c->argc && !c->argv))
        return fail(RLX_INVALID_ARGUMENT, "a call, its streams and a place for the exit code");
    if (!RLX_HAS(io, write) || !RLX_HAS(io, read))
        return fail(RLX_VERSION_MISMATCH, "the host lacks rlx.io/1");
    if (c->argc == 0) {
        char byte = 0;
        uint64_t got = 0;
        rlx_error* e = io->read(c->io, &byte, 1, &got);
#if defined(BREAK_extras_cancel)
        if (e) host->error_free(e);
        e = NULL;
#endif
        if (e) return e;
    }
    *code = 0;
    for (uint32_t i = 0; i < c->argc; i++) {
        rlx_error* e = NULL;
#if !defined(BREAK_extras_cli)
        e = io->write(c->io, RLX_STDOUT, (rlx_bytes){c->argv[i].p, c->argv[i].n});
#endif
        if (e) return e;
    }
    if (RLX_HAS(io, flush)) { /* a command that does not look: the host does */
        rlx_error* e = io->flush(c->io, RLX_STDOUT);
        if (e) host->error_free(e);
    }
    return NULL;
}

static const void* find(void* self, rlx_str name, uint16_t min_minor) {
    static const rlx_op_v1 op = {{sizeof op, 1, 0}, one, op_describe, op_infer, op_run};
    static const rlx_weight_format_v1 format = {
        {offsetof(rlx_weight_format_v1, read), 1, 0},
        one,
        describe,
        format_open,
        format_close,
        format_count,
        format_tensor,
        NULL,
        NULL,
        NULL,
        NULL};
    static const rlx_tensor_names_v1 names = {{sizeof names, 1, 0}, one, describe, rules};
    static const rlx_cli_v1 cli = {{sizeof cli, 1, 0}, one, describe, cli_run};
    (void)self;
    if (min_minor > 0) return NULL;
    if (is(name, "rlx.op/1")) return &op;
    if (is(name, "rlx.weight_format/1")) return &format;
    if (is(name, "rlx.tensor_names/1")) return &names;
    if (is(name, "rlx.cli/1")) return &cli;
    return NULL;
}

__attribute__((visibility("default"))) rlx_error*
rlx_plugin_entry_v1(const rlx_host* h, rlx_plugin* out);

rlx_error* rlx_plugin_entry_v1(const rlx_host* h, rlx_plugin* out) {
    rlx_plugin t = {0};
    if (!RLX_HAS(h, error_new) || !RLX_HAS(h, iface)) return NULL;
    host = h;
    if (h->hdr.major != RLX_ABI_MAJOR || h->hdr.minor < 1)
        return fail(RLX_VERSION_MISMATCH, "needs a host of ABI 1.1");
    if (out->hdr.size < offsetof(rlx_plugin, quiesce))
        return fail(RLX_VERSION_MISMATCH, "the host's plugin table is too short");
    t.hdr = (rlx_hdr){offsetof(rlx_plugin, quiesce), 1, 1};
    t.id = text("org.rlx.test.extras");
    t.version = text("1.0.0");
    t.iface = find;
    memcpy(out, &t, t.hdr.size);
    return NULL;
}
