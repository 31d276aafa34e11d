// SPDX-License-Identifier: GPL-3.0-only
// rlx-embed, rlx-run embed, and the programs of families that encode text.
#include "../catalog.hpp"
#include "embed_images.hpp"
#include "embed_job.hpp"

#include <fmt/format.h>

namespace rlx::cli {
namespace {

using enum flag_kind;

constexpr flag pretrained[] = {
    {"pretrained",
     0,
     text,
     "NAME",
     "",
     "instead of --weights: org/name[@revision] in the Hugging Face cache; nothing is downloaded"},
};

constexpr flag input[] = {
    {"text", 0, text, "TEXT", "", "a text to embed (may be repeated)"},
    {"input",
     0,
     text,
     "auto|lines|ndjson|files",
     "auto",
     "what a file holds: a text per line, JSON records, or one text; auto: by its name, .jsonl and "
     ".ndjson are records"},
    {"field", 0, text, "NAME", "text", "the field of a record that holds its text"},
    {"id-field", 0, text, "NAME", "id", "the field of a record that is copied to the output"},
    {"ids-json",
     0,
     text,
     "FILE",
     "",
     "instead of texts: {\"ids\": [[..]], \"mask\": [[..]]}, as a reference computes; writes .npy"},
    {"shard", 0, text, "I/N", "0/1", "only the texts I, I + N, I + 2 N, ... of the input"},
};

constexpr flag vectors[] = {
    {"pooling",
     0,
     text,
     "auto|cls|mean|max|last|weighted-mean|mean-sqrt-len|none",
     "auto",
     "how states become a vector; auto: as the checkpoint says; none: a row per token"},
    {"normalize", 0, toggle, "", "", "scale vectors to length 1, whatever the checkpoint says"},
    {"no-normalize", 0, toggle, "", "", "do not scale them, whatever the checkpoint says"},
    {"dimensions",
     0,
     integer,
     "N",
     "all",
     "keep the first N and scale again, for models trained for that"},
    {"query", 0, toggle, "", "", "the texts are queries: put the checkpoint's prompt before them"},
    {"document", 0, toggle, "", "", "the texts are documents: likewise"},
    {"prompt-name", 0, text, "NAME", "", "the checkpoint's prompt of this name"},
    {"prompt-text", 0, text, "TEXT", "", "put TEXT before every text; an empty one is no prompt"},
    {"truncate",
     0,
     toggle,
     "",
     "",
     "cut texts that are too long, and say so, instead of failing them"},
    {"max-length",
     0,
     integer,
     "N",
     "as the checkpoint says",
     "longest text in tokens, special ones included"},
    {"batch-tokens",
     0,
     integer,
     "N",
     "4096",
     "tokens of one step of the model; memory grows with it, results do not change"},
    {"quantize", 0, text, "none|int8|uint8|binary|ubinary", "none", "store vectors in fewer bits"},
    {"ranges",
     0,
     text,
     "FILE",
     "",
     "for int8 and uint8: smallest and largest value of each dimension, float32 [2, dimensions] "
     ".npy"},
    {"write-ranges", 0, text, "FILE", "", "write those of this run's vectors"},
};

constexpr flag images[] = {
    {"img-size",
     0,
     integer,
     "N",
     "as the preprocessing says",
     "resize the shorter side to N and cut a square of N x N"},
    {"preprocessor",
     0,
     text,
     "FILE",
     "preprocessor_config.json beside the weights",
     "how images are prepared"},
    {"batch", 0, integer, "N", "8", "most images in a step"},
};

constexpr flag compare[] = {
    {"similarity",
     0,
     text,
     "TEXT",
     "",
     "give each text's similarity to TEXT, a query, instead of its vector (may be repeated)"},
    {"metric",
     0,
     text,
     "cosine|dot|euclidean|manhattan",
     "as the checkpoint says",
     "what similarity is"},
    {"rerank",
     0,
     text,
     "QUERY",
     "",
     "rank the texts by how well they answer QUERY; cross-encoders"},
    {"sigmoid", 0, toggle, "", "", "with --rerank: scores between 0 and 1 instead of logits"},
};

constexpr flag output[] = {
    {"out", 'o', text, "FILE", "-", "the file to write, whole or not at all; - is standard output"},
    {"json", 0, toggle, "", "", "a JSON object per line; so unless another format is chosen"},
    {"npy", 0, toggle, "", "", "a NumPy array [texts, dimensions]; needs --out FILE"},
    {"f32", 0, toggle, "", "", "the floats alone, little-endian"},
    {"resume", 0, toggle, "", "", "go on where an interrupted run to --out FILE ended"},
    {"restart", 0, toggle, "", "", "drop what an interrupted run left"},
    {"max-failures",
     0,
     integer,
     "N",
     "any number; 0 when --text is all of the input",
     "end with exit code 3 when more than N texts could not be embedded"},
    {"plan", 0, toggle, "", "", "print the memory plan and exit, loading nothing"},
};

command_spec spec_of(std::string name, std::string summary) {
    return {
        std::move(name),
        std::move(summary),
        "[file or directory]...",
        {weights_flags,
         {"Checkpoint", pretrained},
         {"Input", input},
         {"Vectors", vectors},
         {"Images", images},
         {"Comparing", compare},
         {"Output", output},
         device_flags,
         plugin_flags,
         general_flags},
        "Reads standard input when no file is named; a directory's files are one text each. With "
        "the\ncheckpoint of an image encoder, files and directories are pictures (PNG, JPEG), "
        "other "
        "files and\nstandard input are lists of their paths. Rows come in the order of the input. "
        "What fails is an\nerror record (a row of NaN in arrays), counted at the end; exit code 3 "
        "with more of "
        "them than\n--max-failures. "
        "Interrupted runs to a file are\ngone on with by --resume."};
}

result<int> embed(const arguments& a, const std::string& family) {
    catch_signals();
    const embed_job job = RLX_TRY(job_of(a));
    auto catalog = RLX_TRY(open_catalog(a));
    if (reads_images(a, *catalog)) return embed_images(a, job, catalog.get(), family);
    for (const flag& f : images)
        if (a.has(f.name))
            return error{
                RLX_INVALID_ARGUMENT, fmt::format("--{}: the checkpoint reads no images", f.name)};
    RLX_CHECK(refuse_pictures(a));
    auto builder = RLX_TRY(embedder_of(a, catalog.get(), family));
    if (a.has("plan")) return show_plan(a, RLX_TRY(builder.plan()));
    if (a.has("explain-partition")) return show_partition(a, RLX_TRY(builder.plan()).partition);
    const auto mode = a.has("quiet") ? progress_mode::none
                                     : RLX_TRY(parse_progress_mode(a.text("progress", "auto")));
    auto line = std::make_unique<progress_line>("loading", "bytes", mode);
    builder.progress([&](std::uint64_t done, std::uint64_t total) {
        if (line) line->update(done, total);
    });
    if (a.has("rerank")) {
        auto model = RLX_TRY(builder.build_reranker());
        line.reset();
        return rank_texts(a, job, *model);
    }
    auto model = RLX_TRY(builder.build());
    line.reset();
    if (a.has("ids-json")) return embed_ids_json(a, job, *model);
    return embed_texts(a, job, *model);
}

} // namespace

int cmd_embed(arg_span args) {
    return run_command(
        "rlx-embed",
        spec_of("embed", "Turns texts or images into vectors, compares and ranks texts."),
        args,
        [](const arguments& a) { return embed(a, ""); }
    );
}

int cmd_embed_family(std::string_view family, std::string_view program, arg_span args) {
    return run_command(
        program,
        spec_of(
            std::string(family),
            fmt::format("Turns texts into vectors with a {} checkpoint.", family)
        ),
        args,
        [&](const arguments& a) { return embed(a, std::string(family)); }
    );
}

} // namespace rlx::cli
