// SPDX-License-Identifier: GPL-3.0-only
// The C API of librlx: run language models on this machine.
//
//     #include <rlx/rlx.h>
//     #include <stdio.h>
//
//     static uint32_t print(void* ctx, int32_t id, rlx_str text) {
//         (void)ctx, (void)id;
//         fwrite(text.p, 1, text.n, stdout);
//         return 0; // go on
//     }
//
//     int main(void) {
//         rlx_model_options open;
//         rlx_model_options_init(&open);
//         open.weights = rlx_cstr("model.gguf");
//         rlx_model* model = NULL;
//         rlx_error* error = rlx_model_open(&open, &model);
//         if (error == NULL) {
//             rlx_generate_options how;
//             rlx_generate_options_init(&how);
//             how.max_tokens = 64;
//             error = rlx_model_generate(model, rlx_cstr("Once upon a time"), &how, print, NULL, NULL);
//         }
//         int code = (int)rlx_error_code(error);
//         if (error != NULL) fprintf(stderr, "%s\n", rlx_error_message(error));
//         rlx_error_free(error);
//         rlx_model_close(model);
//         return code;
//     }
//
//     cc -std=c11 main.c $(pkg-config --cflags --libs rlx)
//
// Rules that hold for every function below:
//   errors    A call that can fail returns rlx_error*: NULL is success, anything else is yours to rlx_error_free().
//             There is no errno, no thread-local state and no exception. Running out of memory is an error like the
//             others, and reporting it cannot fail. After an error the model is as usable as before the call.
//   results   Are written through the last arguments. On an error pointers are NULL and counts 0 there. Memory you
//             receive is yours: rlx_free(). Borrowed text says until when it is valid.
//   NULL      A NULL model, or NULL where a result or required input is expected, is RLX_INVALID_ARGUMENT. Options
//             may be NULL where the text says so: all defaults. Functions that free accept NULL.
//   structs   Options and results begin with `size`, which the rlx_..._init() functions set; the rest is zero, and
//             zero is the default of every member. A library newer than this header takes the shorter struct, an
//             older one refuses a longer struct only if the part it does not know is not zero. A size of 0, or one
//             too short to hold the first members, is RLX_INVALID_ARGUMENT. Members: rlx/abi/models.h.
//   text      Is UTF-8, given as rlx_str {pointer, bytes}: rlx_cstr("...") makes one. Text you receive as char* is
//             NUL-terminated too, and its length counts bytes without the NUL. Prompts and texts that are not UTF-8
//             are read byte by byte by tokenizers that can, and as U+FFFD by the others; what you receive is UTF-8.
//   threads   Functions without a model argument, rlx_model_describe() and rlx_model_memory() may be called from any
//             thread at any time. A model may move between threads, but serves one call at a time: a second call
//             while one runs, also from a callback, is RLX_INVALID_ARGUMENT. Different models are independent; they
//             share the process's compute threads. After fork() the child may use models on the CPU if no call was
//             running in another thread; those on other devices are the parent's alone, also to close.
//   signals   Only rlx_cancel_raise() may be called in a signal handler. The library installs no handlers.
//   output    The library prints nothing. Its log messages go to rlx_log_set()'s function, or nowhere.
//   process   Locale, environment, working directory, floating-point state and limits stay as they are. The compute
//             threads block all signals. dlclose() leaves the library loaded: plugins and threads cannot go away.
//   callbacks Run on the thread that made the call, inside it. They must return: no longjmp(), no C++ exception.
#pragma once

#include "rlx/abi/models.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RLX_C_API __attribute__((visibility("default")))

// ---- versions --------------------------------------------------------------------------------------------------

// Version of this header: major * 1000000 + minor * 1000 + patch. Before 1.0 a new minor version may change this API;
// from 1.0 on only a new major does.
#define RLX_VERSION_NUMBER 1000

// Version of the library that runs, as "0.1.0". Static text, never NULL.
RLX_C_API const char* rlx_version(void);

// The same as a number, to compare with RLX_VERSION_NUMBER.
RLX_C_API uint32_t rlx_version_number(void);

// The plugin ABI this library speaks: major * 65536 + minor.
RLX_C_API uint32_t rlx_abi_version(void);

// ---- text ------------------------------------------------------------------------------------------------------

// Borrows a NUL-terminated string; NULL is the empty text.
static inline rlx_str rlx_cstr(const char* text) {
    rlx_str out;
    out.p = text;
    out.n = text != NULL ? (uint64_t)strlen(text) : 0;
    return out;
}

