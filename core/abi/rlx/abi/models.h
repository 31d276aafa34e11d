// SPDX-License-Identifier: GPL-3.0-only
// "rlx.models/1": whole models for plugins (a command, a server): open, tokenise, generate, embed. The service is
// there when librlx is part of the process; otherwise iface() gives NULL. The structs are also those of the C API
// of librlx, rlx/rlx.h, whose functions are the members of this table: what is written there about arguments and
// errors holds here. Callers zero a struct, set its `size`, and leave what they do not need: zero is the default
// of every member.
#pragma once

#include "rlx/abi/abi.h"
#include "rlx/abi/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

// An opened model. [one thread per model]: it may move between threads, and a second call while one runs is
// RLX_INVALID_ARGUMENT, also from a callback. Different models are independent.
typedef struct rlx_model rlx_model;

// A cancel flag is a word of the caller's that is zero, and set to anything else by any thread or signal handler
// to make the call that watches it end soon (between two tokens, and between the operations of a step). It must
// live until that call has returned; the one of rlx_model_options until the model is closed. rlx_cancel_raise() of
// rlx/rlx.h sets it without a data race; in C++ it may be a std::atomic<uint32_t>.

// What a model is opened for. EMBED: text encoders, and language models below their head. RERANK: cross-encoders.
enum { RLX_MODEL_GENERATE = 0, RLX_MODEL_EMBED = 1, RLX_MODEL_RERANK = 2 };

// Operations the device lacks run on the CPU: with a note and a warning in the log, with a note alone, or not at all
// (RLX_UNSUPPORTED, the message lists them).
enum { RLX_FALLBACK_WARN = 0, RLX_FALLBACK_ALLOW = 1, RLX_FALLBACK_DENY = 2 };

typedef struct rlx_model_options {
    uint32_t size;    // sizeof(rlx_model_options)
    uint32_t task;    // RLX_MODEL_*
    rlx_str weights;  // required: a GGUF file, or a directory with config.json and safetensors
    rlx_str config;   // config.json to use instead of the one beside the weights
    rlx_str tokenizer; // tokenizer.json to use instead of the checkpoint's own
    rlx_str prefer;   // of several GGUF files in a directory, the one whose name contains this
    rlx_str family;   // the one to read it with ("qwen3"), of those that claim it; another is an error
    rlx_str device;   // "cpu" (default), "name", "name:index" or "auto"
    rlx_str tier;     // kernel tier to force ("avx2"); one the machine lacks is an error
    rlx_str compute;  // "auto" (default: the fastest kernels), "f32" (exact), "f16" or "bf16"
    rlx_str kv;       // element type of the cache: "auto" (default), "f16" or "f32"
    const rlx_str* plugin_dirs; // absolute directories, searched before all others
    uint64_t n_plugin_dirs;
    int64_t max_seq;   // tokens per sequence; 0: the smaller of the model's context and 4096; to embed: of a text
                       // (messages: max_length), 0: as the checkpoint says
    int64_t max_batch; // tokens per step; 0: 512
    int64_t max_rows;  // rows of logits per step, for rlx_model_logits_each(); 0: 1
    uint64_t max_memory; // bytes; refuse before loading when the plan is larger; 0: what the machine has
    uint32_t threads;    // of the process, for all models; 0: what CPU affinity and cgroup quota allow
    uint32_t fallback;   // RLX_FALLBACK_*
    rlx_progress_fn progress; // bytes of weights read so far and in all; may be NULL
    void* progress_ctx;
    const volatile uint32_t* cancel; // watched while opening and in every later call; outlives the model; may be NULL
    rlx_str profile; // how the graphs are compiled: a profile's file, or "none": the family's preset; empty: the
                     // <family>.rlx.toml beside the weights if there is one. compute and kv beat it.
} rlx_model_options;

