// SPDX-License-Identifier: GPL-3.0-only
// What encoders take and what they refuse: changed configs and tensors of the goldens, every
// refusal naming the key or tensor; the clinicalbert family beside bert.
#include "chain.hpp"
#include "files.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace rlx::test {
namespace {

std::filesystem::path folder_of(const std::string& name) {
    return std::filesystem::path(RLX_GOLDENS_DIR) / "encoders" / name;
}

encoder_options exact(encoder_head head) {
    encoder_options o;
    o.head = head;
    o.max_tokens = 128;
    o.compute = "f32";
    return o;
}

using change = std::function<void(hf_checkpoint&)>;

std::string said_of(
    const std::string& name,
    const change& f,
    encoder_head head = encoder_head::hidden,
    const chain_options& o = {}
) {
    auto c = hf_checkpoint::read(folder_of(name));
    f(c);
    scratch_dir dir;
    c.write(dir.path());
    const auto opened = chain::open_encoder(dir.path(), exact(head), o);
    return opened ? "no error" : opened.error().message;
}

change set(const char* key, nlohmann::json value) {
    return [=](hf_checkpoint& c) { c.config[key] = value; };
}

change drop(const char* tensor) {
    return [=](hf_checkpoint& c) { c.tensors.erase(tensor); };
}

#define EXPECT_SAYS(text, part)                                                                    \
    EXPECT_PRED2(                                                                                  \
        [](const std::string& t, const std::string& p) { return t.find(p) != t.npos; }, text, part \
    )

std::vector<float>
rows_of(const std::filesystem::path& folder, encoder_head head, const chain_options& o = {}) {
    const auto c = must(chain::open_encoder(folder, exact(head), o));
    const std::vector<std::int32_t> ids{5, 9, 31, 7, 58, 11};
    const encoder_text text{ids};
    const auto rows = must(c->encoder().encode({&text, 1}));
    return {rows.begin(), rows.end()};
}

TEST(encoder_config, bert_heads_are_checked_against_the_config) {
    EXPECT_SAYS(
        said_of(
            "bert-classes",
            [](hf_checkpoint& c) {
                c.config.erase("id2label");
                c.config["num_labels"] = 4;
            }
        ),
        "tensor classifier.weight has 3 classes, the config names more than 3"
    );
    const auto labels = [](int n) {
        return [=](hf_checkpoint& c) {
            c.config["id2label"] = nlohmann::json::object();
            for (int i = 0; i < n; ++i)
                c.config["id2label"][std::to_string(i)] = "label";
        };
    };
    EXPECT_SAYS(said_of("bert-classes", labels(2)), "has 3 classes, the config names 2");
    EXPECT_SAYS(said_of("bert-classes", labels(5)), "has 3 classes, the config names more than 3");
    EXPECT_EQ(said_of("bert-classes", labels(3), encoder_head::classes), "no error");
    EXPECT_SAYS(
        said_of("bert-classes", drop("bert.pooler.dense.weight"), encoder_head::classes),
        "no pooler: it lacks tensor bert.pooler.dense.weight"
    );
    EXPECT_SAYS(
        said_of("roberta-classes", drop("classifier.dense.weight"), encoder_head::classes),
        "it lacks tensor classifier.dense.weight"
    );
    EXPECT_SAYS(
        said_of("bert-untied", drop("cls.predictions.decoder.weight"), encoder_head::vocab),
        "cls.predictions.decoder.weight"
    );
}

TEST(encoder_config, a_gguf_reranker_without_the_layer_before_its_classes_is_refused) {
    const auto c =
        chain::open_encoder(folder_of("bert-classes/gguf"), exact(encoder_head::classes));
    ASSERT_FALSE(c.ok());
    EXPECT_EQ(c.error().code, RLX_UNSUPPORTED);
    EXPECT_SAYS(
        c.error().message, "it lacks tensor classifier.dense.weight (GGUF converters drop it)"
    );
}

TEST(encoder_config, bert_takes_the_number_of_its_norms_from_the_config_and_distilbert_does_not) {
    const auto rows = [](const char* name) {
        auto c = hf_checkpoint::read(folder_of(name));
        c.config["layer_norm_eps"] = 0.5;
        scratch_dir dir;
        c.write(dir.path());
        return rows_of(dir.path(), encoder_head::hidden);
    };
    EXPECT_NE(rows("bert"), rows_of(folder_of("bert"), encoder_head::hidden));
    EXPECT_NE(rows("mpnet"), rows_of(folder_of("mpnet"), encoder_head::hidden));
    EXPECT_EQ(rows("distilbert"), rows_of(folder_of("distilbert"), encoder_head::hidden));
}

TEST(encoder_config, positions_of_roberta_and_mpnet_begin_behind_the_padding_id) {
    const auto rows = [](const char* name) {
        auto c = hf_checkpoint::read(folder_of(name));
        c.config["pad_token_id"] = 2;
        scratch_dir dir;
        c.write(dir.path());
        return rows_of(dir.path(), encoder_head::hidden);
    };
    EXPECT_NE(rows("roberta"), rows_of(folder_of("roberta"), encoder_head::hidden));
    // MPNetEmbeddings.padding_idx is 1 whatever the config says.
    EXPECT_EQ(rows("mpnet"), rows_of(folder_of("mpnet"), encoder_head::hidden));
    EXPECT_SAYS(
        said_of("roberta", set("pad_token_id", 43)), "a text's first token has position 44"
    );
}

TEST(encoder_config, nomic_refuses_what_it_does_not_do) {
    const std::pair<const char*, nlohmann::json> cases[] = {
        {"prenorm", true},
        {"causal", true},
        {"use_rms_norm", true},
        {"parallel_block", true},
        {"moe_normalize_expert_weights", true},
        {"num_shared_experts", 1},
        {"num_heads_kv", 1},
        {"rotary_emb_fraction", 0.0},
        {"activation_function", "tanh"},
    };
    for (const auto& [key, value] : cases) {
        const std::string said = said_of("nomic-hub", set(key, value));
        EXPECT_SAYS(said, key == std::string("activation_function") ? "activation 'tanh'" : key);
    }
    EXPECT_SAYS(
        said_of(
            "nomic-hub",
            [](hf_checkpoint& c) { c.config["img_size"] = c.config["patch_size"] = 16; }
        ),
        "a checkpoint for images"
    );
    EXPECT_SAYS(
        said_of("nomic-options", set("rotary_emb_scale_base", 512)), "rotary_emb_scale_base"
    );
}

TEST(encoder_config, nomic_names_the_size_that_is_wrong) {
    EXPECT_SAYS(
        said_of("nomic-hub", set("n_inner", 300)),
        "tensor encoder.layers.0.mlp.fc11.weight has 256 rows, expected 300 or, rounded up to 256, "
        "512"
    );
    EXPECT_SAYS(
        said_of("nomic-hub", set("vocab_size", 70)), "has shape [64, 24], expected [70, 24]"
    );
    EXPECT_SAYS(
        said_of("nomic-hub", [](hf_checkpoint& c) { c.config.erase("rotary_emb_base"); }),
        "rotary_emb_base"
    );
    EXPECT_SAYS(
        said_of("nomic-options", drop("bert.encoder.layers.1.attn.Wqkv.bias")), "Wqkv.bias"
    );
    EXPECT_SAYS(said_of("nomic-moe", set("num_experts", 3)), "router.layer.weight");
    EXPECT_SAYS(said_of("nomic-moe", set("moe_top_k", 5)), "moe_top_k 5 of num_experts 4");
    EXPECT_SAYS(
        said_of("nomic-moe", drop("encoder.layers.1.mlp.experts.bias")), "mlp.experts.bias"
    );
}

TEST(encoder_config, nomic_has_the_same_numbers_in_both_spellings_of_the_config) {
    auto c = hf_checkpoint::read(folder_of("nomic-hub"));
    c.config = {
        {"model_type", "nomic_bert"},
        {"hidden_size", 24},
        {"num_hidden_layers", 2},
        {"num_attention_heads", 3},
        {"intermediate_size", 256},
        {"max_position_embeddings", 64},
        {"vocab_size", 64},
        {"type_vocab_size", 2},
        {"hidden_act", "silu"},
        {"layer_norm_eps", 1e-12},
        {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 1000.0}}},
    };
    scratch_dir dir;
    c.write(dir.path());
    EXPECT_EQ(
        rows_of(dir.path(), encoder_head::hidden),
        rows_of(folder_of("nomic-hub"), encoder_head::hidden)
    );
}

