// SPDX-License-Identifier: GPL-3.0-only
// A model family in C11, straight on the ABI: no SDK, no C++. A bigram model is one table [vocab, vocab] whose
// row t holds the logits of what follows token t.
#include <rlx/abi/backend.h>
#include <rlx/abi/family.h>
#include <rlx/abi/note.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

RLX_EMBED_MANIFEST("plugin.json");

static const rlx_host* host;             // the table the entry received; lives as long as the process
static const rlx_weights_v1* weights_api;
static const rlx_graph_v1* graph_api;
static const rlx_options_v1* options_api;

typedef struct model {
    int64_t vocab;
} model;

static rlx_str text(const char* s) {
    rlx_str out = {s, strlen(s)};
    return out;
}

static int equal(rlx_str a, const char* b) {
    return a.n == strlen(b) && (a.n == 0 || memcmp(a.p, b, a.n) == 0);
}

// Errors are made by the host; NULL is success.
static rlx_error* fail(uint32_t code, const char* message) {
    return host->error_new(host->ctx, code, text(message), NULL);
}

// ---- rlx.family/1 -------------------------------------------------------------------------------

static rlx_error* family_open(void* self, rlx_weights* w, const rlx_options* opts, void** out) {
    (void)self;
    (void)opts;
    if (w == NULL || out == NULL) return fail(RLX_INVALID_ARGUMENT, "bigram: open: a required argument is NULL");
    *out = NULL;
    // Structs that are filled for us start with the size we know.
    rlx_tensor_desc table = {.size = sizeof table};
    uint32_t found = 0;
    rlx_error* e = weights_api->find(w, text("bigram.weight"), &table, &found);
    if (e != NULL) return e;
    if (!found) return fail(RLX_NOT_FOUND, "tensor bigram.weight: not in the checkpoint");
    if (table.rank != 2 || table.dim[0] != table.dim[1] || table.dim[0] < 1)
        return fail(RLX_CORRUPT_DATA, "tensor bigram.weight: expected a square matrix");
    rlx_meta vocab = {.size = sizeof vocab};
    e = weights_api->meta(w, text("vocab_size"), &vocab, &found);
    if (e != NULL) return e;
    if (found && (vocab.kind != RLX_META_INT || vocab.i != table.dim[0])) {
        char message[160];
        snprintf(message, sizeof message, "config: vocab_size does not equal the %lld rows of bigram.weight",
                 (long long)table.dim[0]);
        return fail(RLX_CORRUPT_DATA, message);
    }
    model* m = malloc(sizeof *m);
    if (m == NULL) return fail(RLX_OUT_OF_MEMORY, "bigram: out of memory");
    m->vocab = table.dim[0];
    *out = m;
    return NULL;
}

static void family_close(void* self, void* m) {
    (void)self;
    free(m);
}

static rlx_error* family_info(void* self, void* m, rlx_options* out) {
    (void)self;
    if (m == NULL || out == NULL) return fail(RLX_INVALID_ARGUMENT, "bigram: info: a required argument is NULL");
    const struct {
        const char* key;
        int64_t value;
    } facts[] = {{"vocab_size", ((model*)m)->vocab}, {"context_length", 1 << 20}, {"n_layers", 1}, {"hidden_size", 0}};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        rlx_error* e = options_api->set_i64(out, text(facts[i].key), facts[i].value);
        if (e != NULL) return e;
    }
    return options_api->set_str(out, text("name"), text("bigram"));
}

static rlx_error* gather(rlx_graph* g, rlx_value table, rlx_value ids, rlx_value* out) {
    const rlx_value in[] = {table, ids};
    return graph_api->add(g, RLX_OP_GatherRows, in, 2, NULL, 0, out, 1);
}

// logits[r] = table[tokens[rows[r]]]
static rlx_error* family_build(void* self, void* m, rlx_str name, rlx_graph* g) {
    (void)self;
    if (m == NULL || g == NULL) return fail(RLX_INVALID_ARGUMENT, "bigram: build: a required argument is NULL");
    if (!equal(name, RLX_GRAPH_LM)) return fail(RLX_UNSUPPORTED, "bigram has no such graph (known: lm)");
    const int64_t vocab = ((model*)m)->vocab, shape[] = {vocab, vocab};
    rlx_value tokens = 0, rows = 0, table = 0, all = 0, logits = 0;
    rlx_error* e = graph_api->input(g, text("tokens"), RLX_I32, 1, NULL, &tokens); // declared by the host
    if (e == NULL) e = graph_api->input(g, text("rows"), RLX_I32, 1, NULL, &rows);
    if (e == NULL) e = graph_api->weight(g, text("bigram.weight"), 2, shape, 0, &table);
    if (e == NULL) graph_api->set_origin(g, text("bigram"));
    if (e == NULL) e = gather(g, table, tokens, &all);
    if (e == NULL) e = gather(g, all, rows, &logits);
    if (e == NULL) e = graph_api->output(g, text("logits"), logits);
    return e;
}

static const rlx_family_v1 family = {
    .hdr = {sizeof(rlx_family_v1), 1, 0},
    .open = family_open,
    .close = family_close,
    .info = family_info,
    .build = family_build,
};

// ---- the entry ----------------------------------------------------------------------------------

static const void* plugin_iface(void* self, rlx_str name, uint16_t min_minor) {
    (void)self;
    return equal(name, "rlx.family/1") && min_minor == 0 ? &family : NULL;
}

static const void* service(const char* name) {
    return host->iface(host->ctx, text(name), 0);
}

__attribute__((visibility("default"))) rlx_error* rlx_plugin_entry_v1(const rlx_host* h, rlx_plugin* out);

rlx_error* rlx_plugin_entry_v1(const rlx_host* h, rlx_plugin* out) {
    // A host that cannot take an error is refused by leaving the table as it is.
    if (!RLX_HAS(h, error_new) || !RLX_HAS(h, iface)) return NULL;
    host = h;
    if (out == NULL || out->hdr.size < offsetof(rlx_plugin, iface) + sizeof out->iface)
        return fail(RLX_VERSION_MISMATCH, "bigram: the host's plugin table is too small");
    if (h->hdr.major != RLX_ABI_MAJOR) return fail(RLX_VERSION_MISMATCH, "bigram needs a host with ABI major 1");
    weights_api = service("rlx.weights/1");
    graph_api = service("rlx.graph/1");
    options_api = service("rlx.options/1");
    if (!RLX_HAS(weights_api, find) || !RLX_HAS(weights_api, meta) || !RLX_HAS(graph_api, set_origin) ||
        !RLX_HAS(options_api, set_str))
        return fail(RLX_VERSION_MISMATCH, "bigram: the host lacks rlx.weights/1, rlx.graph/1 or rlx.options/1");
    // Only what fits is written; the version is the smaller of both sides'.
    rlx_plugin table;
    memset(&table, 0, sizeof table);
    table.hdr.size = out->hdr.size < sizeof table ? out->hdr.size : (uint32_t)sizeof table;
    table.hdr.major = RLX_ABI_MAJOR;
    table.hdr.minor = h->hdr.minor < RLX_ABI_MINOR ? h->hdr.minor : RLX_ABI_MINOR;
    table.id = text("com.example.bigram");
    table.version = text("1.0.0");
    table.iface = plugin_iface;
    memcpy(out, &table, table.hdr.size);
    return NULL;
}
