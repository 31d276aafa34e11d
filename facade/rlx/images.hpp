// SPDX-License-Identifier: GPL-3.0-only
// Pictures for applications: rlx/media/media.hpp through the library that is opened on demand.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/media/media.hpp"

namespace rlx {

// librlx-media.so, loaded from beside librlx.so on first use. RLX_NOT_FOUND says where it was
// looked for. Valid for the life of the process. [any thread]
RLX_API result<const media_library*> media_services();

} // namespace rlx
