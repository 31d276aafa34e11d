// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/checkpoint.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace rlx {
namespace {

// A pipe is as good as a file.
result<void> check_tokenizer_file(const std::filesystem::path& file) {
    if (file.empty()) return {};
    std::error_code ignored;
    const auto status = std::filesystem::status(file, ignored);
    const bool folder = std::filesystem::is_directory(status);
    if (!folder && status.type() != std::filesystem::file_type::not_found) return {};
    return error{
        RLX_NOT_FOUND,
        fmt::format(
            "tokenizer {}: {}, expected a tokenizer.json",
            file.string(),
            folder ? "a folder" : "no such file"
        )};
}

} // namespace

result<std::unique_ptr<checkpoint>> checkpoint::open(
    const std::filesystem::path& path, const open_options& options, std::string tokenizer_file
) {
    RLX_CHECK(check_tokenizer_file(tokenizer_file));
    std::unique_ptr<checkpoint> out(new checkpoint);
    out->weights_ = RLX_TRY(weights::open(path, options));
    out->tokenizer_file_ = std::move(tokenizer_file);
    if (!out->tokenizer_file_.empty()) RLX_TRY(out->tokenizer()); // named, so said at once if it is none
    return out;
}

namespace {

// Whether the next call need not try again: success, or a failure that memory would not mend.
template <class T>
bool settled(const std::optional<T>& opened) {
    return opened && (*opened || opened->error().code != RLX_OUT_OF_MEMORY);
}

} // namespace

result<const tokenizer*> checkpoint::tokenizer() {
    if (!settled(tokenizer_)) {
        auto text = text_services();
        if (!text)
            tokenizer_.emplace(text.error());
        else
            tokenizer_.emplace((*text)->open_tokenizer(*weights_, tokenizer_file_));
        if (!*tokenizer_ && !tokenizer_file_.empty())
            tokenizer_.emplace(std::move(tokenizer_->error()).within(tokenizer_file_));
    }
    if (!*tokenizer_) return tokenizer_->error();
    return tokenizer_->value().get();
}

result<const chat_template*> checkpoint::chat_template() {
    if (!settled(template_)) {
        const rlx::tokenizer* t = RLX_TRY(tokenizer());
        template_.emplace(RLX_TRY(text_services())->open_template(*weights_, *t));
    }
    if (!*template_) return template_->error();
    return template_->value().get();
}

result<std::unique_ptr<stream_decoder>> checkpoint::stream() {
    const rlx::tokenizer* t = RLX_TRY(tokenizer());
    return RLX_TRY(text_services())->stream(*t);
}

result<std::vector<std::int32_t>>
checkpoint::tokenize(std::string_view text, const encode_options& options) {
    return RLX_TRY(tokenizer())->encode(text, options);
}

result<std::string> checkpoint::detokenize(std::span<const std::int32_t> ids, bool special) {
    return RLX_TRY(tokenizer())->decode(ids, special);
}

result<std::string>
checkpoint::render_chat(std::string_view messages_json, const render_options& options) {
    return RLX_TRY(chat_template())->render(messages_json, options);
}

std::vector<std::int32_t> checkpoint::stop_ids() {
    const auto t = tokenizer();
    if (t) return {(*t)->stop_ids().begin(), (*t)->stop_ids().end()};
    std::vector<std::int32_t> out;
    const auto add = [&](std::optional<std::int64_t> id) {
        if (id && *id >= 0 && *id <= INT32_MAX && std::ranges::find(out, *id) == out.end())
            out.push_back(static_cast<std::int32_t>(*id));
    };
    for (const char* key :
         {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "eos_token_id"})
        add(weights_->meta_int(key));
    for (const std::int64_t id :
         weights_->meta_ints("eos_token_id").value_or(std::vector<std::int64_t>{}))
        add(id);
    return out;
}

} // namespace rlx
