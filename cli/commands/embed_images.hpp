// SPDX-License-Identifier: GPL-3.0-only
// rlx-embed with a checkpoint that reads images.
#pragma once

#include "../lm.hpp"
#include "embed_job.hpp"

namespace rlx::cli {

// Whether the checkpoint of --weights is of a family that reads images. False too where nothing
// says so; opening it says what is wrong then.
bool reads_images(const arguments& a, plugin_catalog& catalog);

// The bulk run for images: the same outputs, journal and exit codes as embed_texts().
// RLX_INVALID_ARGUMENT for flags that only texts have.
result<int> embed_images(
    const arguments& a, const embed_job& job, plugin_catalog* catalog, const std::string& family
);

// RLX_UNSUPPORTED when one of the files and folders that the arguments name is a picture.
result<void> refuse_pictures(const arguments& a);

} // namespace rlx::cli
