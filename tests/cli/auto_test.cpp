// SPDX-License-Identifier: GPL-3.0-only
// rlx-run auto with every kind of model, and encoders given to commands of language models.
#include "process.hpp"

#include <gtest/gtest.h>

namespace rlx::test {
namespace {

using words = std::vector<std::string>;

const std::string goldens = std::string(RLX_SOURCE_DIR) + "/tests/goldens/";
const std::string rlx_run = program("rlx-run");
const std::string text_encoder = goldens + "embedders/embedder";
const std::string image_encoder = goldens + "images/dinov2";
const std::string picture = image_encoder + "/grey.png";

TEST(auto_command, embeds_texts_with_a_text_encoder_as_rlx_embed_does) {
    const outcome direct =
        run({program("rlx-embed"), "--weights", text_encoder, "--text", "a word", "--quiet"});
    ASSERT_EQ(direct.exit_code, 0) << direct.err;
    ASSERT_NE(direct.out.find("embedding"), std::string::npos) << direct.out;
    for (const words& way :
         {words{text_encoder, "--text", "a word"},
          words{"--text", "a word", text_encoder},
          words{"--text=a word", "--weights", text_encoder}}) {
        words command{rlx_run, "auto", "--quiet"};
        command.insert(command.end(), way.begin(), way.end());
        EXPECT_EQ(run(command).out, direct.out) << way[0];
    }
    EXPECT_EQ(
        run({rlx_run, "auto", text_encoder, "--quiet"}, {.input = "a word\n"}).out, direct.out
    );
}

TEST(auto_command, says_which_family_it_took) {
    const outcome r = run({rlx_run, "auto", text_encoder, "--plan"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_NE(r.err.find("family bert"), std::string::npos) << r.err;
    EXPECT_NE(r.out.find("scratch"), std::string::npos) << r.out;
}

TEST(auto_command, reads_images_with_an_image_encoder) {
    const outcome direct =
        run({program("rlx-dinov2"), "--weights", image_encoder, picture, "--quiet"});
    ASSERT_EQ(direct.exit_code, 0) << direct.err;
    const outcome r = run({rlx_run, "auto", image_encoder, picture, "--quiet"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.out, direct.out);
}

TEST(auto_command, has_no_use_for_a_prompt_with_an_encoder) {
    const outcome text = run({rlx_run, "auto", text_encoder, "--prompt", "a word"});
    EXPECT_EQ(text.exit_code, 2);
    EXPECT_NE(text.err.find("--text TEXT"), std::string::npos) << text.err;
    const outcome image = run({rlx_run, "auto", image_encoder, "--prompt", "a word"});
    EXPECT_EQ(image.exit_code, 2);
    EXPECT_NE(image.err.find("image files"), std::string::npos) << image.err;
}

TEST(auto_command, reports_a_flag_that_the_family_lacks) {
    const outcome r = run({rlx_run, "auto", text_encoder, "--max-tokens", "3"});
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_NE(r.err.find("--max-tokens"), std::string::npos) << r.err;
}

TEST(auto_command, needs_a_model) {
    const outcome r = run({rlx_run, "auto"});
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_NE(r.err.find("--weights"), std::string::npos) << r.err;
}

TEST(language_model_commands, name_the_command_for_an_encoder) {
    for (const words& way :
         {words{"run", "--prompt", "a word"},
          words{"run", "--plan"},
          words{"run", "--explain-partition"},
          words{"chat"},
          words{"chat", "--explain-partition"},
          words{"logits", "--prompt-ids", "1", "--out", "-"},
          words{"logits", "--explain-partition"}}) {
        for (const auto& [model, command] :
             {std::pair(text_encoder, "'rlx-embed "),
              std::pair(image_encoder, "'rlx-run dinov2 ")}) {
            words all{rlx_run};
            all.insert(all.end(), way.begin(), way.end());
            all.insert(all.end(), {"--weights", model});
            const outcome r = run(all, {.input = "hi\n"});
            EXPECT_EQ(r.exit_code, 4) << way[0] << r.out;
            EXPECT_NE(r.err.find(command), std::string::npos) << way[0] << ' ' << r.err;
        }
    }
}

} // namespace
} // namespace rlx::test