// Bytes a model needs, exact, known before anything is loaded.
typedef struct rlx_memory_plan {
    uint32_t size; // sizeof(rlx_memory_plan), set by the caller
    uint32_t fits; // 1: opening would not refuse it for its size
    uint64_t weights;         // resident after loading
    uint64_t mapped;          // read in place from the file, shared with other processes
    uint64_t state;           // the cache for max_seq tokens; committed as it fills
    uint64_t scratch;         // activations, workspaces, results
    uint64_t total;           // the sum of the four
    uint64_t state_per_token; // bytes of cache for one more token
    int64_t max_seq;          // what the plan is for
} rlx_memory_plan;

// What was loaded and what computes. The strings are borrowed until the model is closed.
typedef struct rlx_model_info {
    uint32_t size; // sizeof(rlx_model_info)
    uint32_t task; // RLX_MODEL_*
    int64_t vocab_size;     // ids are 0 .. vocab_size - 1; floats in a row of logits
    int64_t hidden_size;    // floats in a hidden state; 0 when the family does not say
    int64_t max_seq;        // most tokens of a prompt and its answer together
    int64_t context_length; // what the checkpoint was trained for; 0 when it does not say
    double load_seconds;
    uint32_t threads;
    uint32_t pooling;       // RLX_POOL_* that RLX_POOL_AUTO stands for; 0 unless opened to embed
    rlx_str family;         // "qwen3"
    rlx_str family_plugin;  // "org.rlx.qwen3"
    rlx_str family_version;
    rlx_str backend_plugin; // "org.rlx.cpu"
    rlx_str backend_version;
    rlx_str device;             // "cpu"
    rlx_str device_description; // the processor or card
    rlx_str tier;    // kernel tier in use
    rlx_str compute; // arithmetic in use: "f32", ...
    rlx_str kv;      // "f16" or "f32"
    uint64_t n_notes; // what rlx_model_note() has to say by now
} rlx_model_info;

enum { RLX_NOTE_WARNING = 1, RLX_NOTE_FALLBACK = 2 };

// Something that is not as it was asked for, or less than it could be. Borrowed until the next call that
// generates, or the model is closed.
typedef struct rlx_note {
    uint32_t size; // sizeof(rlx_note)
    uint32_t kind; // RLX_NOTE_*
    rlx_str what;  // fallbacks: the part ("text"); warnings: empty
    rlx_str text;  // one line for people
} rlx_note;

// How text becomes ids.
enum {
    RLX_TOKENIZE_ADD_SPECIAL = 1,  // BOS, EOS as the checkpoint's tokenizer adds them to a text
    RLX_TOKENIZE_PARSE_SPECIAL = 2 // control tokens written in the text ("<|im_end|>") are recognised
};

typedef struct rlx_message {
    rlx_str role; // "system", "user", "assistant", "tool"
    rlx_str content;
} rlx_message;

enum { RLX_CHAT_NO_GENERATION_PROMPT = 1 }; // do not open the assistant's turn

typedef struct rlx_chat_options {
    uint32_t size;  // sizeof(rlx_chat_options)
    uint32_t flags; // RLX_CHAT_*
    rlx_str extra_json; // object of more template variables: {"enable_thinking": false, "tools": [...]}
    rlx_str now;        // "YYYY-MM-DD" for templates that print the date; empty: today
} rlx_chat_options;

enum {
    RLX_GENERATE_RENDERED = 1,   // the prompt is rendered chat: control tokens in it count, none are added
    RLX_GENERATE_KEEP_CACHE = 2, // the next prompt that begins like this one is only fed from where it differs
    RLX_GENERATE_IGNORE_EOS = 4  // stop ids do not end the answer, the model's own neither
};

typedef struct rlx_logit_bias {
    int32_t id; // of the vocabulary
    uint32_t reserved; // 0
    double bias;       // added to the logit; -INFINITY bans the token
} rlx_logit_bias;