// Gives back memory that a function of this library returned (text, ids, logits, vectors). NULL is fine. Do not pass
// anything else, and do not free() such memory.
RLX_C_API void rlx_free(void* memory);

// ---- errors ----------------------------------------------------------------------------------------------------

// The RLX_* status (rlx/abi/abi.h): RLX_INVALID_ARGUMENT is the caller's mistake, RLX_NOT_FOUND, RLX_CORRUPT_DATA
// and RLX_MISSING_METADATA are about a file, RLX_UNSUPPORTED means nothing installed does it, RLX_OUT_OF_MEMORY
// that an allocation failed or the plan was over the limit, RLX_CANCELLED that you said so. RLX_OK for NULL.
RLX_C_API uint32_t rlx_error_code(const rlx_error* error);

// What, where, what was expected and what to do; lower case, no full stop, NUL-terminated. Mostly one
// line; a message that lists files has a line for each. Borrowed until the error is freed. "" for NULL; never NULL.
RLX_C_API const char* rlx_error_message(const rlx_error* error);

// NULL is fine.
RLX_C_API void rlx_error_free(rlx_error* error);

// The name of a status: "RLX_NOT_FOUND". Static text; "RLX_UNKNOWN" for a number this library does not know.
RLX_C_API const char* rlx_status_name(uint32_t code);

// ---- log -------------------------------------------------------------------------------------------------------

// A message of the library or a plugin; level is RLX_LOG_*. Texts are valid during the call, which may come from any
// thread, one at a time. What the function logs itself is dropped.
typedef void (*rlx_log_fn)(void* ctx, uint32_t level, rlx_str component, rlx_str message);

// Sends messages up to `level` to fn(ctx, ...); NULL: nowhere, as at the start. One function per process; when this
// returns, the one before is not running and will not be called again. Not to be called from a log function.
RLX_C_API void rlx_log_set(rlx_log_fn fn, void* ctx, uint32_t level);

// ---- cancelling ------------------------------------------------------------------------------------------------

// Sets a cancel flag: the call that watches it ends soon. May be called from any thread and from a signal handler.
// The flag is a uint32_t of yours, zero at first, named in the options; it must live until that call returns, or, when
// rlx_model_options names it, until the model is closed. The library never clears it. NULL is ignored.
//
// A cancelled rlx_model_generate() succeeds with RLX_FINISH_CANCELLED and what there is so far; every other call
// fails with RLX_CANCELLED.
RLX_C_API void rlx_cancel_raise(volatile uint32_t* flag);

// Clears the flag for the next call. NULL is ignored.
RLX_C_API void rlx_cancel_clear(volatile uint32_t* flag);

// ---- opening ---------------------------------------------------------------------------------------------------

static inline void rlx_model_options_init(rlx_model_options* options) {
    memset(options, 0, sizeof *options);
    options->size = (uint32_t)sizeof *options;
}

static inline void rlx_memory_plan_init(rlx_memory_plan* plan) {
    memset(plan, 0, sizeof *plan);
    plan->size = (uint32_t)sizeof *plan;
}

static inline void rlx_model_info_init(rlx_model_info* info) {
    memset(info, 0, sizeof *info);
    info->size = (uint32_t)sizeof *info;
}

static inline void rlx_note_init(rlx_note* note) {
    memset(note, 0, sizeof *note);
    note->size = (uint32_t)sizeof *note;
}

// Opens a checkpoint: finds the family plugin and the device, plans the memory, loads. `options` is read during the
// call only, but options->cancel is watched for the model's whole life and must outlive it. options->weights is
// required; a path is relative to the working directory. options->progress is called on this thread.
//   *model  the new model, yours to rlx_model_close()
// RLX_NOT_FOUND: no such file (weights, config, tokenizer, profile) or plugin directory. RLX_UNSUPPORTED: no plugin
// for this checkpoint, a kernel tier this machine lacks, a known device that is not here, or operations the device
// lacks under RLX_FALLBACK_DENY. RLX_INVALID_ARGUMENT: an option out of range, an unknown tier, or an unknown device:
// the message lists those there are and why others are not. RLX_CORRUPT_DATA, RLX_MISSING_METADATA: the file, the key
// and what was expected.
// RLX_OUT_OF_MEMORY: the plan is larger than max_memory or the machine; the message says which max_seq would fit.
// RLX_CANCELLED: options->cancel was raised.
RLX_C_API rlx_error* rlx_model_open(const rlx_model_options* options, rlx_model** model);

// What rlx_model_open() with these options would need, in bytes; reads no weights and refuses nothing for its size.
// The other errors are those of rlx_model_open().
RLX_C_API rlx_error* rlx_model_plan(const rlx_model_options* options, rlx_memory_plan* plan);

