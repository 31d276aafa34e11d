// SPDX-License-Identifier: GPL-3.0-only
// Metadata: raw access for tokenizers and inspect, and the config as families see it.
#include "checkpoint.hpp"

namespace rlx {

std::string_view checkpoint::stored_architecture() const {
    if (gguf_) return meta_string("general.architecture").value_or("");
    auto v = config_raw(config_, "model_type");
    return v && v->kind == RLX_META_STRING ? v->s : std::string_view();
}

std::optional<config_value> checkpoint::meta(std::string_view key) const {
    if (!gguf_) return config_find(config_, key);
    if (explicit_config_) {
        if (auto v = config_find(config_, key)) return v;
    }
    auto embedding = stored("token_embd.weight");
    gguf_facts facts{!stored("output.weight"), 0};
    if (embedding && !tensors_[*embedding].dims.empty())
        facts.embedding_rows = tensors_[*embedding].dims[0];
    return config_find(*gguf_, facts, key);
}

std::optional<std::string_view> checkpoint::meta_string(std::string_view key) const {
    auto v = gguf_ ? config_raw(*gguf_, key) : config_raw(config_, key);
    return v && v->kind == RLX_META_STRING ? std::optional(v->s) : std::nullopt;
}

std::optional<std::int64_t> checkpoint::meta_int(std::string_view key) const {
    auto v = gguf_ ? config_raw(*gguf_, key) : config_raw(config_, key);
    return v && v->kind == RLX_META_INT ? std::optional(v->i) : std::nullopt;
}

std::optional<double> checkpoint::meta_float(std::string_view key) const {
    auto v = gguf_ ? config_raw(*gguf_, key) : config_raw(config_, key);
    bool number = v && (v->kind == RLX_META_FLOAT || v->kind == RLX_META_INT);
    return number ? std::optional(v->f) : std::nullopt;
}

std::optional<bool> checkpoint::meta_bool(std::string_view key) const {
    auto v = gguf_ ? config_raw(*gguf_, key) : config_raw(config_, key);
    return v && v->kind == RLX_META_BOOL ? std::optional(v->i != 0) : std::nullopt;
}

namespace {

// The elements of a JSON array, nullopt when it is none or `get` refuses one.
template <class T, class F>
std::optional<std::vector<T>> elements(const json_flat& doc, std::string_view key, F get) {
    auto array = config_raw(doc, key);
    if (!array || array->kind != RLX_META_ARRAY) return std::nullopt;
    std::vector<T> out;
    for (std::int64_t i = 0; i < array->i; i++) {
        auto item = config_raw(doc, std::string(key) + "." + std::to_string(i));
        std::optional<T> v = item ? get(*item) : std::nullopt;
        if (!v) return std::nullopt;
        out.push_back(*v);
    }
    return out;
}

} // namespace

std::optional<std::vector<std::string_view>> checkpoint::meta_strings(std::string_view key) const {
    if (gguf_) {
        const gguf_value* v = gguf_->find(key);
        return v ? v->strings() : std::nullopt;
    }
    return elements<std::string_view>(config_, key, [](const config_value& v) {
        return v.kind == RLX_META_STRING ? std::optional(v.s) : std::nullopt;
    });
}

std::optional<std::vector<double>> checkpoint::meta_floats(std::string_view key) const {
    if (gguf_) {
        const gguf_value* v = gguf_->find(key);
        return v ? v->numbers() : std::nullopt;
    }
    return elements<double>(config_, key, [](const config_value& v) {
        bool number = v.kind == RLX_META_FLOAT || v.kind == RLX_META_INT;
        return number ? std::optional(v.f) : std::nullopt;
    });
}

std::optional<std::vector<std::int64_t>> checkpoint::meta_ints(std::string_view key) const {
    if (gguf_) {
        const gguf_value* v = gguf_->find(key);
        return v ? v->integers() : std::nullopt;
    }
    return elements<std::int64_t>(config_, key, [](const config_value& v) {
        bool whole = v.kind == RLX_META_INT || v.kind == RLX_META_BOOL;
        return whole ? std::optional(v.i) : std::nullopt;
    });
}

std::vector<std::string> checkpoint::meta_keys() const {
    std::vector<std::string> out;
    if (gguf_) {
        for (const gguf_entry& e : gguf_->entries())
            out.emplace_back(e.key);
        return out;
    }
    for (const auto& [key, value] : config_) {
        if (!key.empty()) out.push_back(key);
    }
    return out;
}

} // namespace rlx
