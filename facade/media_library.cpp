// SPDX-License-Identifier: GPL-3.0-only
// Opens librlx-media.so when the first picture is met.
#include "rlx/images.hpp"

#include "side_library.hpp"

#include <mutex>

namespace rlx {

result<const media_library*> media_services() {
    // Only success is kept: a library installed later is found by the next call.
    static std::mutex lock;
    static const media_library* loaded = nullptr;
    const std::lock_guard guard(lock);
    if (!loaded) {
        // The version librlx has.
        void* entry = RLX_TRY(side_library_entry(
            "librlx-media.so.0", "rlx_media_entry_v1", "images need it, .npy arrays work without"
        ));
        loaded = reinterpret_cast<decltype(&rlx_media_entry_v1)>(entry)();
    }
    return loaded;
}

} // namespace rlx
