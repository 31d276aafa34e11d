// SPDX-License-Identifier: GPL-3.0-only
// An opened checkpoint with its text side: what `tokenize`, `render`, `check` and `inspect` need,
// without loading a model.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/loader/loader.hpp"
#include "rlx/text/text.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace rlx {

// librlx-text.so, loaded from beside librlx.so on first use. RLX_NOT_FOUND says where it was looked
// for. [any thread]
RLX_API result<const text_library*> text_services();

// [one thread per checkpoint]
class RLX_API checkpoint {
public:
    // tokenizer_file forces a tokenizer.json; one that is not there is RLX_NOT_FOUND. Nothing of
    // the text side is read before it is asked for.
    static result<std::unique_ptr<checkpoint>> open(
        const std::filesystem::path& path,
        const open_options& options = {},
        std::string tokenizer_file = {}
    );

    rlx::weights& weights() { return *weights_; }

    const rlx::weights& weights() const { return *weights_; }

    // Opened on first use; a failure but for memory is remembered and comes back every time.
    result<const rlx::tokenizer*> tokenizer();
    result<const rlx::chat_template*> chat_template();
    result<std::unique_ptr<stream_decoder>> stream();

    result<std::vector<std::int32_t>>
    tokenize(std::string_view text, const encode_options& options = {});
    result<std::string> detokenize(std::span<const std::int32_t> ids, bool special = false);
    result<std::string>
    render_chat(std::string_view messages_json, const render_options& options = {});

    // Ids that end an answer: the tokenizer's, or without one what the metadata say.
    std::vector<std::int32_t> stop_ids();

private:
    checkpoint() = default;

    std::unique_ptr<rlx::weights> weights_;
    std::string tokenizer_file_;
    std::optional<result<std::unique_ptr<rlx::tokenizer>>> tokenizer_;
    std::optional<result<std::unique_ptr<rlx::chat_template>>> template_;
};

// Whether this host can run a checkpoint, from manifests and metadata alone: no plugin is loaded.
struct check_report {
    enum class state { supported, missing_metadata, known_unimplemented, unknown };

    state status = state::unknown;
    std::string architecture;
    plugin_catalog::match family{}; // set unless unknown; borrowed from the catalog
    std::vector<std::string>
        missing; // required metadata that is absent, with the architecture filled in
    std::string milestone, note; // of the manifest's "unsupported" rule that applies
    std::string reason;          // one line for people; empty when supported
};

// Rules of the manifest: required_meta (GGUF keys, looked at for GGUF), required_config
// (config.json keys, any format), unsupported: [{"when": {"meta" | "config": key, "gt" | "lt" |
// "equals" | "in" | "present": value}, "note", "milestone"}]; {arch} stands for the architecture.
// family: the one asked for, instead of that of the highest priority; one that does not claim the
// architecture is an error, as of find_family_of().
RLX_API result<check_report>
check_weights(const weights& w, const plugin_catalog& catalog, std::string_view family = {});

// The report's complaint as an error; missing tokenizer metadata only counts when `text` is wanted.
RLX_API result<void> require_supported(const check_report& report, const weights& w, bool text);

} // namespace rlx
