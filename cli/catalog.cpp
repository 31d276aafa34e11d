// SPDX-License-Identifier: GPL-3.0-only
#include "catalog.hpp"

#include "rlx/base/log.hpp"

#include <utility>

namespace rlx::cli {
namespace {

thread_local const shared_catalog* innermost = nullptr;

result<std::shared_ptr<plugin_catalog>> search(const search_options& where) {
    return std::shared_ptr<plugin_catalog>(RLX_TRY(plugin_catalog::open(where)));
}

void collect(
    void* messages, std::uint32_t level, std::string_view component, std::string_view text
) {
    static_cast<std::vector<log_message>*>(messages)->push_back(
        {level, std::string(component), std::string(text)}
    );
}

result<std::shared_ptr<plugin_catalog>>
search(const search_options& where, std::vector<log_message>& messages) {
    if (log_enabled(RLX_LOG_ERROR)) return search(where); // somebody listens
    const std::uint32_t level = log_level();
    log_set_level(RLX_LOG_INFO);
    log_set_sink(collect, &messages);
    auto out = search(where);
    log_set_sink(nullptr, nullptr);
    log_set_level(level);
    return out;
}

} // namespace

shared_catalog::shared_catalog(search_options where)
    : dirs_(where.plugin_dirs),
      catalog_(
          innermost && innermost->dirs_ == dirs_ ? innermost->catalog_ : search(where, messages_)
      ),
      outer_(innermost) {
    if (outer_ && outer_->dirs_ == dirs_) messages_ = std::exchange(outer_->messages_, {});
    innermost = this;
}

shared_catalog::~shared_catalog() {
    innermost = outer_;
}

search_options search_of(const arguments& a) {
    search_options where;
    for (const std::string& dir : a.all("plugin-dir"))
        where.plugin_dirs.emplace_back(dir);
    return where;
}

result<std::shared_ptr<plugin_catalog>> open_catalog(const arguments& a) {
    const search_options where = search_of(a);
    if (!innermost || innermost->dirs_ != where.plugin_dirs || !innermost->catalog_.ok())
        return search(where);
    for (const log_message& m : std::exchange(innermost->messages_, {}))
        log_write(m.level, m.component, m.text);
    return innermost->catalog_;
}

} // namespace rlx::cli