// The chain: logit_bias, penalties, top_k, top_p, min_p, temperature, draw.
typedef struct rlx_generate_options {
    uint32_t size;      // sizeof(rlx_generate_options)
    uint32_t flags;     // RLX_GENERATE_*
    int64_t max_tokens; // of the answer; 0: until a stop or max_seq
    double temperature; // 0 or more; 0: always the best token
    int64_t top_k;      // 0 or more: keep the k best; 0: all
    double top_p;       // 0 to 1: keep the best until their probability reaches this; 0: all
    double min_p;       // 0 to 1: keep those with p >= min_p * best p; 0: all
    double repetition_penalty; // 0 or more; 0 or 1: none
    double presence_penalty;
    double frequency_penalty;
    int64_t repetition_window; // tokens the penalties look back; 0: 64
    uint64_t seed;             // the same seed, prompt and options give the same answer
    const rlx_str* stop;       // texts that end the answer; they are not part of it
    uint64_t n_stop;
    const int32_t* stop_ids;   // tokens of the vocabulary that end it, besides the model's own
    uint64_t n_stop_ids;
    const rlx_logit_bias* logit_bias;
    uint64_t n_logit_bias;
    const volatile uint32_t* cancel; // may be NULL
    rlx_progress_fn prefill;         // tokens of the prompt fed so far and in all; may be NULL
    void* prefill_ctx;
} rlx_generate_options;

// One generated token with the text that is complete now: often empty, never part of a UTF-8 character, valid
// during the call. id is -1 for text that was held back and is released at the end. Nonzero ends the answer.
// [one thread per model] [borrows]
typedef uint32_t (*rlx_token_fn)(void* ctx, int32_t id, rlx_str text);

enum { RLX_FINISH_STOP = 1, RLX_FINISH_LENGTH = 2, RLX_FINISH_CANCELLED = 3 };

typedef struct rlx_generate_result {
    uint32_t size;          // sizeof(rlx_generate_result), set by the caller
    uint32_t finish_reason; // RLX_FINISH_*; a callback that said stop is CANCELLED
    char* text;             // the answer, NUL-terminated; free it with rlx_free() / free_memory
    uint64_t n_text;        // bytes without the NUL
    int32_t* tokens;        // the answer's ids, the stop id included; freed likewise
    uint64_t n_tokens;
    int64_t stop_index;     // place in options.stop of the text that ended it, else -1
    int64_t prompt_tokens;
    int64_t cached_tokens;  // of the prompt, found in the cache
    int64_t prefill_tokens; // of the prompt, computed in prefill_seconds
    int64_t decode_steps;   // computed in decode_seconds
    double prefill_seconds;
    double decode_seconds;
} rlx_generate_result;

// Rows [first, first + n_rows) of logits, [n_rows, width] floats, valid during the call. Nonzero ends the call
// with RLX_CANCELLED. [one thread per model] [borrows]
typedef uint32_t (*rlx_rows_fn)(void* ctx, int64_t first, int64_t n_rows, int64_t width, const float* rows);

enum {
    RLX_POOL_AUTO = 0, // what the checkpoint says (1_Pooling/config.json, GGUF pooling_type), else MEAN
    RLX_POOL_LAST = 1, // the last token's state
    RLX_POOL_MEAN = 2, // the mean over all tokens
    RLX_POOL_CLS = 3,  // the first token's state
    RLX_POOL_MAX_TOKENS = 4, // the largest value of each dimension
    RLX_POOL_WEIGHTED_MEAN = 5, // the mean with weights 1, 2, 3, ...
    RLX_POOL_MEAN_SQRT_LEN = 6, // the sum divided by the root of the number of tokens
    RLX_POOL_NONE = 7           // none: hidden_size floats for every token
};

enum {
    RLX_EMBED_RAW = 1,      // do not scale the vector to length 1
    RLX_EMBED_TRUNCATE = 2, // cut a text that is longer than max_seq instead of refusing it
    RLX_EMBED_UNIT = 4      // scale it; without either flag as the checkpoint says, else scaled
};

