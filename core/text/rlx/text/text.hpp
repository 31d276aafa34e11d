// SPDX-License-Identifier: GPL-3.0-only
// Tokenizers and chat templates: librlx-text.so, opened on demand by whoever needs text. Host side
// only, same build on both sides, so C++ interfaces are fine here.
#pragma once

#include "rlx/base/result.hpp"
#include "rlx/formats/weights.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rlx {

struct encode_options {
    bool add_special = false;   // BOS / EOS as the checkpoint's flags or post-processor say
    bool parse_special = false; // recognise control tokens in the text
};

// Two texts as one input, for cross-encoders.
struct token_pair {
    std::vector<std::int32_t> ids, types; // types: segment of each id
};

// Turns a stream of tokens into text that never ends inside a UTF-8 character. The pieces joined
// equal decode() of the ids, and control tokens give no text. [one thread]
class stream_decoder {
public:
    virtual ~stream_decoder() = default;
    // The text that is complete now, may be empty.
    virtual result<std::string> push(std::int32_t id) = 0;
    // What is left; incomplete bytes become U+FFFD. The next push starts a new text.
    virtual std::string finish() = 0;
};

// [any thread]
class tokenizer {
public:
    virtual ~tokenizer() = default;
    virtual result<std::vector<std::int32_t>>
    encode(std::string_view text, const encode_options& = {}) const = 0;
    // The bytes of one token as they appear in running text; empty for control tokens unless
    // `special`.
    virtual result<std::string> piece(std::int32_t id, bool special = false) const = 0;
    // Bytes that are no UTF-8 become U+FFFD. An id outside the vocabulary is an error.
    virtual result<std::string>
    decode(std::span<const std::int32_t> ids, bool special = false) const = 0;
    virtual std::int64_t vocab_size() const = 0;
    virtual std::optional<std::int32_t> bos() const = 0;
    virtual std::optional<std::int32_t> eos() const = 0;
    // Ids that end a turn (eos, eot, eom, generation_config eos list).
    virtual std::span<const std::int32_t> stop_ids() const = 0;
    virtual bool adds_bos() const = 0;
    virtual std::optional<std::int32_t> id_of(std::string_view token) const = 0;
    virtual std::string_view source() const = 0; // "tokenizer.json" | "gguf"
    virtual std::string_view kind() const = 0;   // "bpe/qwen2", "spm", ...

    // Named special tokens as chat templates see them: {"bos_token", "<s>"}, {"eos_token", ..}, ..
    virtual std::vector<std::pair<std::string, std::string>> special_tokens() const { return {}; }

    // Two texts, encoded without special tokens, put together as the checkpoint's post-processor
    // says; without one as BERT does, [CLS] a [SEP] b [SEP] with segments 0 and 1.
    virtual result<token_pair>
    join(std::span<const std::int32_t> a, std::span<const std::int32_t> b) const {
        (void)a, (void)b;
        return error{RLX_UNSUPPORTED, "this tokenizer does not put two texts together"};
    }

    // A new stream; it borrows the tokenizer.
    virtual std::unique_ptr<stream_decoder> stream() const { return nullptr; }
};

struct render_options {
    bool add_generation_prompt = true;
    std::string extra_json; // object of more variables: "enable_thinking", "tools", "documents", ..
    std::string now;        // YYYY-MM-DD [HH:MM:SS] for strftime_now, empty = the clock
};

// [any thread]
class chat_template {
public:
    virtual ~chat_template() = default;
    // messages_json: [{"role": ..., "content": ...}, ...]. Errors name line and construct.
    virtual result<std::string>
    render(std::string_view messages_json, const render_options& = {}) const = 0;
    virtual std::string_view source() const = 0; // the template text
};

class text_library {
public:
    virtual ~text_library() = default;
    // A GGUF's own vocabulary, else tokenizer.json beside the weights. `file` is a tokenizer.json
    // to use instead (with the side files in its folder). Errors name the component that is missing
    // or not supported.
    virtual result<std::unique_ptr<tokenizer>>
    open_tokenizer(const weights& w, const std::string& file = {}) const = 0;
    virtual std::unique_ptr<stream_decoder> stream(const tokenizer& t) const = 0;
    // The checkpoint's own template: GGUF metadata, chat_template.jinja, tokenizer_config.json.
    // RLX_MISSING_METADATA when it has none, RLX_UNSUPPORTED for constructs that are not supported;
    // never another template.
    virtual result<std::unique_ptr<chat_template>>
    open_template(const weights& w, const tokenizer& t) const = 0;
    // An empty bos or eos leaves the variable undefined.
    virtual result<std::unique_ptr<chat_template>>
    parse_template(std::string_view source, std::string_view bos, std::string_view eos) const = 0;
};

} // namespace rlx

// The one symbol of librlx-text.so.
extern "C" const rlx::text_library* rlx_text_entry_v1();
