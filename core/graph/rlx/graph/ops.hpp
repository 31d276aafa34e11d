// SPDX-License-Identifier: GPL-3.0-only
// ops.def as data: what the ops are called, what they take. For checks, dumps, docs and tools.
#pragma once

#include "rlx/abi/ops.h"
#include "rlx/base/api.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace rlx {

enum class op_kind { view, primitive, composite };

struct attr_desc {
    std::uint16_t key; // RLX_ATTR_<name>
    std::string_view name;
    std::uint16_t kind; // RLX_ATTR_I64, _F64, _LIST
    bool required;
};

struct op_desc {
    std::uint16_t id;
    std::string_view name;
    std::uint16_t version;
    std::uint32_t min_inputs, max_inputs, n_outputs;
    op_kind kind;
    std::span<const attr_desc> attrs;
};

// Every op in the order of ops.def. [any thread]
RLX_API std::span<const op_desc> op_list();
// nullptr when there is no such op.
RLX_API const op_desc* op_info(std::uint32_t id);
RLX_API const op_desc* op_by_name(std::string_view name);
// "dims" for RLX_ATTR_dims; empty when unknown.
RLX_API std::string_view attr_name(std::uint32_t key);

} // namespace rlx
