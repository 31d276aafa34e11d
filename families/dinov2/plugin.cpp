// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

namespace {

namespace sdk = rlx::sdk;
namespace dinov2 = rlx::dinov2;

// preprocessor_config.json of the released checkpoints. Files with Meta's names are resized as
// Meta's code does, on PIL's pictures; those with transformers' names as its processor does.
std::string preprocess_of(const dinov2::config& c) {
    constexpr std::string_view steps = R"(
  "do_resize": true, "size": {"shortest_edge": 256}, "resample": 3,
  "do_center_crop": true, "crop_size": {"height": 224, "width": 224},
  "do_rescale": true, "rescale_factor": 0.00392156862745098,
  "do_normalize": true, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]
})";
    const std::string_view backend = c.meta() ? "Pil" : "";
    return sdk::format(
        "{}{}\",{}", R"({"image_processor_type": "BitImageProcessor)", backend, steps
    );
}

class model {
public:
    static sdk::result<std::unique_ptr<model>> open(rlx_weights* w, sdk::options_view) {
        sdk::sticky errors;
        const sdk::checkpoint c(w, errors);
        auto m = std::make_unique<model>();
        m->config_ = dinov2::read_config(c);
        RLX_CHECK(errors.done());
        return m;
    }

    sdk::status info(sdk::options_writer out) const {
        return out.set("n_layers", config_.n_layers)
            .set("hidden_size", config_.hidden)
            .set("image_height", config_.image_size())
            .set("image_width", config_.image_size())
            .set("patch_size", config_.patch)
            .set("prefix_tokens", config_.prefix_tokens())
            .set("size_multiple", config_.size_multiple())
            .set("classes", config_.classes)
            .set("preprocess", preprocess_of(config_))
            .set("name", "dinov2")
            .done();
    }

    sdk::status build(std::string_view graph, rlx_graph* g) const {
        auto head = dinov2::head::hidden;
        if (graph == RLX_GRAPH_ENCODE_IMAGE_POOLED)
            head = dinov2::head::pooled;
        else if (graph == RLX_GRAPH_ENCODE_IMAGE_CLASSES)
            head = dinov2::head::classes;
        else if (graph != RLX_GRAPH_ENCODE_IMAGE)
            return sdk::fail(
                RLX_UNSUPPORTED,
                "dinov2 has no graph '{}' (known: encode_image, encode_image_pooled, "
                "encode_image_classes)",
                graph
            );
        if (head == dinov2::head::classes && config_.classes == 0)
            return sdk::fail(
                RLX_UNSUPPORTED,
                "the checkpoint has no classification head (tensor classifier.weight or "
                "head.weight)"
            );
        sdk::sticky errors;
        sdk::graph_builder builder(g, errors);
        dinov2::build(builder, config_, head);
        return errors.done();
    }

private:
    dinov2::config config_;
};

struct plugin {
    using family = model;
    static constexpr std::uint16_t min_minor = 1; // Conv, Attention, Resize
};

} // namespace

RLX_PLUGIN(plugin)