// What a text is for; models trained for search put a prompt before it.
enum { RLX_TEXT_PLAIN = 0, RLX_TEXT_QUERY = 1, RLX_TEXT_DOCUMENT = 2 };

typedef struct rlx_embed_options {
    uint32_t size;    // sizeof(rlx_embed_options)
    uint32_t flags;   // RLX_EMBED_*
    uint32_t pooling; // RLX_POOL_*
    uint32_t role;    // RLX_TEXT_*
    const volatile uint32_t* cancel; // may be NULL
    int64_t dimensions;  // keep the first ones of a vector, then scale again; 0: all
    rlx_str prompt_name; // of the checkpoint's prompts; beats role
    rlx_str prompt;      // put before the text; beats both. "" is no prompt, {NULL, 0} leaves it to the others
} rlx_embed_options;

typedef struct rlx_embed_result {
    uint32_t size;    // sizeof(rlx_embed_result), set by the caller
    uint32_t pooling; // RLX_POOL_* that was used
    float* values;    // the vector, or those of all texts in order; free it with rlx_free() / free_memory
    uint64_t n_values;
    int64_t n_tokens;  // that were read
    int64_t n_dropped; // that RLX_EMBED_TRUNCATE left out
} rlx_embed_result;

enum {
    RLX_RERANK_SIGMOID = 1,  // scores between 0 and 1 instead of raw logits
    RLX_RERANK_TRUNCATE = 2, // cut the longer text of a pair that does not fit instead of refusing it
    RLX_RERANK_IN_ORDER = 4  // results in the order of the documents, not the best first
};

typedef struct rlx_rerank_options {
    uint32_t size;  // sizeof(rlx_rerank_options)
    uint32_t flags; // RLX_RERANK_*
    const volatile uint32_t* cancel; // may be NULL
} rlx_rerank_options;

typedef struct rlx_ranked {
    uint64_t index; // of the document as given
    double score;
    int64_t n_tokens;  // of the pair that were read
    int64_t n_dropped; // that RLX_RERANK_TRUNCATE left out
} rlx_ranked;

// Something models can run on, or why they cannot. Everything is borrowed for the call it is handed to.
typedef struct rlx_device_info {
    uint32_t size;      // sizeof(rlx_device_info) of the library: members past it are not there
    uint32_t available; // 1: rlx_model_options.device takes the name
    rlx_str name;       // "cpu", "vulkan:0"; of what is not available the backend's alone, "cuda"
    rlx_str reason;     // why it is not available
    rlx_str description; // the processor or card; empty when the backend does not say
    rlx_str plugin;      // "org.rlx.vulkan"; empty when nothing installed is for it
    uint64_t memory;     // bytes; 0 when the backend does not say
} rlx_device_info;

// Nonzero ends the call with RLX_CANCELLED. [one thread per call] [borrows]
typedef uint32_t (*rlx_device_fn)(void* ctx, const rlx_device_info* device);