// Every device models can run on, then the names the field knows that nothing here serves, with the reason. Each
// backend is tried in a process of its own, so one that crashes or hangs is an entry like others.
//   plugin_dirs  absolute directories that are searched first; NULL when n_plugin_dirs is 0
//   on_device    called for each; what it is given is valid during the call. Nonzero ends the list.
// RLX_INVALID_ARGUMENT: on_device is NULL. RLX_CANCELLED: on_device returned nonzero. [any thread]
RLX_C_API rlx_error* rlx_devices(
    const rlx_str* plugin_dirs, uint64_t n_plugin_dirs, rlx_device_fn on_device, void* ctx
);

// Frees the model and everything borrowed from it. No call on it may be running. NULL is fine.
RLX_C_API void rlx_model_close(rlx_model* model);

// What was loaded and what computes: sizes, plugins, device, kernel tier, arithmetic. Strings in *info are borrowed
// until rlx_model_close(). n_notes is exact between calls. [any thread]
RLX_C_API rlx_error* rlx_model_describe(const rlx_model* model, rlx_model_info* info);

// The memory the model was planned with. [any thread]
RLX_C_API rlx_error* rlx_model_memory(const rlx_model* model, rlx_memory_plan* plan);

// Warnings about the model, then fallbacks: everything that is not as it was asked for. `index` counts from 0;
// RLX_NOT_FOUND past the last. Strings in *note are borrowed until the model generates again or is closed.
RLX_C_API rlx_error* rlx_model_note(const rlx_model* model, uint64_t index, rlx_note* note);

// ---- text and ids ----------------------------------------------------------------------------------------------

// Ids of a text. flags: RLX_TOKENIZE_*. An empty text may give no ids: then *ids is NULL and *n_ids 0.
//   *ids  yours to rlx_free()
// RLX_NOT_FOUND, RLX_MISSING_METADATA, RLX_UNSUPPORTED: the model has no tokenizer, or one nobody here reads.
RLX_C_API rlx_error*
rlx_model_tokenize(rlx_model* model, rlx_str text, uint32_t flags, int32_t** ids, uint64_t* n_ids);

// Text of ids; control tokens give none, bytes that are no UTF-8 become U+FFFD. `ids` may be NULL when n_ids is 0.
//   *text  yours to rlx_free(), never NULL on success
// RLX_INVALID_ARGUMENT: an id outside the vocabulary.
RLX_C_API rlx_error* rlx_model_detokenize(
    rlx_model* model, const int32_t* ids, uint64_t n_ids, char** text, uint64_t* n_text
);

static inline void rlx_chat_options_init(rlx_chat_options* options) {
    memset(options, 0, sizeof *options);
    options->size = (uint32_t)sizeof *options;
}

// A conversation as the prompt the model was trained on, by the checkpoint's own chat template; generate from it with
// RLX_GENERATE_RENDERED. `options` may be NULL.
//   *text  yours to rlx_free()
// RLX_MISSING_METADATA: the checkpoint has no template. RLX_UNSUPPORTED: a construct of the template is not known.
// RLX_INVALID_ARGUMENT: no messages, what the template itself refuses, or extra_json that is no object.
RLX_C_API rlx_error* rlx_model_render_chat(
    rlx_model* model, const rlx_message* messages, uint64_t n_messages,
    const rlx_chat_options* options, char** text, uint64_t* n_text
);

// The same from a JSON array of objects, for what a template knows beyond role and content (tool calls, ...).
RLX_C_API rlx_error* rlx_model_render_chat_json(
    rlx_model* model, rlx_str messages, const rlx_chat_options* options, char** text, uint64_t* n_text
);

// ---- generating ------------------------------------------------------------------------------------------------

static inline void rlx_generate_options_init(rlx_generate_options* options) {
    memset(options, 0, sizeof *options);
    options->size = (uint32_t)sizeof *options;
}

static inline void rlx_generate_result_init(rlx_generate_result* result) {
    memset(result, 0, sizeof *result);
    result->size = (uint32_t)sizeof *result;
}

// Continues a prompt. The text is tokenised with the checkpoint's BOS and EOS, or, with RLX_GENERATE_RENDERED, as
// rendered chat. `options` may be NULL: greedy, until the model stops or max_seq is reached.
//   on_token  called for every token with the text that is complete by then; nonzero ends the answer. May be NULL.
//   result    may be NULL. result->text and result->tokens are yours to rlx_free(); both are there on success.
// Being cancelled, by the flag or the callback, is a success: see result->finish_reason.
// RLX_INVALID_ARGUMENT: an empty prompt, one longer than max_seq, an option out of range (rlx/abi/models.h), an id in
// stop_ids or logit_bias outside the vocabulary, a model that was opened to embed; the message has the numbers. RLX_INTERNAL, RLX_DEVICE_LOST: computing failed.
RLX_C_API rlx_error* rlx_model_generate(
    rlx_model* model, rlx_str prompt, const rlx_generate_options* options,
    rlx_token_fn on_token, void* ctx, rlx_generate_result* result
);

