// SPDX-License-Identifier: GPL-3.0-only
// Regular expressions of tokenizer.json that have no hand-written matcher. PCRE2, with a bound on
// backtracking.
#pragma once

#include "rlx/base/result.hpp"

#include <memory>
#include <string>
#include <string_view>

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

    // The leftmost match at or after `from`; false when there is none.
    result<bool> search(std::string_view text, std::size_t from, match_range& found) const;

private:
    struct compiled;
    explicit regex(std::unique_ptr<compiled> c);
    std::unique_ptr<compiled> impl_;
};

} // namespace rlx::text
