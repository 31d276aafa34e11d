// SPDX-License-Identifier: GPL-3.0-only
// The comparison can fail: changed weights and changed configs are seen, broken checkpoints are
// refused with the name of what is wrong.
#include "fixture.hpp"

#include <cstdlib>

namespace rlx::test {
namespace {

constexpr double limit = 1e-4;

// About 900 tiny models are opened here; a second thread would only wait.
[[maybe_unused]] const bool one_thread = setenv("RLX_THREADS", "1", 1) == 0;

class broken : public testing::TestWithParam<std::string> {
protected:
    const fixture f{GetParam()};
    hf_checkpoint files = hf_checkpoint::read(f.hf());
    const scratch_dir scratch;

    result<std::unique_ptr<chain>> open_changed() {
        files.write(scratch.path());
        return chain::open(scratch.path());
    }

    double distance_now() {
        const auto c = must(open_changed());
        return distance(prefill(c->model(), f.ids), f.logits);
    }
};

TEST_P(broken, every_single_tensor_matters) {
    for (auto& [name, t] : files.tensors) {
        const std::vector<float> original = t.data;
        // Not all elements alike: QK norms would take a common factor out again.
        for (std::size_t i = 0; i < t.data.size(); i += 3)
            t.data[i] *= 1.2f;
        EXPECT_GT(distance_now(), 10 * limit) << name << " can change without being seen";
        t.data = original;
    }
    EXPECT_LE(distance_now(), limit);
}

TEST_P(broken, every_tensor_must_be_there) {
    for (const auto& [name, t] : std::map(files.tensors)) {
        files.tensors.erase(name);
        const auto c = open_changed();
        ASSERT_FALSE(c.ok()) << "opened without " << name;
        // Experts are asked for as one stacked tensor; the message names the one that is missing.
        EXPECT_NE(c.error().message.find(name), std::string::npos) << c.error().message;
        files.tensors.emplace(name, t);
    }
}

TEST_P(broken, every_shape_is_checked) {
    for (auto& [name, t] : files.tensors) {
        const hf_checkpoint::tensor original = t;
        t.shape[0] += 2;
        t.data.resize(t.data.size() + t.data.size() / std::size_t(original.shape[0]) * 2);
        const auto c = open_changed();
        ASSERT_FALSE(c.ok()) << "opened with a wrong shape of " << name;
        const std::string& message = c.error().message;
        EXPECT_NE(message.find(name), std::string::npos) << message;
        EXPECT_NE(message.find(std::to_string(t.shape[0])), std::string::npos) << message;
        t = original;
    }
}

TEST_P(broken, a_tensor_nobody_asks_for_is_reported) {
    files.tensors["model.layers.0.extra.weight"] = {{2}, {1, 2}};
    const auto c = must(open_changed());
    ASSERT_EQ(c->checkpoint().unused().size(), 1u);
    EXPECT_EQ(c->checkpoint().unused()[0], "model.layers.0.extra.weight");
    bool warned = false;
    for (const std::string& w : c->model().warnings()) {
        warned = warned || w.find("model.layers.0.extra.weight") != std::string::npos;
    }
    EXPECT_TRUE(warned);
}

TEST_P(broken, a_wrong_rope_base_is_seen) {
    auto& base = files.config["rope_parameters"]["rope_theta"];
    base = base.get<double>() * 1.5;
    EXPECT_GT(distance_now(), 10 * limit);
}

TEST_P(broken, a_wrong_norm_epsilon_is_seen) {
    files.config["rms_norm_eps"] = 1e-2;
    EXPECT_GT(distance_now(), 10 * limit);
}

INSTANTIATE_TEST_SUITE_P(lm, broken, testing::ValuesIn(lm_cases()), [](const auto& p) {
    return test_name(p.param);
});

class scaled_rope : public broken {};

TEST_P(scaled_rope, that_is_dropped_is_seen) {
    auto& rope = files.config["rope_parameters"];
    rope = {{"rope_type", "default"}, {"rope_theta", rope["rope_theta"]}};
    EXPECT_GT(distance_now(), 10 * limit);
}

INSTANTIATE_TEST_SUITE_P(
    lm,
    scaled_rope,
    testing::Values("llama-dynamic", "llama-linear", "llama-llama3", "llama-yarn", "qwen3-yarn"),
    [](const auto& p) { return test_name(p.param); }
);

} // namespace
} // namespace rlx::test