// The same from ids, which are used as they are. Without a tokenizer the text stays empty (a note says so) and stop
// texts are RLX_INVALID_ARGUMENT.
RLX_C_API rlx_error* rlx_model_generate_ids(
    rlx_model* model, const int32_t* ids, uint64_t n_ids, const rlx_generate_options* options,
    rlx_token_fn on_token, void* ctx, rlx_generate_result* result
);

// Logits after the last of 1 to max_seq ids.
//   *logits  vocab_size floats, yours to rlx_free()
// RLX_INVALID_ARGUMENT: no ids, too many, one outside the vocabulary.
RLX_C_API rlx_error* rlx_model_logits(
    rlx_model* model, const int32_t* ids, uint64_t n_ids, float** logits, uint64_t* n_logits
);

// Logits after every id, handed to on_rows in order, some rows at a time. RLX_CANCELLED when on_rows returns nonzero.
// Open the model with max_rows 64 or so to make this fast.
RLX_C_API rlx_error* rlx_model_logits_each(
    rlx_model* model, const int32_t* ids, uint64_t n_ids, rlx_rows_fn on_rows, void* ctx
);

// ---- embedding -------------------------------------------------------------------------------------------------

static inline void rlx_embed_options_init(rlx_embed_options* options) {
    memset(options, 0, sizeof *options);
    options->size = (uint32_t)sizeof *options;
}

static inline void rlx_embed_result_init(rlx_embed_result* result) {
    memset(result, 0, sizeof *result);
    result->size = (uint32_t)sizeof *result;
}

static inline void rlx_rerank_options_init(rlx_rerank_options* options) {
    memset(options, 0, sizeof *options);
    options->size = (uint32_t)sizeof *options;
}

// The vector of a text: the model's hidden states, pooled over the tokens. The model must have been opened with task
// RLX_MODEL_EMBED; it may be a text encoder (BERT and its kin) or a language model. The text is tokenised with the
// checkpoint's special tokens, which are also recognised in the text. `options` may be NULL: pooling, length and prompt
// as the checkpoint says, nothing cut off. A vector does not depend on what else is embedded, to the last bit.
//   result->values  the floats of a vector (RLX_POOL_NONE: hidden_size for every token), yours to rlx_free()
// RLX_INVALID_ARGUMENT: no tokens, an unknown pooling, role or prompt name, more dimensions than there are, a model
// that was not opened to embed, or a text of more than max_seq tokens unless RLX_EMBED_TRUNCATE; that keeps the first
// ones and the special tokens around them. RLX_UNSUPPORTED: the checkpoint asks for a pooling that is not done, and
// the options do not choose one.
RLX_C_API rlx_error* rlx_model_embed(
    rlx_model* model, rlx_str text, const rlx_embed_options* options, rlx_embed_result* result
);

// The same from ids, which are used as they are, without a prompt.
RLX_C_API rlx_error* rlx_model_embed_ids(
    rlx_model* model, const int32_t* ids, uint64_t n_ids, const rlx_embed_options* options, rlx_embed_result* result
);

// Many texts at once, which is faster than one by one: result->values are their vectors in order, n_values the floats
// of all of them; the tokens are summed up. RLX_POOL_NONE is RLX_INVALID_ARGUMENT here. An error names the text.
RLX_C_API rlx_error* rlx_model_embed_texts(
    rlx_model* model, const rlx_str* texts, uint64_t n_texts, const rlx_embed_options* options, rlx_embed_result* result
);

// How well documents answer a query, by a cross-encoder that was opened with task RLX_MODEL_RERANK. `options` may be
// NULL: raw logits, the best first, nothing cut off.
//   *ranked  n_documents of them, yours to rlx_free()
// RLX_INVALID_ARGUMENT: a pair of more than max_seq tokens unless RLX_RERANK_TRUNCATE, a model that was not opened to
// rank.
RLX_C_API rlx_error* rlx_model_rerank(
    rlx_model* model, rlx_str query, const rlx_str* documents, uint64_t n_documents,
    const rlx_rerank_options* options, rlx_ranked** ranked, uint64_t* n_ranked
);

#ifdef __cplusplus
}
#endif
