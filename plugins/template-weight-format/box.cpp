// SPDX-License-Identifier: GPL-3.0-only
#include "box.hpp"

#include <cstring>

namespace box {
namespace {

constexpr std::string_view magic = "RLXBOX1\n";

// Reads the head of a file that may be truncated or hostile; the first error stays.
class reader {
public:
    explicit reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    bool ok() const { return ok_; }

    std::size_t at() const { return at_; }

    std::string_view take(std::uint64_t n) {
        if (n > bytes_.size() - at_) ok_ = false;
        if (!ok_) return {};
        const auto* p = reinterpret_cast<const char*>(bytes_.data()) + at_;
        at_ += static_cast<std::size_t>(n);
        return {p, static_cast<std::size_t>(n)};
    }

    template <class T>
    T number() {
        T v{};
        const std::string_view raw = take(sizeof v);
        if (ok_) std::memcpy(&v, raw.data(), sizeof v);
        return v;
    }

private:
    std::span<const std::byte> bytes_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

rlx_str text_of(std::string_view s) {
    return {s.data(), s.size()};
}

constexpr rlx_str nothing{nullptr, 0};

} // namespace

sdk::result<std::unique_ptr<file>> file::open(std::string_view, std::span<const std::byte> bytes) {
    const auto truncated = [&](std::size_t entry) {
        return sdk::fail(RLX_CORRUPT_DATA, "the file ends inside entry {} of its head", entry);
    };
    reader in(bytes);
    if (in.take(magic.size()) != magic)
        return sdk::fail(RLX_CORRUPT_DATA, "no box file: it does not begin with RLXBOX1");
    auto out = std::make_unique<file>();
    const auto n = in.number<std::uint32_t>();
    for (std::uint32_t i = 0; i < n; ++i) {
        const auto kind = in.number<std::uint32_t>();
        const std::string name(in.take(in.number<std::uint32_t>()));
        const auto offset = in.number<std::uint64_t>();
        const auto n_bytes = in.number<std::uint64_t>();
        if (!in.ok()) return truncated(i);
        if (kind > 1)
            return sdk::fail(
                RLX_CORRUPT_DATA, "entry {} '{}' has the unknown kind {}", i, name, kind
            );
        if (offset > bytes.size() || n_bytes > bytes.size() - offset)
            return sdk::fail(
                RLX_CORRUPT_DATA,
                "entry {} '{}': {} bytes at {} of a file of {}",
                i,
                name,
                n_bytes,
                offset,
                bytes.size()
            );
        if (kind == 0) {
            const auto* p = reinterpret_cast<const char*>(bytes.data()) + offset;
            out->texts_.push_back({name, {p, static_cast<std::size_t>(n_bytes)}});
            continue;
        }
        sdk::format_tensor t;
        t.name = name;
        t.dtype = static_cast<std::uint16_t>(in.number<std::uint32_t>());
        const auto rank = in.number<std::uint32_t>();
        if (rank > RLX_MAX_RANK)
            return sdk::fail(RLX_CORRUPT_DATA, "tensor '{}' has rank {}, at most 8", name, rank);
        for (std::uint32_t k = 0; k < rank; ++k)
            t.dims.push_back(static_cast<std::int64_t>(in.number<std::uint64_t>()));
        t.offset = offset;
        t.n_bytes = n_bytes; // the host compares it with type and dims
        if (!in.ok()) return truncated(i);
        out->tensors_.push_back(std::move(t));
    }
    return out;
}

std::optional<std::string_view> file::text(std::string_view name) const {
    for (const text_entry& t : texts_)
        if (t.name == name) return t.bytes;
    return std::nullopt;
}

std::span<const rlx_name_rule> names::rules(std::string_view, std::string_view) {
    // {what the llama family asks for, what box files call it}
    static const auto rules = [] {
        constexpr std::pair<std::string_view, std::string_view> pairs[] = {
            {"model.embed_tokens.weight", "embed"},
            {"model.norm.weight", "norm"},
            {"lm_head.weight", "head"},
            {"model.layers.{}.input_layernorm.weight", "block.{}.norm1"},
            {"model.layers.{}.post_attention_layernorm.weight", "block.{}.norm2"},
            {"model.layers.{}.self_attn.q_proj.weight", "block.{}.q"},
            {"model.layers.{}.self_attn.k_proj.weight", "block.{}.k"},
            {"model.layers.{}.self_attn.v_proj.weight", "block.{}.v"},
            {"model.layers.{}.self_attn.o_proj.weight", "block.{}.o"},
            {"model.layers.{}.mlp.gate_proj.weight", "block.{}.gate"},
            {"model.layers.{}.mlp.up_proj.weight", "block.{}.up"},
            {"model.layers.{}.mlp.down_proj.weight", "block.{}.down"},
        };
        std::vector<rlx_name_rule> out;
        for (const auto& [hf, box] : pairs)
            out.push_back({text_of(hf), text_of(box), RLX_TX_NONE, 0, nothing});
        return out;
    }();
    return rules;
}

} // namespace box

namespace {

struct plugin {
    static constexpr std::uint16_t min_minor = 1; // as in plugin.json: older hosts refuse politely
    using formats = rlx::sdk::format_list<box::file>;
    using names = rlx::sdk::names_list<box::names>;
};

} // namespace

RLX_PLUGIN(plugin)