TEST(encoder_config, clinicalbert_gives_berts_numbers) {
    const chain_options clinical{.family_name = "clinicalbert"};
    const std::pair<const char*, encoder_head> cases[] = {
        {"bert", encoder_head::hidden},
        {"bert-pretraining", encoder_head::vocab},
        {"bert-classes", encoder_head::classes},
        {"distilbert", encoder_head::hidden},
        {"distilbert-mlm", encoder_head::vocab},
    };
    for (const auto& [name, head] : cases)
        EXPECT_EQ(rows_of(folder_of(name), head, clinical), rows_of(folder_of(name), head)) << name;
}

TEST(encoder_config, clinicalbert_refuses_other_models_by_name) {
    const chain_options clinical{.family_name = "clinicalbert"};
    const auto said = [&](
                          const char* name, const change& f = [](hf_checkpoint&) {}
                      ) { return said_of(name, f, encoder_head::hidden, clinical); };
    EXPECT_SAYS(said("roberta"), "model_type 'roberta': clinicalbert reads");
    EXPECT_SAYS(said("nomic"), "model_type 'nomic_bert': clinicalbert reads");
    EXPECT_SAYS(
        said("bert", set("architectures", {"BertForTokenClassification"})),
        "architectures names BertForTokenClassification"
    );
    const auto gguf =
        chain::open_encoder(folder_of("bert/gguf"), exact(encoder_head::hidden), clinical);
    ASSERT_FALSE(gguf.ok());
    EXPECT_SAYS(gguf.error().message, "GGUF architecture 'bert': clinicalbert reads safetensors");
}

} // namespace
} // namespace rlx::test
