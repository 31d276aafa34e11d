// SPDX-License-Identifier: GPL-3.0-only
// A checkpoint seen from a family plugin: config values with range checks, tensor shapes, name
// rules, and the sticky error that all of model building shares. Compiled into the plugin.
#pragma once

#include "rlx/abi/weights.h"
#include "rlx/sdk/host.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace rlx::sdk {
inline namespace sdk_v1 {

// The first error of a piece of work; later ones are dropped. Everything in the SDK that reads a
// checkpoint or builds a graph reports here, so model code has no error handling between its lines.
// [one thread per object]
class sticky {
public:
    bool ok() const { return !first_.has_value(); }

    template <class... Args>
    void fail(std::uint32_t code, std::string_view pattern, const Args&... args) {
        if (ok()) first_ = sdk_v1::fail(code, pattern, args...);
    }

    // Takes ownership of e, which may be null; true when it was. where is put in front unless
    // empty.
    bool check(rlx_error* e, std::string_view where = {}) {
        if (e == nullptr) return true;
        error failed = from_wall(e);
        if (ok()) first_ = where.empty() ? std::move(failed) : std::move(failed).within(where);
        return false;
    }

    status done() const {
        if (first_) return *first_;
        return {};
    }

private:
    std::optional<error> first_;
};

struct int_range {
    std::int64_t min = 0;
    std::int64_t max = std::int64_t{1} << 40;
};

struct real_range {
    double min = 0;
    double max = 1e30;
};

// Transformation of a module whose matrix is [in, out] in the checkpoint (GPT-2's Conv1D): it is
// asked for as GGUF has it and linear() takes it, [out, in]. No param; a bias stays as it is.
inline constexpr std::uint32_t transposed_matrix = RLX_TX_EXPERTS_TRANSPOSED;

// One module under its two names, without .weight or .bias; see rlx_name_rule in rlx/abi/weights.h.
// gguf empty: GGUF files have no such module, or the family reads none.
struct module_name {
    std::string_view hf;
    std::string_view gguf;
    std::uint32_t transform = RLX_TX_NONE;
    std::string_view param = {};
};

// A view: owns nothing, valid while the checkpoint and the sticky error are.
class checkpoint {
public:
    checkpoint(rlx_weights* w, sticky& e) : table_(service<rlx_weights_v1>()), w_(w), errors_(&e) {
        if (table_ == nullptr)
            e.check(to_wall(RLX_VERSION_MISMATCH, "the host lacks rlx.weights/1"));
    }

    sticky& errors() const { return *errors_; }

    bool ok() const { return errors_->ok(); }

    rlx_weights* raw() const { return w_; }

    bool is_gguf() const { return ok() && view(table_->format(w_)) == "gguf"; }

    // GGUF general.architecture or config.json model_type.
    std::string_view architecture() const {
        return ok() ? view(table_->architecture(w_)) : std::string_view();
    }

    // Tells the host what GGUF files call the family's modules.
    void add_names(std::span<const module_name> modules) const {
        for (const module_name& m : modules) {
            for (const std::string_view leaf : {".weight", ".bias"}) {
                if (!ok()) return;
                const std::string hf = format("{}{}", m.hf, leaf);
                const std::string gguf =
                    m.gguf.empty() ? std::string() : format("{}{}", m.gguf, leaf);
                const rlx_name_rule rule{str(hf), str(gguf), m.transform, 0, str(m.param)};
                errors_->check(table_->add_names(w_, &rule, 1, sizeof rule));
            }
        }
    }

    // One tensor by its whole name, where the file's name has no .weight.
    void add_name(
        std::string_view hf,
        std::string_view gguf,
        std::uint32_t transform = RLX_TX_NONE,
        std::string_view param = {}
    ) const {
        const rlx_name_rule rule{str(hf), str(gguf), transform, 0, str(param)};
        if (ok()) errors_->check(table_->add_names(w_, &rule, 1, sizeof rule));
    }

    // -- tensors

    std::optional<rlx_tensor_desc> find(std::string_view name) const {
        rlx_tensor_desc d{};
        d.size = sizeof d;
        std::uint32_t found = 0;
        if (!ok() || !errors_->check(table_->find(w_, str(name), &d, &found)) || found == 0)
            return {};
        return d;
    }

    // For tensors that some writers add and nobody reads: not reported as unused.
    void ignore(std::string_view name) const {
        rlx_tensor_desc d{};
        d.size = sizeof d;
        if (find(name)) errors_->check(table_->require(w_, str(name), &d));
    }

    // Size of one axis of a tensor that must exist with that rank; 0 after an error.
    std::int64_t size_of(std::string_view name, std::uint32_t rank, std::uint32_t axis) const {
        const auto d = find(name);
        if (!ok()) return 0;
        if (!d) {
            errors_->fail(RLX_NOT_FOUND, "tensor {}: not in the checkpoint", name);
            return 0;
        }
        if (d->rank != rank) {
            errors_->fail(
                RLX_CORRUPT_DATA, "tensor {} has {} dimensions, expected {}", name, d->rank, rank
            );
            return 0;
        }
        return d->dim[axis];
    }

    // -- config values. A missing key without fallback, a value of another kind and a value out of
    // range are errors naming the key; what comes back then is the fallback or the lower end of the
    // range.

    bool has(std::string_view key) const { return meta(key).has_value(); }

    std::int64_t integer(std::string_view key, int_range range) const {
        const auto m = require(key);
        return m ? to_int(key, *m, range) : range.min;
    }

    std::int64_t integer(std::string_view key, int_range range, std::int64_t fallback) const {
        const auto m = meta(key);
        return m ? to_int(key, *m, range) : fallback;
    }

    double real(std::string_view key, real_range range) const {
        const auto m = require(key);
        return m ? to_real(key, *m, range) : range.min;
    }

    double real(std::string_view key, real_range range, double fallback) const {
        const auto m = meta(key);
        return m ? to_real(key, *m, range) : fallback;
    }

    bool flag(std::string_view key, bool fallback) const {
        const auto m = meta(key);
        if (!m) return fallback;
        if (m->kind != RLX_META_BOOL) wrong_kind(key, m->kind, "true or false");
        return m->i != 0;
    }

    // Borrowed while the checkpoint is open.
    std::string_view text(std::string_view key, std::string_view fallback) const {
        const auto m = meta(key);
        if (!m) return fallback;
        if (m->kind == RLX_META_STRING) return view(m->s);
        wrong_kind(key, m->kind, "a string");
        return fallback;
    }

    // Number of elements, or nothing when the key is absent.
    std::optional<std::int64_t> array_size(std::string_view key) const {
        const auto m = meta(key);
        if (!m) return {};
        if (m->kind != RLX_META_ARRAY) wrong_kind(key, m->kind, "an array");
        return m->i;
    }

private:
    std::optional<rlx_meta> meta(std::string_view key) const {
        rlx_meta m{};
        m.size = sizeof m;
        std::uint32_t found = 0;
        if (!ok() || !errors_->check(table_->meta(w_, str(key), &m, &found)) || found == 0)
            return {};
        return m;
    }

    std::optional<rlx_meta> require(std::string_view key) const {
        auto m = meta(key);
        if (!m) errors_->fail(RLX_MISSING_METADATA, "config: key '{}' is missing", key);
        return m;
    }

    void wrong_kind(std::string_view key, std::uint32_t kind, std::string_view expected) const {
        static constexpr std::string_view names[] = {
            "nothing", "an integer", "a real number", "a boolean", "a string", "an array"};
        errors_->fail(
            RLX_CORRUPT_DATA,
            "config: key '{}' is {}, expected {}",
            key,
            kind < 6 ? names[kind] : std::string_view("of unknown kind"),
            expected
        );
    }

    std::int64_t to_int(std::string_view key, const rlx_meta& m, int_range range) const {
        // Some writers spell integers as 4096.0.
        const bool whole = m.kind == RLX_META_FLOAT && m.f > -1e15 && m.f < 1e15 &&
                           static_cast<double>(static_cast<std::int64_t>(m.f)) == m.f;
        if (m.kind != RLX_META_INT && !whole) {
            wrong_kind(key, m.kind, "an integer");
            return range.min;
        }
        const std::int64_t value = whole ? static_cast<std::int64_t>(m.f) : m.i;
        if (value >= range.min && value <= range.max) return value;
        errors_->fail(
            RLX_CORRUPT_DATA,
            "config: key '{}' is {}, expected {} to {}",
            key,
            value,
            range.min,
            range.max
        );
        return range.min;
    }

    double to_real(std::string_view key, const rlx_meta& m, real_range range) const {
        if (m.kind != RLX_META_INT && m.kind != RLX_META_FLOAT) {
            wrong_kind(key, m.kind, "a number");
            return range.min;
        }
        const double value = m.kind == RLX_META_INT ? static_cast<double>(m.i) : m.f;
        if (value >= range.min && value <= range.max) return value; // false for NaN
        errors_->fail(
            RLX_CORRUPT_DATA,
            "config: key '{}' is {}, expected {} to {}",
            key,
            value,
            range.min,
            range.max
        );
        return range.min;
    }

    const rlx_weights_v1* table_;
    rlx_weights* w_;
    sticky* errors_;
};

} // namespace sdk_v1
} // namespace rlx::sdk
