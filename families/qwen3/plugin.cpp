// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/sdk/plugin.hpp"
#include "config.hpp"

namespace {

namespace sdk = rlx::sdk;
namespace qwen3 = rlx::qwen3;

class model {
public:
    static sdk::result<std::unique_ptr<model>> open(rlx_weights* w, sdk::options_view) {
        sdk::sticky errors;
        const sdk::checkpoint c(w, errors);
        qwen3::add_names(c);
        auto m = std::make_unique<model>();
        m->config_ = qwen3::read_config(c);
        RLX_CHECK(errors.done());
        return m;
    }

    sdk::status info(sdk::options_writer out) const {
        return sdk::put_info(out, config_, config_.moe.n_experts > 0 ? "qwen3_moe" : "qwen3");
    }

    sdk::status build(std::string_view graph, rlx_graph* g) const {
        RLX_CHECK(sdk::check_decoder_graph("qwen3", graph));
        sdk::sticky errors;
        sdk::graph_builder builder(g, errors);
        qwen3::build(builder, config_, graph);
        return errors.done();
    }

private:
    qwen3::config config_;
};

struct plugin {
    using family = model;
};

} // namespace

RLX_PLUGIN(plugin)
