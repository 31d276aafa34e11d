// SPDX-License-Identifier: GPL-3.0-only
#include "chain.hpp"

#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"

#include <algorithm>
#include <stdexcept>

namespace rlx::test {
namespace {

struct loaded {
    const void* table;
    void* self;
};

result<loaded>
load(plugin_catalog& catalog, const plugin_catalog::match& m, std::string_view iface) {
    plugin* p = RLX_TRY(catalog.load(*m.owner));
    return loaded{RLX_TRY(p->iface(iface)), p->table().self};
}

} // namespace

chain::~chain() {
    model_.reset();
    encoder_.reset();
    images_.reset();
    if (parts_.device != nullptr) parts_.backend->close(parts_.backend_self, parts_.device);
    if (parts_.second.device != nullptr)
        parts_.second.backend->close(parts_.second.backend_self, parts_.second.device);
}

result<std::unique_ptr<chain>>
chain::open_parts(const std::filesystem::path& checkpoint, const chain_options& o) {
    std::unique_ptr<chain> c(new chain);
    c->catalog_ = RLX_TRY(plugin_catalog::open(
        {.plugin_dirs = o.device.empty()
                            ? std::vector<std::filesystem::path>{RLX_PLUGIN_DIR}
                            : std::vector<std::filesystem::path>{RLX_PLUGIN_DIR, RLX_PARTIAL_DIR},
         .use_environment = false,
         .use_index = false}
    ));
    c->weights_ = RLX_TRY(weights::open(checkpoint, o.files));
    const auto found = o.family_name.empty() ? RLX_TRY(find_family_of(*c->catalog_, *c->weights_))
                                             : RLX_TRY(c->catalog_->find("family", o.family_name));
    const loaded family = RLX_TRY(load(*c->catalog_, found, "rlx.family/1"));
    const auto provider = RLX_TRY(c->catalog_->find("backend", o.backend));
    const loaded backend = RLX_TRY(load(*c->catalog_, provider, "rlx.backend/1"));
    c->parts_ = {
        .w = c->weights_.get(),
        .family = static_cast<const rlx_family_v1*>(family.table),
        .family_self = family.self,
        .backend = static_cast<const rlx_backend_v1*>(backend.table),
        .backend_self = backend.self,
        .device = nullptr,
    };
    if (o.family != nullptr) {
        c->parts_.family = o.family;
        c->parts_.family_self = nullptr;
    }
    options device;
    if (!o.tier.empty()) device.set_string("tier", o.tier);
    RLX_CHECK(
        check_wall(c->parts_.backend->open(backend.self, 0, device.handle(), &c->parts_.device))
    );
    c->parts_.device_name = o.backend;
    if (!o.device.empty()) RLX_CHECK(c->open_device(o));
    if (o.adjust) o.adjust(c->parts_);
    return c;
}

// Puts a device before the cpu.
result<void> chain::open_device(const chain_options& o) {
    const std::string& name = o.device;
    const std::string backend = name.substr(0, name.find(':'));
    const auto index = static_cast<std::uint32_t>(std::stoul(name.substr(backend.size() + 1)));
    const auto found = RLX_TRY(catalog_->find("backend", backend));
    const loaded plugin = RLX_TRY(load(*catalog_, found, "rlx.backend/1"));
    const auto* table = static_cast<const rlx_backend_v1*>(plugin.table);
    void* device = nullptr;
    options how;
    for (const auto& [key, value] : o.device_options)
        how.set_int(key, value);
    RLX_CHECK(check_wall(table->open(plugin.self, index, how.handle(), &device)));
    parts_.second = {parts_.backend, parts_.backend_self, parts_.device, 0, "cpu"};
    parts_.backend = table;
    parts_.backend_self = plugin.self;
    parts_.device = device;
    parts_.device_index = index;
    parts_.device_name = name;
    return {};
}

result<lm_plan> chain::plan(const std::filesystem::path& checkpoint, const chain_options& o) {
    const auto c = RLX_TRY(open_parts(checkpoint, o));
    return lm_model::plan(c->parts_, o.lm);
}

result<std::unique_ptr<chain>>
chain::open(const std::filesystem::path& checkpoint, const chain_options& o) {
    auto c = RLX_TRY(open_parts(checkpoint, o));
    c->model_ = RLX_TRY(lm_model::open(c->parts_, o.lm));
    return c;
}

result<std::unique_ptr<chain>> chain::open_encoder(
    const std::filesystem::path& checkpoint, const encoder_options& e, const chain_options& o
) {
    auto c = RLX_TRY(open_parts(checkpoint, o));
    c->encoder_ = RLX_TRY(encoder_model::open(c->parts_, e));
    return c;
}

result<std::unique_ptr<chain>> chain::open_image_encoder(
    const std::filesystem::path& checkpoint, const image_encoder_options& e, const chain_options& o
) {
    auto c = RLX_TRY(open_parts(checkpoint, o));
    c->images_ = RLX_TRY(image_encoder_model::open(c->parts_, e));
    return c;
}

std::vector<float> prefill(lm_model& m, std::span<const std::int32_t> ids, std::size_t chunk) {
    const auto sequence = must(m.new_sequence());
    std::vector<float> out;
    while (!ids.empty()) {
        const std::size_t n = chunk == 0 ? ids.size() : std::min(chunk, ids.size());
        const lm_batch_item item{sequence.get(), ids.first(n), true};
        const std::span<const float> rows = must(m.eval({&item, 1}));
        out.insert(out.end(), rows.begin(), rows.end());
        ids = ids.subspan(n);
    }
    return out;
}

} // namespace rlx::test
