// SPDX-License-Identifier: GPL-3.0-only
// c-generate: continues a text with a model, or prints the vector of a text. Plain C11 over
// rlx/rlx.h.
#define _POSIX_C_SOURCE 200809L // sigaction
#include <rlx/rlx.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

struct arguments {
    const char* model;
    const char* text;
    const char* device;
    long tokens;
    double temperature;
    long seed;
    int embed;
};

// Ctrl-C: the running call ends after the token it is at. A second one ends the program.
static uint32_t interrupted;

static void on_interrupt(int signal_number) {
    (void)signal_number;
    rlx_cancel_raise(&interrupted);
}

static void catch_interrupt(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGINT, &action, NULL);
}

static int usage(const char* program) {
    fprintf(
        stderr,
        "usage: %s [-n TOKENS] [-t TEMPERATURE] [-s SEED] [-d DEVICE] [-e] MODEL TEXT\n"
        "  -n TOKENS       most tokens of the answer (64)\n"
        "  -t TEMPERATURE  0 takes the best token (0)\n"
        "  -s SEED         of the dice (0)\n"
        "  -d DEVICE       where to compute (cpu)\n"
        "  -e              print the vector of the text instead of going on with it\n",
        program
    );
    return EXIT_USAGE;
}

// A whole number in [0, most]; 0 in *ok otherwise.
static long number(const char* text, long most, int* ok) {
    char* end = NULL;
    errno = 0;
    const long n = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < 0 || n > most) *ok = 0;
    return n;
}

static double real(const char* text, int* ok) {
    char* end = NULL;
    const double x = strtod(text, &end);
    if (end == text || *end != '\0' || !(x >= 0)) *ok = 0;
    return x;
}

// 1 when the command line makes sense.
static int parse(int argc, char** argv, struct arguments* a) {
    int i = 1, ok = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        const char flag = argv[i][1];
        if (argv[i][2] != '\0') return 0;
        if (flag == 'e') {
            a->embed = 1;
            continue;
        }
        if (++i == argc) return 0;
        switch (flag) {
        case 'n': a->tokens = number(argv[i], 1000000, &ok); break;
        case 't': a->temperature = real(argv[i], &ok); break;
        case 's': a->seed = number(argv[i], LONG_MAX, &ok); break;
        case 'd': a->device = argv[i]; break;
        default: return 0;
        }
    }
    if (!ok || argc - i != 2) return 0;
    a->model = argv[i];
    a->text = argv[i + 1];
    return 1;
}

// Prints and frees an error; the exit code it stands for.
static int report(rlx_error* error) {
    const uint32_t code = rlx_error_code(error);
    fprintf(stderr, "error: %s\n", rlx_error_message(error));
    rlx_error_free(error);
    if (code == RLX_CANCELLED) return EXIT_INTERRUPTED;
    return code == RLX_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILURE;
}

static rlx_error* open_model(const struct arguments* a, rlx_model** model) {
    rlx_model_options options;
    rlx_model_options_init(&options);
    options.weights = rlx_cstr(a->model);
    options.device = rlx_cstr(a->device);
    options.task = a->embed ? RLX_MODEL_EMBED : RLX_MODEL_GENERATE;
    options.cancel = &interrupted;
    return rlx_model_open(&options, model);
}

// What is not as it was asked for.
static void print_notes(const rlx_model* model) {
    for (uint64_t i = 0;; i++) {
        rlx_note note;
        rlx_note_init(&note);
        rlx_error* error = rlx_model_note(model, i, &note);
        if (error != NULL) { // past the last
            rlx_error_free(error);
            return;
        }
        fprintf(stderr, "note: %.*s\n", (int)note.text.n, note.text.p);
    }
}

// Stops the answer when nobody can read it any more.
static uint32_t print_text(void* ctx, int32_t id, rlx_str text) {
    FILE* out = ctx;
    (void)id;
    if (text.n > 0 && fwrite(text.p, 1, text.n, out) != text.n) return 1;
    return fflush(out) != 0;
}

static int generate(rlx_model* model, const struct arguments* a) {
    rlx_generate_options how;
    rlx_generate_options_init(&how);
    how.max_tokens = a->tokens;
    how.temperature = a->temperature;
    how.seed = (uint64_t)a->seed;
    how.cancel = &interrupted;
    rlx_generate_result result;
    rlx_generate_result_init(&result);
    fputs(a->text, stdout);
    rlx_error* error =
        rlx_model_generate(model, rlx_cstr(a->text), &how, print_text, stdout, &result);
    putchar('\n');
    if (error != NULL) return report(error);
    print_notes(model);
    fprintf(
        stderr,
        "%llu tokens, %.1f per second\n",
        (unsigned long long)result.n_tokens,
        result.decode_seconds > 0 ? (double)result.decode_steps / result.decode_seconds : 0.0
    );
    rlx_free(result.text);
    rlx_free(result.tokens);
    if (ferror(stdout)) return EXIT_FAILURE;
    return result.finish_reason == RLX_FINISH_CANCELLED ? EXIT_INTERRUPTED : EXIT_SUCCESS;
}

static int embed(rlx_model* model, const struct arguments* a) {
    rlx_embed_options how;
    rlx_embed_options_init(&how);
    how.cancel = &interrupted;
    rlx_embed_result result;
    rlx_embed_result_init(&result);
    rlx_error* error = rlx_model_embed(model, rlx_cstr(a->text), &how, &result);
    if (error != NULL) return report(error);
    for (uint64_t i = 0; i < result.n_values; i++)
        printf("%s%.6f", i > 0 ? " " : "", (double)result.values[i]);
    putchar('\n');
    rlx_free(result.values);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char** argv) {
    struct arguments a = {.device = "cpu", .tokens = 64};
    if (!parse(argc, argv, &a)) return usage(argv[0]);
    catch_interrupt();
    rlx_model* model = NULL;
    rlx_error* error = open_model(&a, &model);
    if (error != NULL) return report(error);
    const int code = a.embed ? embed(model, &a) : generate(model, &a);
    rlx_model_close(model);
    return code;
}
