// SPDX-License-Identifier: GPL-3.0-only
// Private to core/formats: a family's name map. A rule pairs the checkpoint's name of a tensor with
// its GGUF name.
#pragma once

#include "rlx/abi/weights.h"
#include "rlx/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

struct name_rule {
    std::string hf;   // as callers ask: for stacked tensors without the expert's ".{}"
    std::string each; // stacked tensors: the checkpoint's name of one expert, with both {}
    std::string gguf;
    std::uint32_t transform = RLX_TX_NONE;
    std::string param;
};

// RLX_INVALID_ARGUMENT naming the rule: unknown transform, {} that do not pair up, missing param.
result<name_rule> name_rule_make(
    std::string_view hf, std::string_view gguf, std::uint32_t transform, std::string_view param
);

struct name_match {
    const name_rule* rule;
    std::string layer; // digits matched by {}, empty when the rule has none
};

// The rules whose hf pattern is `name`, in order.
std::vector<name_match> name_find(const std::vector<name_rule>& rules, std::string_view name);

// The pattern with its first {} replaced by `layer` and, when given, the second by `expert`.
std::string name_fill(
    std::string_view pattern, std::string_view layer, std::optional<std::uint64_t> expert = {}
);

} // namespace rlx
