// SPDX-License-Identifier: GPL-3.0-only
// A typed key/value bag that crosses the wall: the C++ face of "rlx.options/1".
#pragma once

#include "rlx/abi/services.h"
#include "rlx/base/api.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

// [one thread per bag for setters, any thread for getters]
class RLX_API options {
public:
    options();
    options(options&&) noexcept;
    options& operator=(options&&) noexcept;
    options(const options&);
    options& operator=(const options&);
    ~options();

    options& set_int(std::string_view key, std::int64_t value);
    options& set_float(std::string_view key, double value);
    options& set_string(std::string_view key, std::string_view value);
    void erase(std::string_view key);

    // nullopt when absent or of another kind. An int is a float too; the views are borrowed until
    // the bag changes.
    std::optional<std::int64_t> get_int(std::string_view key) const;
    std::optional<double> get_float(std::string_view key) const;
    std::optional<std::string_view> get_string(std::string_view key) const;
    bool has(std::string_view key) const;
    std::vector<std::string_view> keys() const; // sorted

    // What goes across the wall; lives as long as this object.
    rlx_options* handle() { return bag_.get(); }

    const rlx_options* handle() const { return bag_.get(); }

private:
    struct free_bag {
        void operator()(rlx_options* o) const;
    };

    std::unique_ptr<rlx_options, free_bag> bag_;
};

// "rlx.options/1", part of host() from the start.
RLX_API const rlx_options_v1* options_table();

} // namespace rlx
