// SPDX-License-Identifier: GPL-3.0-only
// The ids of 100,000 generated texts equal those of `tokenizers` for the tokenizers of the encoder
// families. goldens/generated_goldens.py makes the same texts and stored hashes of both.
#include "fake_weights.hpp"
#include "shared_vocab.hpp"

#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace rlx::text_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const json& golden() {
    static const json j = json::parse(read_file(RLX_TEXT_FIXTURES "/generated/golden.json"));
    return j;
}

void append_utf8(std::string& out, std::uint32_t c) {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80) return put(c);
    if (c < 0x800) {
        put(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            put(0xE0 | c >> 12);
        } else {
            put(0xF0 | c >> 18);
            put(0x80 | (c >> 12 & 0x3F));
        }
        put(0x80 | (c >> 6 & 0x3F));
    }
    put(0x80 | (c & 0x3F));
}

// The code points of valid UTF-8.
std::vector<std::uint32_t> code_points(std::string_view text) {
    std::vector<std::uint32_t> out;
    for (const char byte : text) {
        const auto b = static_cast<unsigned char>(byte);
        if (b < 0x80)
            out.push_back(b);
        else if (b < 0xC0)
            out.back() = out.back() << 6 | (b & 0x3F);
        else
            out.push_back(b < 0xE0 ? b & 0x1F : b < 0xF0 ? b & 0x0F : b & 0x07);
    }
    return out;
}

std::vector<std::string> characters(std::string_view text) {
    std::vector<std::string> out;
    for (const std::uint32_t c : code_points(text))
        append_utf8(out.emplace_back(), c);
    return out;
}

// The rules of Texts in the generator, draw by draw.
class text_source {
public:
    text_source(const json& tables, std::vector<std::string> specials)
        : words_(tables["words"]), spaces_(tables["spaces"]),
          letters_(characters(tables["letters"].get<std::string>())),
          points_(characters(tables["points"].get<std::string>())),
          repeated_(characters(tables["repeated"].get<std::string>())), any_(tables["any"]),
          marks_(tables["marks"]), specials_(std::move(specials)) {}

    std::string text(std::uint64_t i) {
        state_ = (std::uint64_t{0x726C78} << 32) + i;
        std::string out;
        for (std::uint64_t n = 1 + below(9); n > 0; --n)
            piece(out);
        return out;
    }

private:
    using list = std::vector<std::string>;
    using ranges = std::vector<std::array<std::uint32_t, 2>>; // first, count

    // SplitMix64, its upper half scaled.
    std::uint64_t below(std::uint64_t n) {
        state_ += 0x9E3779B97F4A7C15;
        std::uint64_t z = state_;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return ((z ^ z >> 31) >> 32) * n >> 32;
    }

    const std::string& pick(const list& table) { return table[below(table.size())]; }

    void some(std::string& out, std::uint64_t most, const list& table) {
        for (std::uint64_t n = 1 + below(most); n > 0; --n)
            out += pick(table);
    }

    void some(std::string& out, std::uint64_t most, const ranges& table) {
        for (std::uint64_t n = 1 + below(most); n > 0; --n) {
            const auto [first, count] = table[below(table.size())];
            append_utf8(out, first + static_cast<std::uint32_t>(below(count)));
        }
    }

    void piece(std::string& out) {
        const std::uint64_t k = below(100);
        if (k < 35) {
            out += pick(words_);
        } else if (k < 55) {
            if (below(4) == 0)
                some(out, 4, spaces_);
            else
                out += pick(spaces_);
        } else if (k < 67) {
            some(out, 3, any_);
        } else if (k < 74) {
            some(out, 1, letters_);
            some(out, 3, marks_);
        } else if (k < 82) {
            some(out, 12, letters_);
        } else if (k < 87) {
            some(out, 7, digits_);
        } else if (k < 93) {
            some(out, 5, points_);
        } else if (k < 96 && !specials_.empty()) {
            out += pick(specials_);
        } else {
            const std::string& one = pick(repeated_);
            for (std::uint64_t n = 5 + below(120); n > 0; --n)
                out += one;
        }
    }

    list words_, spaces_, letters_, points_, repeated_;
    ranges any_, marks_;
    list specials_;
    list digits_{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    std::uint64_t state_ = 0;
};

// FNV-1a over numbers.
class hash {
public:
    template <class List>
    void add(const List& values) {
        step(values.size());
        for (const auto v : values)
            step(static_cast<std::uint32_t>(v));
    }

    std::string text() const { return fmt::format("{:016x}", h_); }

private:
    void step(std::uint64_t v) { h_ = (h_ ^ v) * 0x100000001B3; }

    std::uint64_t h_ = 0xCBF29CE484222325;
};

std::string base64(const std::vector<std::int64_t>& bytes) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t bits = 0;
        for (std::size_t k = 0; k < 3; ++k)
            bits = bits << 8 | (i + k < bytes.size() ? bytes[i + k] & 0xFF : 0);
        for (std::size_t k = 0; k < 4; ++k)
            out += i + k > bytes.size() ? '=' : digits[bits >> (18 - 6 * k) & 0x3F];
    }
    return out;
}

