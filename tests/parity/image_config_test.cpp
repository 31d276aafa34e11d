// SPDX-License-Identifier: GPL-3.0-only
// What image encoders take and what they refuse: changed configs and tensors of the goldens. Every
// refusal names the key or tensor; nothing crashes, nothing is guessed.
#include "files.hpp"
#include "image_case.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace rlx::test {
namespace {

using change = std::function<void(hf_checkpoint&)>;

image_encoder_options exact(image_head head = image_head::hidden) {
    image_encoder_options o;
    o.head = head;
    o.max_images = 2;
    o.compute = "f32";
    return o;
}

class changed {
public:
    changed(const std::string& name, const change& f) {
        auto c = hf_checkpoint::read(image_checkpoint(name));
        f(c);
        c.write(dir_.path());
    }

    result<std::unique_ptr<chain>> open(image_head head = image_head::hidden) const {
        return chain::open_image_encoder(dir_.path(), exact(head));
    }

private:
    scratch_dir dir_;
};

struct refusal_case {
    const char* what;
    change f;
    const char* part;
};

void expect_refused(const std::string& name, const std::vector<refusal_case>& cases) {
    for (const refusal_case& k : cases) {
        const auto opened = changed(name, k.f).open();
        ASSERT_FALSE(opened.ok()) << name << ": " << k.what << " is taken";
        const auto& e = opened.error();
        EXPECT_NE(e.message.find(k.part), std::string::npos) << k.what << ": " << e.message;
        const bool ours = e.code == RLX_INTERNAL || e.code == RLX_INVALID_ARGUMENT;
        EXPECT_FALSE(ours) << k.what << " is the file's fault: " << e.message;
    }
}

change set(const char* key, nlohmann::json value) {
    return [=](hf_checkpoint& c) { c.config[key] = value; };
}

change drop(const char* tensor) {
    return [=](hf_checkpoint& c) {
        if (c.tensors.erase(tensor) == 0) throw std::runtime_error(tensor);
    };
}

// The same number of values, or zeros when it differs.
change shaped(const char* tensor, std::vector<std::int64_t> shape) {
    return [=](hf_checkpoint& c) {
        auto& t = c.tensors.at(tensor);
        std::size_t n = 1;
        for (const auto s : shape)
            n *= static_cast<std::size_t>(s);
        t.shape = shape;
        t.data.resize(n);
    };
}

const nlohmann::json not_numbers[] = {"x", nullptr, nlohmann::json::array({1, 2, 3}), 1.5, -1};

TEST(image_config, dinov2_refuses_values_that_are_none) {
    for (const char* key : {"num_attention_heads", "hidden_size", "num_hidden_layers"})
        for (const nlohmann::json& value : {not_numbers[0], not_numbers[3], not_numbers[4]})
            expect_refused("dinov2", {{key, set(key, value), key}});
    for (const nlohmann::json& eps :
         {nlohmann::json("x"), nlohmann::json(-1e-6), nlohmann::json(2)})
        expect_refused("dinov2", {{"eps", set("layer_norm_eps", eps), "layer_norm_eps"}});
    expect_refused(
        "dinov2",
        {{"no heads", set("num_attention_heads", 0), "num_attention_heads"},
         {"absurd heads", set("num_attention_heads", 1LL << 40), "num_attention_heads"},
         {"heads that do not divide", set("num_attention_heads", 5), "no multiple"},
         {"another width", set("hidden_size", 48), "hidden_size is 48"},
         {"more layers", set("num_hidden_layers", 3), "num_hidden_layers is 3"},
         {"another mlp", set("use_swiglu_ffn", true), "use_swiglu_ffn is true"},
         {"no biases", set("qkv_bias", false), "qkv_bias is false"},
         {"registers", set("num_register_tokens", 4), "num_register_tokens is 4"},
         {"an activation", set("hidden_act", "swish2"), "hidden_act 'swish2'"},
         {"an activation of a wrong type", set("hidden_act", 7), "hidden_act"},
         {"no count of heads",
          [](hf_checkpoint& c) { c.config.erase("num_attention_heads"); },
          "'num_attention_heads' is missing"}}
    );
}

TEST(image_config, dinov2_names_the_tensor_that_is_missing_or_of_another_shape) {
    expect_refused(
        "dinov2",
        {{"no class token", drop("embeddings.cls_token"), "cls_token"},
         {"no patches",
          drop("embeddings.patch_embeddings.projection.weight"),
          "embeddings.patch_embeddings.projection.weight"},
         {"no positions", drop("embeddings.position_embeddings"), "position_embeddings"},
         {"no layers", drop("encoder.layer.0.norm1.weight"), "encoder.layer.0.norm1.weight"},
         {"no norm", drop("layernorm.weight"), "layernorm.weight"},
         {"no bias of a norm", drop("encoder.layer.1.norm2.bias"), "encoder.layer.1.norm2.bias"},
         {"no scale", drop("encoder.layer.1.layer_scale1.lambda1"), "layer_scale1.lambda1"},
         {"no mlp", drop("encoder.layer.0.mlp.fc1.weight"), "encoder.layer.0.mlp.fc1.weight"},
         {"no key", drop("encoder.layer.1.attention.attention.key.weight"), "key.weight"},
         {"one bias of three", drop("encoder.layer.1.attention.attention.key.bias"), "key.bias"},
         {"one channel",
          shaped("embeddings.patch_embeddings.projection.weight", {24, 1, 7, 7}),
          "expected [hidden, 3, patch, patch]"},
         {"oblong patches",
          shaped("embeddings.patch_embeddings.projection.weight", {24, 3, 7, 3}),
          "expected [hidden, 3, patch, patch]"},
         {"flat patches",
          shaped("embeddings.patch_embeddings.projection.weight", {24, 147}),
          "embeddings.patch_embeddings.projection.weight"},
         {"positions that are no square",
          shaped("embeddings.position_embeddings", {1, 25, 24}),
          "square grid"},
         {"positions of another width",
          shaped("embeddings.position_embeddings", {1, 26, 23}),
          "embeddings.position_embeddings"},
         {"one position", shaped("embeddings.position_embeddings", {1, 1, 24}), "square grid"},
         {"a class token too many", shaped("embeddings.cls_token", {1, 2, 24}), "cls_token"},
         {"a scale of another width",
          shaped("encoder.layer.0.layer_scale2.lambda1", {23}),
          "layer_scale2.lambda1"},
         {"a transposed mlp", shaped("encoder.layer.0.mlp.fc1.weight", {24, 48}), "mlp.fc"}}
    );
}

TEST(image_config, dinov2_checks_registers_classes_and_the_gated_mlp) {
    expect_refused(
        "dinov2-registers",
        {{"other registers", set("num_register_tokens", 1), "num_register_tokens is 1"},
         {"a flat table",
          [](hf_checkpoint& c) {
              auto& t = c.tensors.at("embeddings.register_tokens");
              t.shape = {t.shape[1], t.shape[2]};
          },
          "register_tokens"}}
    );
    expect_refused(
        "dinov2-giant",
        {{"plain in the config", set("use_swiglu_ffn", false), "use_swiglu_ffn is false"},
         {"no second half",
          [](hf_checkpoint& c) {
              for (auto& [name, t] : c.tensors)
                  if (name.ends_with("layer.0.mlp.weights_in.weight")) {
                      t.shape[0] -= 2;
                      t.data.resize(static_cast<std::size_t>(t.shape[0] * t.shape[1]));
                  }
          },
          "mlp.weights_"}}
    );
    const auto without_bias = changed("dinov2-giant", drop("classifier.bias"));
    const auto opened = without_bias.open(image_head::classes);
    ASSERT_FALSE(opened.ok());
    EXPECT_NE(opened.error().message.find("classifier.bias"), std::string::npos)
        << opened.error().message;
    EXPECT_TRUE(without_bias.open().ok()) << "states need no head";
}

TEST(image_config, vision_refuses_values_that_are_none) {
    for (const char* key : {"n_embd", "n_layer", "n_head", "img_size", "patch_size"}) {
        expect_refused("vision", {{key, [=](hf_checkpoint& c) { c.config.erase(key); }, key}});
        for (const nlohmann::json& value :
             {nlohmann::json("x"),
              nlohmann::json(0),
              nlohmann::json(-16),
              nlohmann::json(2.5),
              nlohmann::json(1LL << 40)})
            expect_refused("vision", {{key, set(key, value), key}});
    }
    expect_refused(
        "vision",
        {{"heads that do not divide", set("n_head", 3), "no multiple of n_head"},
         {"a patch above the image", set("patch_size", 41), "img_size is smaller than patch_size"},
         {"another patch", set("patch_size", 10), "embeddings.proj.weight"},
         {"more patches", set("img_size", 48), "pos_embed"},
         {"more layers", set("n_layer", 3), "layers.2"},
         {"heads of keys", set("num_heads_kv", 1), "num_heads_kv"},
         {"grey", set("num_channels", 1), "num_channels"},
         {"eps below 0", set("layer_norm_epsilon", -1), "layer_norm_epsilon"},
         {"eps as text", set("layer_norm_epsilon", "small"), "layer_norm_epsilon"},
         {"post-norm", set("prenorm", false), "prenorm"},
         {"1-D rotation", set("rotary_emb_fraction", 0.5), "rotary_emb_fraction"},
         {"a mean", set("global_pool", "avg"), "global_pool"},
         {"an activation", set("activation_function", "relu6"), "'relu6'"},
         {"no class token", set("no_cls_token", true), "no_cls_token"},
         {"registers", set("register_tokens", 2), "register_tokens"},
         {"a reference of nothing", set("ref_feat_shape", 0), "ref_feat_shape"},
         {"a wrong flag", set("use_rotary_pos_emb", "maybe"), "use_rotary_pos_emb"},
         {"heads too narrow to turn",
          [](hf_checkpoint& c) { c.config["n_head"] = 8; },
          "no multiple of 4 wide"}}
    );
}

TEST(image_config, vision_names_the_tensor_that_is_missing_or_of_another_shape) {
    expect_refused(
        "vision",
        {{"no patches", drop("embeddings.proj.weight"), "embeddings.proj.weight"},
         {"no patch bias", drop("embeddings.proj.bias"), "embeddings.proj.bias"},
         {"no class token", drop("embeddings.cls_token"), "embeddings.cls_token"},
         {"no positions", drop("embeddings.pos_embed"), "embeddings.pos_embed"},
         {"no mlp", drop("layers.0.mlp.fc11.weight"), "layers.0.mlp.fc11.weight"},
         {"no inner norm", drop("layers.1.mlp.norm.weight"), "layers.1.mlp.norm.weight"},
         {"no attention", drop("layers.1.attn.Wqkv.weight"), "layers.1.attn.Wqkv.weight"},
         {"no bias", drop("layers.1.attn.Wqkv.bias"), "layers.1.attn.Wqkv.bias"},
         {"no latent", drop("selector.attn.latent"), "selector.attn.latent"},
         {"no keys of the selector", drop("selector.attn.Wkv.weight"), "selector.attn.Wkv.weight"},
         {"no norm of the selector", drop("selector.norm1.weight"), "selector.norm1.weight"},
         {"patches as a convolution",
          shaped("embeddings.proj.weight", {16, 3, 8, 8}),
          "embeddings.proj.weight"},
         {"two latents", shaped("selector.attn.latent", {1, 2, 16}), "selector.attn.latent"},
         {"keys alone", shaped("selector.attn.Wkv.weight", {16, 16}), "selector.attn.Wkv.weight"},
         {"queries alone", shaped("layers.0.attn.Wqkv.weight", {16, 16}), "Wqkv.weight"},
         {"positions of another width",
          shaped("embeddings.pos_embed", {1, 26, 8}),
          "embeddings.pos_embed"}}
    );
}

// What the config says of the computation is in the result: were a key not read, these were equal.
TEST(image_config, every_key_that_changes_the_numbers_is_read) {
    const auto states = [](const std::string& name, const change& f) {
        const auto opened = must(changed(name, f).open());
        const auto cases = image_cases(name);
        const auto& c = cases.front();
        const auto rows = must(opened->images().encode(c.batch()));
        return std::vector<float>(rows.values.begin(), rows.values.end());
    };
    const change none = [](hf_checkpoint&) {};
    const std::vector<float> dinov2 = states("dinov2", none);
    EXPECT_EQ(states("dinov2", set("layer_norm_eps", 1e-6)), dinov2);
    EXPECT_NE(states("dinov2", set("layer_norm_eps", 1e-2)), dinov2);
    EXPECT_NE(states("dinov2", set("hidden_act", "gelu_new")), dinov2);
    EXPECT_NE(states("dinov2", set("num_attention_heads", 4)), dinov2);
    const change no_eps = [](hf_checkpoint& c) { c.config.erase("layer_norm_eps"); };
    EXPECT_EQ(states("dinov2", no_eps), dinov2) << "1e-6, not torch's 1e-5";
    const change no_act = [](hf_checkpoint& c) { c.config.erase("hidden_act"); };
    EXPECT_EQ(states("dinov2", no_act), dinov2) << "erf";

    const std::vector<float> vision = states("vision", none);
    EXPECT_NE(states("vision", set("layer_norm_epsilon", 1e-2)), vision);
    EXPECT_NE(states("vision", set("ref_feat_shape", 5)), vision);
    EXPECT_NE(states("vision", set("use_rotary_pos_emb", false)), vision);
    EXPECT_NE(states("vision", set("activation_function", "geglu")), vision);
    EXPECT_NE(states("vision", set("norm_mlp", false)), vision);
    EXPECT_NE(states("vision", set("n_head", 4)), vision);
}

// A layer scale of zeros makes every block the identity: states are the norm of the embeddings.
TEST(image_config, layer_scale_and_the_selector_are_added_where_the_reference_adds_them) {
    const auto rows_of = [](const std::string& name, const change& f, image_head head) {
        const auto opened = must(changed(name, f).open(head));
        const auto rows = must(opened->images().encode(image_cases(name).front().batch()));
        return std::vector<float>(rows.values.begin(), rows.values.end());
    };
    const auto zero = [](const char* part) {
        return [=](hf_checkpoint& c) {
            for (auto& [name, t] : c.tensors)
                if (name.find(part) != name.npos) std::ranges::fill(t.data, 0.0F);
        };
    };
    const auto off = rows_of("dinov2", zero("lambda1"), image_head::hidden);
    const auto twice = rows_of(
        "dinov2",
        [&](hf_checkpoint& c) {
            zero("lambda1")(c);
            for (auto& [name, t] : c.tensors)
                if (name.find("mlp") != name.npos || name.find("attention") != name.npos)
                    for (float& v : t.data)
                        v *= 3;
        },
        image_head::hidden
    );
    EXPECT_EQ(off, twice);
    // The selector's MLP is the last thing on its way: without it every token keeps its own state,
    // with it the same vector is added to each.
    const auto plain = rows_of("vision", zero("selector.mlp.fc2"), image_head::hidden);
    const auto with = rows_of(
        "vision", [](hf_checkpoint&) {}, image_head::hidden
    );
    ASSERT_EQ(plain.size(), with.size());
    constexpr std::size_t width = 16, tokens = 26;
    for (std::size_t i = 0; i < with.size(); ++i) {
        const std::size_t first = i / (tokens * width) * tokens * width + i % width;
        EXPECT_NEAR(with[i] - plain[i], with[first] - plain[first], 1e-4) << i;
    }
    EXPECT_NE(plain, with);
}

} // namespace
} // namespace rlx::test