// Objects (rlx_model) are destroyed by close. Memory that a call returns (text, ids, vectors) belongs to the
// caller, who gives it back to free_memory. On an error nothing is returned: pointers are NULL, counts 0.
// [borrows] unless tagged otherwise.
typedef struct rlx_models_v1 {
    rlx_hdr hdr;
    // The new model belongs to the caller; options.cancel outlives it. [any thread] [keeps: end] [gives: close]
    rlx_error* (*open)(const rlx_model_options* options, rlx_model** model);
    // What open() would need; loads nothing. [any thread]
    rlx_error* (*plan)(const rlx_model_options* options, rlx_memory_plan* out);
    // NULL is fine. No call on the model may be running. [one thread per model] [takes]
    void (*close)(rlx_model* model);
    // Strings in *out borrow from the model. [any thread] [lends: end]
    rlx_error* (*info)(const rlx_model* model, rlx_model_info* out);
    rlx_error* (*memory)(const rlx_model* model, rlx_memory_plan* out); // [any thread]
    // RLX_NOT_FOUND past the last one. Strings in *out borrow from the model. [one thread per model] [lends: change]
    rlx_error* (*note)(const rlx_model* model, uint64_t index, rlx_note* out);
    // *ids belongs to the caller. [one thread per model] [gives: free_memory]
    rlx_error* (*tokenize)(rlx_model* model, rlx_str text, uint32_t flags, int32_t** ids, uint64_t* n_ids);
    // *text belongs to the caller. [one thread per model] [gives: free_memory]
    rlx_error* (*detokenize)(rlx_model* model, const int32_t* ids, uint64_t n_ids, char** text, uint64_t* n_text);
    // The checkpoint's own chat template. *text belongs to the caller. [one thread per model] [gives: free_memory]
    rlx_error* (*render_chat)(rlx_model* model, const rlx_message* messages, uint64_t n_messages, const rlx_chat_options* options, char** text, uint64_t* n_text);
    // The same from JSON: [{"role": ..., "content": ..., more the template knows}]. [one thread per model] [gives: free_memory]
    rlx_error* (*render_chat_json)(rlx_model* model, rlx_str messages, const rlx_chat_options* options, char** text, uint64_t* n_text);
    // options, on_token and out may be NULL; text and tokens in *out belong to the caller. on_token is called on
    // this thread. A cancelled run is a result. [one thread per model] [gives: free_memory]
    rlx_error* (*generate)(rlx_model* model, rlx_str prompt, const rlx_generate_options* options, rlx_token_fn on_token, void* ctx, rlx_generate_result* out);
    // The same from ids; works without a tokenizer, then without text. [one thread per model] [gives: free_memory]
    rlx_error* (*generate_ids)(rlx_model* model, const int32_t* ids, uint64_t n_ids, const rlx_generate_options* options, rlx_token_fn on_token, void* ctx, rlx_generate_result* out);
    // After the last id: vocab_size floats that belong to the caller. [one thread per model] [gives: free_memory]
    rlx_error* (*logits)(rlx_model* model, const int32_t* ids, uint64_t n_ids, float** logits, uint64_t* n_logits);
    // After every id, in order; on_rows is called on this thread. [one thread per model]
    rlx_error* (*logits_each)(rlx_model* model, const int32_t* ids, uint64_t n_ids, rlx_rows_fn on_rows, void* ctx);
    // options may be NULL; values in *out belong to the caller. [one thread per model] [gives: free_memory]
    rlx_error* (*embed)(rlx_model* model, rlx_str text, const rlx_embed_options* options, rlx_embed_result* out);
    rlx_error* (*embed_ids)(rlx_model* model, const int32_t* ids, uint64_t n_ids, const rlx_embed_options* options, rlx_embed_result* out); // [one thread per model] [gives: free_memory]
    // Memory that this table returned; NULL is fine. [any thread] [takes]
    void (*free_memory)(void* memory);
    // Many at once; values in *out belong to the caller. [one thread per model] [gives: free_memory]
    rlx_error* (*embed_texts)(rlx_model* model, const rlx_str* texts, uint64_t n_texts, const rlx_embed_options* options, rlx_embed_result* out);
    // *ranked belongs to the caller. [one thread per model] [gives: free_memory]
    rlx_error* (*rerank)(rlx_model* model, rlx_str query, const rlx_str* documents, uint64_t n_documents, const rlx_rerank_options* options, rlx_ranked** ranked, uint64_t* n_ranked);
    // Devices and backends, one by one; on_device is called on this thread. [any thread]
    rlx_error* (*devices)(const rlx_str* plugin_dirs, uint64_t n_plugin_dirs, rlx_device_fn on_device, void* ctx);
} rlx_models_v1;

#ifdef __cplusplus
}
#endif
