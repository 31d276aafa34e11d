// SPDX-License-Identifier: GPL-3.0-only
// A family out of tree: only <rlx/sdk/...> and the standard library.
#include <rlx/sdk/plugin.hpp>

namespace consumer {

struct model {
    static rlx::sdk::result<std::unique_ptr<model>> open(rlx_weights*, rlx::sdk::options_view) {
        return std::make_unique<model>();
    }

    rlx::sdk::status info(rlx::sdk::options_writer out) const {
        return out.set("name", "consumer").set("vocab_size", 3).done();
    }
};

struct plugin {
    using family = model;
};

} // namespace consumer

RLX_PLUGIN(consumer::plugin)
