// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

#include <numeric>

namespace {

namespace sdk = rlx::sdk;
namespace vision = rlx::vision;

class model {
public:
    static sdk::result<std::unique_ptr<model>> open(rlx_weights* w, sdk::options_view) {
        sdk::sticky errors;
        const sdk::checkpoint c(w, errors);
        auto m = std::make_unique<model>();
        m->config_ = vision::read_config(c);
        RLX_CHECK(errors.done());
        return m;
    }

    sdk::status info(sdk::options_writer out) const {
        const vision::config& c = config_;
        // Multiples of both sides of a patch; they are equal in every known checkpoint.
        const std::int64_t multiple = std::lcm(c.patch.height, c.patch.width);
        return out.set("n_layers", c.n_layers)
            .set("hidden_size", c.hidden)
            .set("image_height", c.grid.height * c.patch.height)
            .set("image_width", c.grid.width * c.patch.width)
            .set("patch_size", c.patch.height == c.patch.width ? c.patch.height : 0)
            .set("prefix_tokens", c.prefix_tokens())
            .set("size_multiple", c.fixed_size ? 1 : multiple)
            .set("fixed_size", std::int64_t{c.fixed_size})
            .set("name", "vision")
            .done();
    }

    sdk::status build(std::string_view graph, rlx_graph* g) const {
        if (graph == RLX_GRAPH_ENCODE_IMAGE_CLASSES)
            return sdk::fail(RLX_UNSUPPORTED, "NomicVision has no classification head");
        if (graph != RLX_GRAPH_ENCODE_IMAGE && graph != RLX_GRAPH_ENCODE_IMAGE_POOLED)
            return sdk::fail(
                RLX_UNSUPPORTED,
                "vision has no graph '{}' (known: encode_image, encode_image_pooled)",
                graph
            );
        sdk::sticky errors;
        sdk::graph_builder builder(g, errors);
        const bool pooled = graph == RLX_GRAPH_ENCODE_IMAGE_POOLED;
        vision::build(builder, config_, pooled ? vision::head::pooled : vision::head::hidden);
        return errors.done();
    }

private:
    vision::config config_;
};

struct plugin {
    using family = model;
    static constexpr std::uint16_t min_minor = 1; // Conv, Attention, Resize
};

} // namespace

RLX_PLUGIN(plugin)
