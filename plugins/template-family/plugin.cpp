// SPDX-License-Identifier: GPL-3.0-only
#include "pebble.hpp"

namespace {

namespace sdk = rlx::sdk;

class model {
public:
    // The options say what the run was asked for (rlx/abi/family.h); this family needs none.
    static sdk::result<std::unique_ptr<model>> open(rlx_weights* w, sdk::options_view) {
        sdk::sticky errors;
        const sdk::checkpoint c(w, errors);
        auto m = std::make_unique<model>();
        m->config_ = pebble::read_config(c);
        RLX_CHECK(errors.done());
        return m;
    }

    sdk::status info(sdk::options_writer out) const {
        return sdk::put_info(out, config_, "pebble");
    }

    sdk::status build(std::string_view graph, rlx_graph* g) const {
        if (graph != RLX_GRAPH_LM)
            return sdk::fail(RLX_UNSUPPORTED, "pebble has no graph '{}' (known: lm)", graph);
        sdk::sticky errors;
        sdk::graph_builder builder(g, errors);
        pebble::build_lm(builder, config_);
        return errors.done();
    }

private:
    pebble::config config_;
};

struct plugin {
    using family = model;
};

} // namespace

RLX_PLUGIN(plugin)
