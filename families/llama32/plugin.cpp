// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/sdk/plugin.hpp"
#include "config.hpp"

namespace {

namespace sdk = rlx::sdk;
namespace llama32 = rlx::llama32;

class model {
public:
    static sdk::result<std::unique_ptr<model>> open(rlx_weights* w, sdk::options_view) {
        sdk::sticky errors;
        const sdk::checkpoint c(w, errors);
        llama32::add_names(c);
        auto m = std::make_unique<model>();
        m->config_ = llama32::read_config(c);
        RLX_CHECK(errors.done());
        return m;
    }

    sdk::status info(sdk::options_writer out) const {
        return sdk::put_info(out, config_, "llama32");
    }

    sdk::status build(std::string_view graph, rlx_graph* g) const {
        RLX_CHECK(sdk::check_decoder_graph("llama32", graph));
        sdk::sticky errors;
        sdk::graph_builder builder(g, errors);
        llama32::build(builder, config_, graph);
        return errors.done();
    }

private:
    llama32::config config_;
};

struct plugin {
    using family = model;
};

} // namespace

RLX_PLUGIN(plugin)
