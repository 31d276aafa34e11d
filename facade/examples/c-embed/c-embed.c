// SPDX-License-Identifier: GPL-3.0-only
// c-embed: how like a query each of some texts is, by a model's vectors. Plain C11 over rlx/rlx.h.
#include <rlx/rlx.h>

#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2 };

// Prints and frees an error; the exit code it stands for.
static int report(rlx_error* error) {
    const uint32_t code = rlx_error_code(error);
    fprintf(stderr, "error: %s\n", rlx_error_message(error));
    rlx_error_free(error);
    return code == RLX_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILURE;
}

static rlx_error* open_embedder(const char* path, rlx_model** model) {
    rlx_model_options options;
    rlx_model_options_init(&options);
    options.weights = rlx_cstr(path);
    options.task = RLX_MODEL_EMBED;
    return rlx_model_open(&options, model);
}

// The vectors of all texts, one behind the other, to be freed with rlx_free(). role: RLX_TEXT_*,
// because models for search put another prompt before a query than before a document.
static rlx_error*
embed(rlx_model* model, const rlx_str* texts, uint64_t n, uint32_t role, rlx_embed_result* out) {
    rlx_embed_options how;
    rlx_embed_options_init(&how);
    how.role = role;
    how.flags = RLX_EMBED_TRUNCATE | RLX_EMBED_UNIT;
    rlx_embed_result_init(out);
    return rlx_model_embed_texts(model, texts, n, &how, out);
}

// Of vectors of length 1 the dot product is the cosine.
static double cosine(const float* a, const float* b, uint64_t n) {
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static int compare(rlx_model* model, const rlx_str* texts, uint64_t n) {
    rlx_embed_result query, documents;
    rlx_error* error = embed(model, texts, 1, RLX_TEXT_QUERY, &query);
    if (error != NULL) return report(error);
    error = embed(model, texts + 1, n - 1, RLX_TEXT_DOCUMENT, &documents);
    if (error != NULL) {
        rlx_free(query.values);
        return report(error);
    }
    const uint64_t width = query.n_values;
    for (uint64_t i = 0; i + 1 < n; i++)
        printf(
            "%.4f %s\n", cosine(query.values, documents.values + i * width, width), texts[i + 1].p
        );
    if (documents.n_dropped > 0)
        fprintf(stderr, "note: %lld tokens left out\n", (long long)documents.n_dropped);
    rlx_free(query.values);
    rlx_free(documents.values);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char** argv) {
    enum { most = 1000 };

    static rlx_str texts[most];
    if (argc < 4 || argc - 2 > most) {
        fprintf(stderr, "usage: %s MODEL QUERY TEXT...\n", argv[0]);
        return EXIT_USAGE;
    }
    for (int i = 2; i < argc; i++)
        texts[i - 2] = rlx_cstr(argv[i]);
    rlx_model* model = NULL;
    rlx_error* error = open_embedder(argv[1], &model);
    if (error != NULL) return report(error);
    const int code = compare(model, texts, (uint64_t)(argc - 2));
    rlx_model_close(model);
    return code;
}
