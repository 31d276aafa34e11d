// SPDX-License-Identifier: GPL-3.0-only
#include "flags.hpp"

namespace rlx::cli {

namespace {

using enum flag_kind;

constexpr flag general[] = {
    {"help", 'h', toggle, "", "", "print this help"},
    {"verbose", 'v', toggle, "", "", "say more on stderr (plugins, memory plan, warnings in full)"},
    {"quiet", 0, toggle, "", "", "nothing on stderr but errors"},
    {"progress", 0, text, "auto|plain|json|none", "auto", "how progress is shown on stderr"},
};

constexpr flag weights[] = {
    {"weights",
     'w',
     text,
     "PATH",
     "",
     "GGUF file, .safetensors file, or directory with config.json and weights"},
    {"format",
     0,
     text,
     "NAME",
     "",
     "gguf, safetensors or what a plugin calls its own: refuse anything else"},
    {"config", 0, text, "FILE", "", "config.json to use instead of the one beside the weights"},
    {"tokenizer", 0, text, "FILE", "", "tokenizer.json to use instead of the checkpoint's own"},
    {"profile",
     0,
     text,
     "FILE",
     "<family>.rlx.toml beside the weights",
     "compile profile; none: the family's built-in preset"},
    {"prefer-gguf",
     'p',
     text,
     "TEXT",
     "",
     "of several GGUF files take the one whose name contains TEXT"},
    {"prefer", 0, text, "TEXT", "", "same as --prefer-gguf", "prefer-gguf"},
    {"prefer-quant", 0, text, "TEXT", "", "same as --prefer-gguf", "prefer-gguf"},
    {"gguf-index",
     0,
     integer,
     "N",
     "",
     "of several GGUF files take number N of the sorted list, from 0"},
};

constexpr flag device[] = {
    {"device",
     'd',
     text,
     "DEVICE",
     "cpu",
     "cpu, vulkan, vulkan:1 or auto; 'rlx-run devices' lists them"},
    {"fallback",
     0,
     text,
     "allow|warn|deny",
     "warn",
     "operations the device lacks run on the cpu: named in the results, with a warning too, or not "
     "at all"},
    {"explain-partition",
     0,
     toggle,
     "",
     "",
     "print which device would run what, and why, and exit, loading nothing"},
    {"time-ops",
     0,
     toggle,
     "",
     "",
     "time every operation, which slows the run down: a table on stderr, and in JSON results"},
    {"threads",
     't',
     integer,
     "N",
     "physical cores within affinity and quota",
     "threads that compute"},
    {"tier",
     0,
     text,
     "baseline|avx2|avx512|avx512_vnni|amx",
     "best the machine has",
     "cpu kernels"},
    {"compute",
     0,
     text,
     "auto|f32|bf16",
     "auto",
     "auto: fastest kernels for the weights; f32: exact; bf16: products of float weights in bf16"},
    {"precision", 0, text, "auto|f32|bf16", "", "same as --compute", "compute"},
    {"max-memory-gb",
     0,
     number,
     "GB",
     "what the machine has",
     "refuse before loading when the plan needs more"},
    // From here on for models of token sequences only.
    {"kv", 0, text, "f16|f32", "f16, f32 with --compute f32", "element type of the KV cache"},
    {"max-seq",
     0,
     integer,
     "N",
     "model context, at most 4096",
     "longest sequence, prompt and answer together"},
    {"packed", 0, toggle, "", "", "keep quantised weights packed; always so, accepted for scripts"},
    {"no-packed",
     0,
     toggle,
     "",
     "",
     "compute with weights expanded to f32 on the fly, same as --compute f32"},
    {"no-bucketed-decode",
     0,
     toggle,
     "",
     "",
     "accepted for scripts: decoding never uses length buckets"},
};

// "device" to "max-memory-gb".
constexpr std::size_t shared_device_flags = 9;
static_assert(device[shared_device_flags - 1].name == "max-memory-gb");

constexpr flag plugin[] = {
    {"plugin-dir", 0, text, "DIR", "", "search DIR for plugins first (may be repeated)"},
};

constexpr flag prompt[] = {
    {"prompt", 0, text, "TEXT", "", "text to continue; - reads standard input"},
    {"prompt-ids", 0, text, "IDS", "", "token ids to continue: 1,2,3"},
    {"messages-json",
     0,
     text,
     "FILE",
     "",
     "conversation [{\"role\": .., \"content\": ..}] through the chat template; - reads standard "
     "input"},
    {"chat", 0, toggle, "", "", "put --prompt through the chat template as a user message"},
    {"system", 0, text, "TEXT", "", "system message for --chat"},
    {"template-vars", 0, text, "JSON", "", "object of extra variables for the chat template"},
    {"no-think", 0, toggle, "", "", "same as --template-vars '{\"enable_thinking\": false}'"},
};

constexpr flag generate[] = {
    {"max-tokens", 'n', integer, "N", "32; chat 512", "most tokens to generate"},
    {"temperature", 0, number, "X", "0", "0 takes the most likely token; larger is more random"},
    {"top-k", 0, integer, "N", "0 (off)", "sample among the N most likely tokens"},
    {"top-p", 0, number, "X", "1", "sample among the most likely tokens that sum to probability X"},
    {"min-p", 0, number, "X", "0", "drop tokens less likely than X times the most likely one"},
    {"repetition-penalty", 0, number, "X", "1", "make recent tokens less likely (> 1)"},
    {"repetition-window", 0, integer, "N", "64", "how many recent tokens the penalties look at"},
    {"presence-penalty", 0, number, "X", "0", "subtracted from the logit of every recent token"},
    {"frequency-penalty", 0, number, "X", "0", "subtracted once per recent occurrence"},
    {"seed", 0, integer, "N", "0", "seed of the random numbers"},
    {"stop", 0, text, "TEXT", "", "stop before this text (may be repeated)"},
    {"ignore-eos", 0, toggle, "", "", "do not stop at the model's end-of-text tokens"},
};

constexpr flag output[] = {
    {"no-stream", 0, toggle, "", "", "print the text when it is complete"},
    {"json", 0, toggle, "", "", "print exactly one JSON document"},
    {"jsonl", 0, toggle, "", "", "print one JSON line per token, then the result line"},
};

constexpr absent_flag absent[] = {
    {"use-mtp", "qwen3 checkpoints carry no draft heads"},
    {"mtp", "qwen3 and llama checkpoints carry no draft heads"},
    {"spec-decode", "speculative decoding is not there yet"},
    {"convert-mlx-npz", "there is no npz converter; use the original safetensors directory"},
    {"dense", "weights are never expanded; --compute f32 computes with f32 values"},
    {"image", "this command takes text only"},
    {"hf-repo", "there is no download yet; give a local path with --weights"},
    {"n-gpu-layers", "where to compute is chosen with --device"},
    {"ctx-size", "the length limit is --max-seq"},
    {"n-predict", "the number of tokens is --max-tokens"},
    {"model", "the checkpoint is given with --weights"},
    {"file", "a prompt from a file: --prompt - < FILE"},
};

} // namespace

const flag_group general_flags{"General", general};
const flag_group weights_flags{"Weights", weights};
const flag_group device_flags{"Device", device};
const flag_group image_device_flags{"Device", std::span(device).first(shared_device_flags)};
const flag_group plugin_flags{"Plugins", plugin};
const flag_group prompt_flags{"Prompt", prompt};
const flag_group generate_flags{"Generation", generate};
const flag_group output_flags{"Output", output};

std::span<const absent_flag> absent_flags() {
    return absent;
}

completion completion_of(const flag& f) {
    if (f.value.empty()) return completion::none;
    if (f.value.find('|') != std::string_view::npos) return completion::words;
    if (f.value == "FILE" || f.value == "PATH") return completion::file;
    if (f.value == "DIR") return completion::directory;
    if (f.value == "DEVICE") return completion::device;
    return completion::free;
}

} // namespace rlx::cli
