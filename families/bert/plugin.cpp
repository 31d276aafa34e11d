// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

namespace {

namespace sdk = rlx::sdk;
namespace bert = rlx::bert;

class model {
public:
    static sdk::result<std::unique_ptr<model>> open(rlx_weights* w, sdk::options_view) {
        sdk::sticky errors;
        const sdk::checkpoint c(w, errors);
        bert::check_checkpoint(c);
        bert::add_names(c);
        auto m = std::make_unique<model>();
        m->config_ = bert::read_config(c);
        m->variant_ = bert::variant_of(c, m->config_);
        RLX_CHECK(errors.done());
        return m;
    }

    sdk::status info(sdk::options_writer out) const {
        if (config_.unplaced >= 0) out.set("unplaced_id", config_.unplaced);
        return out.set("vocab_size", config_.vocab)
            .set("context_length", config_.context())
            .set("n_layers", config_.n_layers)
            .set("hidden_size", config_.hidden)
            .set("token_types", config_.types)
            .set("name", bert::family_name())
            .set("variant", variant_)
            .done();
    }

    sdk::status build(std::string_view graph, rlx_graph* g) const {
        const auto head = bert::head_of(graph);
        if (!head)
            return sdk::fail(
                RLX_UNSUPPORTED,
                "{} has no graph '{}' (known: encode, encode_pooled, encode_classes, "
                "encode_vocab)",
                bert::family_name(),
                graph
            );
        sdk::sticky errors;
        sdk::graph_builder builder(g, errors);
        bert::build(builder, config_, *head);
        return errors.done();
    }

private:
    bert::config config_;
    std::string_view variant_;
};

struct plugin {
    using family = model;
    static constexpr std::uint16_t min_minor = 1; // RaggedAttention
};

} // namespace

RLX_PLUGIN(plugin)
