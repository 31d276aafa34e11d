// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/gguf.hpp"
#include "unicode/categories.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace rlx::text {
namespace {

enum class recipe : std::uint8_t {
    gpt2,
    digits_gpt2,
    llama3,
    qwen2,
    qwen35,
    tekken,
    gpt4o,
    minicpm5,
    bailing,
    deepseek_coder,
    deepseek_v3
};

struct row {
    std::string_view name;
    recipe how;
    bool nfc = false, ignore_merges = false, add_bos = false;
};

constexpr row rows[] = {
    {"gpt-2", recipe::gpt2},
    {"phi-2", recipe::gpt2},
    {"smollm", recipe::digits_gpt2},
    {"starcoder", recipe::digits_gpt2},
    {"refact", recipe::digits_gpt2},
    {"command-r", recipe::digits_gpt2, true},
    {"codeshell", recipe::digits_gpt2},
    {"llama-bpe", recipe::llama3, false, true, true},
    {"llama3", recipe::llama3, false, true, true},
    {"llama-v3", recipe::llama3, false, true, true},
    {"lfm2", recipe::llama3, false, true, true},
    {"dbrx", recipe::llama3},
    {"qwen2", recipe::qwen2, true},
    {"deepseek-r1-qwen", recipe::qwen2, true},
    {"qwen35", recipe::qwen35}, // the reference file of this tag does not normalise
    {"tekken", recipe::tekken, false, true, true},
    {"gpt-4o", recipe::gpt4o},
    {"minimax-m2", recipe::gpt4o},
    {"minicpm5", recipe::minicpm5, false, true},
    {"bailingmoe", recipe::bailing},
    {"bailingmoe2", recipe::bailing},
    {"llada-moe", recipe::bailing},
    {"deepseek-coder", recipe::deepseek_coder},
    {"deepseek-v3", recipe::deepseek_v3},
};

result<void> add_regexes(std::initializer_list<const char*> patterns, std::vector<pre_step>& out) {
    for (const char* p : patterns)
        out.emplace_back(split_regex{RLX_TRY(regex::compile(p))});
    return {};
}

result<void> add_steps(recipe how, std::vector<pre_step>& out) {
    switch (how) {
    case recipe::digits_gpt2: out.emplace_back(split_class{cls_number}); [[fallthrough]];
    case recipe::gpt2: out.emplace_back(split_known{split_pattern::gpt2}); return {};
    case recipe::llama3: out.emplace_back(split_known{split_pattern::llama3}); return {};
    case recipe::qwen2: out.emplace_back(split_known{split_pattern::qwen2}); return {};
    case recipe::qwen35: out.emplace_back(split_known{split_pattern::qwen35}); return {};
    case recipe::tekken: out.emplace_back(split_known{split_pattern::tekken}); return {};
    case recipe::gpt4o: out.emplace_back(split_known{split_pattern::gpt4o}); return {};
    case recipe::minicpm5:
        out.emplace_back(split_digit_groups{3});
        out.emplace_back(split_known{split_pattern::llama3_no_digits});
        return {};
    case recipe::bailing: // qwen2 with one line break a piece
        return add_regexes(
            {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"},
            out
        );
    case recipe::deepseek_coder:
        return add_regexes(
            {R"([\r\n])",
             R"(\s?\p{L}+)",
             R"(\s?\p{P}+)",
             "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
             R"(\p{N})"},
            out
        );
    case recipe::deepseek_v3:
        return add_regexes(
            {R"(\p{N}{1,3})",
             "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
             R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
            out
        );
    }
    return error{RLX_INTERNAL, "pre-tokenizer recipe without steps"};
}

} // namespace

result<pre_rules> pre_rules_for(std::string_view name) {
    const row* r = std::find_if(std::begin(rows), std::end(rows), [&](const row& x) {
        return x.name == name;
    });
    if (r == std::end(rows)) {
        std::string known;
        for (const row& x : rows)
            known += (known.empty() ? "" : ", ") + std::string(x.name);
        return error{
            RLX_UNSUPPORTED,
            "pre-tokenizer \"" + std::string(name) +
                "\" (tokenizer.ggml.pre) is not supported; known are " + known};
    }
    pre_rules out{{}, r->nfc, r->ignore_merges, r->add_bos};
    RLX_CHECK(add_steps(r->how, out.steps));
    return out;
}

} // namespace rlx::text
