// SPDX-License-Identifier: GPL-3.0-only
// Regular expressions of tokenizer.json that have no hand-written matcher. PCRE2, with a bound on
// backtracking.
#pragma once

#include "rlx/base/result.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rlx::text {

struct match_range {
    std::size_t begin = 0, end = 0;
};

// [any thread]
class regex {
public:
    static result<regex> compile(std::string_view pattern);
    regex(regex&&) noexcept;
    regex& operator=(regex&&) noexcept;
    ~regex();

    // All matches that do not overlap, from the left; empty ones too. `text` must be valid UTF-8:
    // nobody checks, as a check at every match would cost a pass over the rest of the text.
    result<std::vector<match_range>> matches(std::string_view text) const;

private:
    struct compiled;
    explicit regex(std::unique_ptr<compiled> c);
    std::unique_ptr<compiled> impl_;
};

} // namespace rlx::text
