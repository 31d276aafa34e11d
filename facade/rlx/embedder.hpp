// SPDX-License-Identifier: GPL-3.0-only
// Texts to vectors, with any model that can: text encoders (BERT and its kin) and language models
// (read below the head). Rerankers too.
//
//   auto embedder = rlx::text_embedder::from_dir("all-MiniLM-L6-v2");
//   auto vector = (*embedder)->embed("a sentence");              // vector->values, [384]
//   auto query = (*embedder)->embed("what is it?", {.role = rlx::text_role::query});
//   double score = rlx::similar(query->values, vector->values, rlx::similarity::cosine);
//
// A vector does not depend on what else was embedded with it, to the last bit. Nothing is cut off
// unless asked for, and then it is counted.
#pragma once

#include "rlx/embedding.hpp"
#include "rlx/rlx.hpp"

namespace rlx {

// One line of known_embedders(): what a model's card says, for checkpoints that do not say it
// themselves (a GGUF, a folder without sentence-transformers' files).
struct known_embedder {
    std::string_view name; // "sentence-transformers/all-MiniLM-L6-v2"
    std::int64_t dimensions;
    rlx::pooling pooling;
    std::int64_t max_length;
    bool normalise = true;
    std::string_view query = {}, document = {}; // what is put before the text
    bool matryoshka = false;                    // trained for fewer dimensions
    bool norm_before_cut = false;               // with a LayerNorm before they are cut off
};

// By organisation and name. [any thread]
RLX_API std::span<const known_embedder> known_embedders();

// The folder of "org/name", "org/name@revision" or the bare name of a known embedder in the Hugging
// Face cache (HF_HUB_CACHE, HF_HOME, ~/.cache/huggingface). Downloads nothing: RLX_NOT_FOUND says
// where was looked and what to do. [any thread]
RLX_API result<std::filesystem::path> hub_snapshot(std::string_view name);

// A module of sentence-transformers behind the pooling.
struct vector_module {
    enum class kind { dense, layer_norm, normalise };

    kind what = kind::dense;
    std::int64_t in = 0, out = 0;   // floats; 0 = normalise takes any number
    std::vector<float> weight = {}; // dense: [out, in]; layer_norm: [out]
    std::vector<float> bias = {};   // [out], or empty
    std::string activation = {};    // dense: "Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid"
    bool add_input = false;         // dense: its input is added to its output,
    std::vector<float> residual = {}; // [out, in] through this unless empty
};

// How a checkpoint's hidden states become a vector. Each item from the checkpoint's own files, else
// from known_embedders(), else the default here; `sources` has which.
struct embedding_recipe {
    rlx::pooling pooling = pooling::mean;
    std::vector<rlx::pooling> more_pooling = {}; // their vectors are put behind the first's
    std::string unsupported_pooling = {}; // why the checkpoint's own cannot be done; then embedding
                                          // needs one in its options
    bool normalise = true;                // the last thing done
    bool include_prompt = true;           // the prompt's tokens are pooled too
    std::int64_t max_length = 0;          // tokens of a text; 0 = what the model takes
    std::int64_t dimensions = 0;          // cut off last unless asked otherwise; 0 = all
    std::vector<vector_module> modules = {}; // behind the pooling, in this order
    std::vector<std::pair<std::string, std::string>> prompts = {}; // name, text
    std::string default_prompt = {};                               // a name in prompts, or empty
    rlx::similarity similarity = similarity::cosine;
    bool matryoshka = false, norm_before_cut = false;
    std::string known_as = {}; // the line of known_embedders() that was used
    std::vector<std::pair<std::string, std::string>> sources = {}; // "pooling", "modules.json"
    std::vector<std::string> notes = {};
};

// name: what the model may be known as besides what its files and folder are called. Errors name
// the file: RLX_CORRUPT_DATA, RLX_UNSUPPORTED for modules that are not done. folder: the one with
// modules.json, unless it is the weights' own.
RLX_API result<embedding_recipe>
read_recipe(const weights& w, std::string_view name = {}, const std::filesystem::path& folder = {});

enum class normalising { from_checkpoint, on, off };

// What a text is for. Models trained for search want a prompt before one or both.
enum class text_role {
    plain,    // the checkpoint's default prompt, mostly none
    query,    // prompt "query"
    document, // prompt "document", "passage" or "corpus"
};

struct embed_options {
    rlx::pooling pooling = pooling::from_checkpoint;
    normalising normalise = normalising::from_checkpoint;
    std::int64_t dimensions =
        0;                 // keep the first ones (then scale again); 0 = as the checkpoint says
    bool truncate = false; // cut what is longer than max_length instead of refusing it
    text_role role = text_role::plain;
    std::string prompt_name = {};                       // of the recipe's prompts; beats the role
    std::optional<std::string> prompt = {};             // put before the text; beats both
    const std::atomic<std::uint32_t>* cancel = nullptr; // nonzero ends it with RLX_CANCELLED
};

struct embedding {
    std::vector<float> values;            // [dimensions]; pooling::none: [tokens, dimensions]
    rlx::pooling pooling = pooling::mean; // what was used
    std::int64_t tokens = 0, dropped = 0; // read, and cut off
};

// A text as the model reads it.
struct embed_input {
    std::vector<std::int32_t> ids, types; // types: segment of each id, empty = all 0
    std::int64_t prompt = 0;              // of the ids, the first ones that are not pooled
    std::int64_t dropped = 0;             // ids that were cut off
};

// May move between threads, used by one at a time.
class RLX_API text_embedder {
public:
    class builder;
    static result<std::unique_ptr<text_embedder>> from_dir(const std::filesystem::path& path);
    // hub_snapshot(name), opened.
    static result<std::unique_ptr<text_embedder>> from_pretrained(std::string_view name);

