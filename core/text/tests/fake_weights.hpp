// SPDX-License-Identifier: GPL-3.0-only
// A checkpoint that exists only in a test: metadata and sidecar files, no tensors.
#pragma once

#include "rlx/text/text.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

namespace rlx::text_test {

class fake_weights final : public weights {
public:
    std::string kind = "gguf";
    std::map<std::string, std::string> strings;
    std::map<std::string, std::int64_t> ints;
    std::map<std::string, bool> bools;
    std::map<std::string, std::vector<std::string>> string_lists;
    std::map<std::string, std::vector<double>> float_lists;
    std::map<std::string, std::vector<std::int64_t>> int_lists;
    std::map<std::string, std::string> files;

    std::string_view format() const override { return kind; }

    std::string_view architecture() const override { return "llama"; }

    const std::filesystem::path& path() const override { return path_; }

    std::span<const tensor_info> tensors() const override { return {}; }

    std::uint64_t file_bytes() const override { return 0; }

    std::optional<std::string_view> meta_string(std::string_view key) const override {
        const auto it = strings.find(std::string(key));
        return it == strings.end() ? std::nullopt : std::optional<std::string_view>(it->second);
    }

    std::optional<std::int64_t> meta_int(std::string_view key) const override {
        return get(ints, key);
    }

    std::optional<double> meta_float(std::string_view) const override { return std::nullopt; }

    std::optional<bool> meta_bool(std::string_view key) const override { return get(bools, key); }

    std::optional<std::vector<std::string_view>> meta_strings(std::string_view key) const override {
        const auto it = string_lists.find(std::string(key));
        if (it == string_lists.end()) return std::nullopt;
        return std::vector<std::string_view>(it->second.begin(), it->second.end());
    }

    std::optional<std::vector<double>> meta_floats(std::string_view key) const override {
        return get(float_lists, key);
    }

    std::optional<std::vector<std::int64_t>> meta_ints(std::string_view key) const override {
        return get(int_lists, key);
    }

    std::vector<std::string> meta_keys() const override { return {}; }

    result<std::optional<std::string>> sidecar(std::string_view name) const override {
        return get(files, name);
    }

    std::vector<std::string> unused() const override { return {}; }

    rlx_weights* handle() override { return nullptr; }

private:
    template <class T>
    static std::optional<T> get(const std::map<std::string, T>& m, std::string_view key) {
        const auto it = m.find(std::string(key));
        return it == m.end() ? std::nullopt : std::optional(it->second);
    }

    std::filesystem::path path_ = "fake.gguf";
};

inline const text_library& library() {
    return *rlx_text_entry_v1();
}

inline std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in) << path;
    std::ostringstream out;
    out << in.rdbuf();
    return std::move(out).str();
}

// A byte-level vocabulary: the 256 bytes, the merged tokens, then special tokens.
fake_weights byte_level_vocabulary(
    const std::vector<std::string>& merges, const std::vector<std::string>& specials
);
// A SentencePiece vocabulary: <unk>, <s>, </s>, bytes, then the pieces in the order of their
// scores.
fake_weights sentencepiece_vocabulary(const std::vector<std::string>& pieces);

} // namespace rlx::text_test
