// SPDX-License-Identifier: GPL-3.0-only
#pragma once

#include "common.hpp"

namespace rlx::media {

result<image> center_crop(const image& picture, extent size, processor_backend backend);
result<planes> pad(const planes& picture, extent size, float value);
result<preprocess_recipe> parse_preprocess(
    std::string_view json, std::string_view name, std::optional<processor_backend> backend
);
result<planes> preprocess(const image& picture, const preprocess_recipe& recipe);

} // namespace rlx::media