// A SentencePiece vocabulary as the tokenizer.json that is published with such models. Our GGUF
// reading of the same vocabulary follows SentencePiece itself, which normalises differently from
// `tokenizers`.
std::string unigram_json(const weights& w) {
    const auto tokens = *w.meta_strings("tokenizer.ggml.tokens");
    const auto types = *w.meta_ints("tokenizer.ggml.token_type");
    const auto scores = *w.meta_floats("tokenizer.ggml.scores");
    const json space{
        {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}, {"split", true}};
    json vocab = json::array(), added = json::array();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        vocab.push_back({tokens[i], scores[i]});
        if (types[i] == 2 || types[i] == 3) // unknown and control tokens
            added.push_back(
                {{"id", i},
                 {"content", tokens[i]},
                 {"single_word", false},
                 {"lstrip", false},
                 {"rstrip", false},
                 {"normalized", false},
                 {"special", true}}
            );
    }
    const json rules{
        {"type", "Precompiled"},
        {"precompiled_charsmap", base64(*w.meta_ints("tokenizer.ggml.precompiled_charsmap"))}};
    const json spaces{{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}};
    return json{
        {"version", "1.0"},
        {"added_tokens", added},
        {"normalizer", {{"type", "Sequence"}, {"normalizers", {rules, spaces}}}},
        {"pre_tokenizer", space},
        {"decoder", space},
        {"model", {{"type", "Unigram"}, {"unk_id", 3}, {"vocab", vocab}, {"byte_fallback", false}}}}
        .dump();
}

class generated_texts : public testing::TestWithParam<const char*> {
protected:
    void open(const weights& w, const std::string& file) {
        auto t = library().open_tokenizer(w, file);
        ASSERT_TRUE(t.ok()) << t.error().message;
        tokenizer_ = std::move(*t);
    }

    void SetUp() override {
        const std::string name = GetParam();
        for (const char* folder : {"/generated/", "/"}) {
            const std::string file = RLX_TEXT_FIXTURES + std::string(folder) + name + ".json";
            if (fs::exists(file)) return open(fake_weights{}, file);
        }
        const fs::path file = shared_vocabulary(name);
        if (file.empty())
            GTEST_SKIP() << name << ".gguf is not in " << vocab_dir << " (or xz is missing)";
        const auto w = weights::open(file);
        ASSERT_TRUE(w.ok()) << w.error().message;
        if (!(*w)->meta_ints("tokenizer.ggml.precompiled_charsmap")) return open(**w, {});
        const fs::path json_file = fs::path(RLX_TEXT_SCRATCH) / (name + ".tokenizer.json");
        std::ofstream(json_file) << unigram_json(**w);
        open(fake_weights{}, json_file.string());
    }

    std::unique_ptr<tokenizer> tokenizer_;
};

TEST_P(generated_texts, give_the_ids_of_the_reference) {
    const json& expected = golden()["vocabularies"][GetParam()];
    text_source source(golden()["tables"], expected["special"]);
    const encode_options how{.add_special = expected["add"], .parse_special = true};
    for (const json& e : expected["examples"]) {
        const std::string text = source.text(e[0]);
        ASSERT_EQ(text, e[1].get<std::string>()) << "the generators differ at text " << e[0];
        const auto ids = tokenizer_->encode(text, how);
        ASSERT_TRUE(ids.ok()) << ids.error().message;
        EXPECT_EQ(*ids, e[2].get<std::vector<std::int32_t>>()) << json(text).dump();
    }
    const std::uint64_t block = golden()["block"];
    ASSERT_EQ(block * expected["ids"].size(), 100'000u);
    for (std::uint64_t b = 0; b < expected["ids"].size(); ++b) {
        hash text_hash, id_hash;
        for (std::uint64_t i = b * block; i < (b + 1) * block; ++i) {
            const std::string text = source.text(i);
            text_hash.add(code_points(text));
            const auto ids = tokenizer_->encode(text, how);
            ASSERT_TRUE(ids.ok()) << ids.error().message << " in text " << i;
            id_hash.add(*ids);
        }
        ASSERT_EQ(text_hash.text(), expected["texts"][b]) << "the generators differ in block " << b;
        EXPECT_EQ(id_hash.text(), expected["ids"][b])
            << "an id differs in block " << b << "; generated_goldens.py prints its texts and ids";
    }
}

INSTANTIATE_TEST_SUITE_P(
    encoders,
    generated_texts,
    testing::Values(
        "tiny_wordpiece",
        "cased",
        "mpnet",
        "roberta",
        "tiny_unigram",
        "xlm-r",
        "bert-bge",
        "nomic-bert-moe",
        "gpt-2"
    ),
    [](const auto& i) {
        std::string name = i.param;
        std::ranges::replace(name, '-', '_');
        return name;
    }
);

} // namespace
} // namespace rlx::text_test
