// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/options.hpp"

#include "rlx/base/wall.hpp"

#include <map>
#include <new>
#include <variant>

using option_value = std::variant<std::int64_t, double, std::string>;

struct rlx_options {
    std::map<std::string, option_value, std::less<>> values;

    const option_value* find(std::string_view key) const {
        auto at = values.find(key);
        return at == values.end() ? nullptr : &at->second;
    }

    void set(std::string_view key, option_value value) {
        auto at = values.find(key);
        if (at != values.end())
            at->second = std::move(value);
        else
            values.emplace(std::string(key), std::move(value));
    }
};

namespace rlx {
namespace {

constexpr std::string_view kind_names[] = {"an integer", "a number", "text"};

rlx_error* wall_error(std::uint32_t code, std::string_view message) {
    return host()->error_new(nullptr, code, str(message), nullptr);
}

template <class F>
rlx_error* guarded(F body) {
    try {
        return body();
    } catch (const std::bad_alloc&) {
        return wall_error(RLX_OUT_OF_MEMORY, "out of memory");
    } catch (...) {
        return wall_error(RLX_INTERNAL, "unexpected exception in the options table");
    }
}

template <class T, class Store>
rlx_error* get_as(const rlx_options* o, rlx_str key, std::uint32_t* found, Store store) {
    return guarded([&]() -> rlx_error* {
        if (!o || !found) return wall_error(RLX_INVALID_ARGUMENT, "options: null argument");
        *found = 0;
        const option_value* v = o->find(view(key));
        if (!v) return nullptr;
        const T* typed = std::get_if<T>(v);
        if (!typed) {
            constexpr std::size_t wanted =
                std::variant<std::int64_t, double, std::string>(T{}).index();
            return wall_error(
                RLX_INVALID_ARGUMENT,
                "option '" + std::string(view(key)) + "' is " +
                    std::string(kind_names[v->index()]) + ", expected " +
                    std::string(kind_names[wanted])
            );
        }
        store(*typed);
        *found = 1;
        return nullptr;
    });
}

rlx_error* set_as(rlx_options* o, rlx_str key, auto make) {
    return guarded([&]() -> rlx_error* {
        if (!o || key.n == 0)
            return wall_error(RLX_INVALID_ARGUMENT, "options: null bag or empty key");
        o->set(view(key), make());
        return nullptr;
    });
}

rlx_error* get_i64(const rlx_options* o, rlx_str key, std::int64_t* out, std::uint32_t* found) {
    return get_as<std::int64_t>(o, key, found, [&](std::int64_t v) { *out = v; });
}

rlx_error* get_f64(const rlx_options* o, rlx_str key, double* out, std::uint32_t* found) {
    return get_as<double>(o, key, found, [&](double v) { *out = v; });
}

rlx_error* get_str(const rlx_options* o, rlx_str key, rlx_str* out, std::uint32_t* found) {
    return get_as<std::string>(o, key, found, [&](const std::string& v) { *out = str(v); });
}

rlx_error* set_i64(rlx_options* o, rlx_str key, std::int64_t value) {
    return set_as(o, key, [&] { return option_value(value); });
}

rlx_error* set_f64(rlx_options* o, rlx_str key, double value) {
    return set_as(o, key, [&] { return option_value(value); });
}

rlx_error* set_str(rlx_options* o, rlx_str key, rlx_str value) {
    return set_as(o, key, [&] { return option_value(std::string(view(value))); });
}

rlx_error* create(rlx_options** out) {
    return guarded([&]() -> rlx_error* {
        if (!out) return wall_error(RLX_INVALID_ARGUMENT, "options: null argument");
        *out = new rlx_options;
        return nullptr;
    });
}

void destroy(rlx_options* o) {
    delete o;
}

constexpr rlx_options_v1 table{
    {sizeof(rlx_options_v1), 1, 1},
    get_i64,
    get_f64,
    get_str,
    set_i64,
    set_f64,
    set_str,
    create,
    destroy};

} // namespace

const rlx_options_v1* options_table() {
    return &table;
}

void options::free_bag::operator()(rlx_options* o) const {
    delete o;
}

options::options() : bag_(new rlx_options) {}

options::options(options&&) noexcept = default;
options& options::operator=(options&&) noexcept = default;

options::options(const options& other) : bag_(new rlx_options(*other.bag_)) {}

options& options::operator=(const options& other) {
    if (this != &other) bag_.reset(new rlx_options(*other.bag_));
    return *this;
}

options::~options() = default;

options& options::set_int(std::string_view key, std::int64_t value) {
    return bag_->set(key, value), *this;
}

options& options::set_float(std::string_view key, double value) {
    return bag_->set(key, value), *this;
}

options& options::set_string(std::string_view key, std::string_view value) {
    return bag_->set(key, std::string(value)), *this;
}

void options::erase(std::string_view key) {
    auto at = bag_->values.find(key);
    if (at != bag_->values.end()) bag_->values.erase(at);
}

std::optional<std::int64_t> options::get_int(std::string_view key) const {
    const option_value* v = bag_->find(key);
    const auto* typed = v ? std::get_if<std::int64_t>(v) : nullptr;
    return typed ? std::optional(*typed) : std::nullopt;
}

std::optional<double> options::get_float(std::string_view key) const {
    const option_value* v = bag_->find(key);
    if (!v) return std::nullopt;
    if (const auto* f = std::get_if<double>(v)) return *f;
    if (const auto* i = std::get_if<std::int64_t>(v)) return static_cast<double>(*i);
    return std::nullopt;
}

std::optional<std::string_view> options::get_string(std::string_view key) const {
    const option_value* v = bag_->find(key);
    const auto* typed = v ? std::get_if<std::string>(v) : nullptr;
    return typed ? std::optional<std::string_view>(*typed) : std::nullopt;
}

bool options::has(std::string_view key) const {
    return bag_->find(key) != nullptr;
}

std::vector<std::string_view> options::keys() const {
    std::vector<std::string_view> out;
    for (const auto& [key, value] : bag_->values)
        out.push_back(key);
    return out;
}

} // namespace rlx
