// SPDX-License-Identifier: GPL-3.0-only
#include "fake_weights.hpp"

#include "tokenizer/byte_level.hpp"

#include <algorithm>

namespace rlx::text_test {

fake_weights byte_level_vocabulary(
    const std::vector<std::string>& merges, const std::vector<std::string>& specials
) {
    fake_weights w;
    w.strings["tokenizer.ggml.model"] = "gpt2";
    w.strings["tokenizer.ggml.pre"] = "gpt-2";
    auto& tokens = w.string_lists["tokenizer.ggml.tokens"];
    for (int b = 0; b < 256; ++b)
        tokens.push_back(text::bytes_to_chars(std::string(1, static_cast<char>(b))));
    for (std::string m : merges) {
        std::erase(m, ' ');
        tokens.push_back(m);
    }
    w.string_lists["tokenizer.ggml.merges"] = merges;
    auto& types = w.int_lists["tokenizer.ggml.token_type"];
    types.assign(tokens.size(), 1);
    for (const std::string& s : specials) {
        tokens.push_back(s);
        types.push_back(3);
    }
    return w;
}

fake_weights sentencepiece_vocabulary(const std::vector<std::string>& pieces) {
    fake_weights w;
    w.strings["tokenizer.ggml.model"] = "llama";
    auto& tokens = w.string_lists["tokenizer.ggml.tokens"];
    auto& types = w.int_lists["tokenizer.ggml.token_type"];
    auto& scores = w.float_lists["tokenizer.ggml.scores"];
    tokens = {"<unk>", "<s>", "</s>"};
    types = {2, 3, 3};
    for (int b = 0; b < 256; ++b) {
        char name[8];
        std::snprintf(name, sizeof name, "<0x%02X>", b);
        tokens.push_back(name);
        types.push_back(6);
    }
    scores.assign(tokens.size(), 0.0);
    for (const std::string& p : pieces) {
        scores.push_back(-static_cast<double>(tokens.size()));
        tokens.push_back(p);
        types.push_back(1);
    }
    w.ints["tokenizer.ggml.bos_token_id"] = 1;
    w.ints["tokenizer.ggml.eos_token_id"] = 2;
    w.ints["tokenizer.ggml.unknown_token_id"] = 0;
    return w;
}

} // namespace rlx::text_test
