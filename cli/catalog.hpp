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

// The catalog that found a command, for that command: one search is enough. It is this thread's
// while the object lives.
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

// The plugin catalog with the --plugin-dir flags of this command.
result<std::shared_ptr<plugin_catalog>> open_catalog(const arguments& a);

} // namespace rlx::cli