    ~text_embedder();
    text_embedder(const text_embedder&) = delete;
    text_embedder& operator=(const text_embedder&) = delete;

    std::string_view family() const;
    std::int64_t vocab_size() const;
    std::int64_t hidden_size() const;
    std::int64_t dimensions() const; // of a vector with default options
    std::int64_t max_length() const; // tokens of a text, special ones included
    std::int64_t context_length() const;
    std::int64_t max_tokens() const; // of one step of the model
    const embedding_recipe& recipe() const;
    const lm_plan& memory() const;   // all the model will use, however many texts there are
    const run_facts& ran_on() const; // its devices, with the times of ops so far, are read anew
    std::span<const fallback> fallbacks() const;
    // Which device runs which node, and why.
    const partition_report& partition() const;
    std::span<const std::string> warnings() const;
    double load_seconds() const;
    rlx::checkpoint& checkpoint();

    // A text's ids with prompt and special tokens. RLX_INVALID_ARGUMENT: no tokens, more than
    // max_length without options.truncate, a prompt name the recipe lacks (the message lists them).
    result<embed_input> prepare(std::string_view text, const embed_options& options = {});
    // Ids as they are; cut at the end when asked to.
    result<embed_input>
    prepare(std::span<const std::int32_t> ids, const embed_options& options = {}) const;

    // In the order given; run in steps of at most max_tokens, texts of similar length together. An
    // error names the text at fault by its place and gives no vector.
    result<std::vector<embedding>>
    embed(std::span<const embed_input> inputs, const embed_options& options = {});
    result<std::vector<embedding>>
    embed(std::span<const std::string> texts, const embed_options& options = {});
    result<embedding> embed(std::string_view text, const embed_options& options = {});
    result<embedding> embed(std::span<const std::int32_t> ids, const embed_options& options = {});

private:
    struct state;
    friend class text_reranker;
    friend struct finish_vector;
    explicit text_embedder(std::unique_ptr<state> s);

    std::unique_ptr<state> state_;
};

struct rerank_options {
    bool sigmoid = false;  // of the score, instead of the raw logit
    bool sort = true;      // best first, else in the order given
    bool truncate = false; // cut the longer one of a pair that does not fit
    const std::atomic<std::uint32_t>* cancel = nullptr;
};

struct ranked {
    std::size_t index = 0; // of the document as given
    double score = 0;
    std::int64_t tokens = 0, dropped = 0;
};

// A cross-encoder: reads query and document together. May move between threads, used by one at a
// time.
class RLX_API text_reranker {
public:
    ~text_reranker();

    // RLX_INVALID_ARGUMENT: a pair longer than max_length without options.truncate.
    result<std::vector<ranked>> rerank(
        std::string_view query,
        std::span<const std::string> documents,
        const rerank_options& options = {}
    );

    // What was opened: facts, memory, warnings.
    const text_embedder& model() const { return *model_; }

    rlx::checkpoint& checkpoint() { return model_->checkpoint(); }

private:
    friend class text_embedder::builder;
    explicit text_reranker(std::unique_ptr<text_embedder> model);

    std::unique_ptr<text_embedder> model_;
};

// Loads exactly one family plugin and one backend plugin.
class RLX_API text_embedder::builder : public model_builder<text_embedder::builder> {
public:
    builder& pretrained(std::string name);    // hub_snapshot(name), instead of weights()
    builder& compute(std::string mode);       // "auto" | "f32" (exact) | "f16" | "bf16"
    builder& max_length(std::int64_t tokens); // 0 = as the checkpoint says
    builder& max_tokens(std::int64_t tokens); // of one step, which scratch memory is for
    builder& max_memory_gb(double gb);        // refuse when the plan is larger
    builder& progress(std::function<void(std::uint64_t done, std::uint64_t total)> report
    );                                                       // bytes of weights
    builder& cancel(const std::atomic<std::uint32_t>* flag); // nonzero stops build() and every step

    // Loads the model. Errors name the file, key, tensor, plugin or number at fault.
    result<std::unique_ptr<text_embedder>> build() const;
    // RLX_UNSUPPORTED for a checkpoint without a classification head.
    result<std::unique_ptr<text_reranker>> build_reranker() const;
    // What build() would need, reading no weights.
    result<lm_plan> plan() const;

private:
    friend class text_embedder;

    std::string name() const; // for messages

    std::string pretrained_;
    std::string compute_;
    std::int64_t max_length_ = 0, max_tokens_ = 0;
    double max_memory_gb_ = 0;
    std::function<void(std::uint64_t done, std::uint64_t total)> progress_;
    const std::atomic<std::uint32_t>* cancel_ = nullptr;
};

} // namespace rlx
