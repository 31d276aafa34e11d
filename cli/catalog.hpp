// SPDX-License-Identifier: GPL-3.0-only
#pragma once

#include "args.hpp"
#include "rlx/extensions.hpp"
#include "rlx/loader/loader.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rlx::cli {

struct log_message {
    std::uint32_t level;
    std::string component, text;
};

// One search for all that looks for plugins in the same folders while the object lives, in this
// thread; an outer one of these folders serves.
class shared_catalog {
public:
    explicit shared_catalog(search_options where);
    ~shared_catalog();
    shared_catalog(const shared_catalog&) = delete;
    shared_catalog& operator=(const shared_catalog&) = delete;

    const result<std::shared_ptr<plugin_catalog>>& opened() const { return catalog_; }

private:
    friend result<std::shared_ptr<plugin_catalog>> open_catalog(const arguments& a);

    std::vector<std::filesystem::path> dirs_;
    // What the search had to say; nobody listened yet, for the command decides what is shown.
    mutable std::vector<log_message> messages_;
    result<std::shared_ptr<plugin_catalog>> catalog_;
    const shared_catalog* outer_;
};

// Where this command looks: its --plugin-dir flags.
search_options search_of(const arguments& a);
// The plugin catalog of search_of(a).
result<std::shared_ptr<plugin_catalog>> open_catalog(const arguments& a);

} // namespace rlx::cli
