// SPDX-License-Identifier: GPL-3.0-only
// Opens librlx-text.so when the first text is met.
#include "rlx/checkpoint.hpp"

#include "side_library.hpp"

#include <mutex>

namespace rlx {

result<const text_library*> text_services() {
    // Only success is kept: a library installed later is found by the next call.
    static std::mutex lock;
    static const text_library* loaded = nullptr;
    const std::lock_guard guard(lock);
    if (!loaded) {
        // The version librlx has.
        void* entry = RLX_TRY(side_library_entry(
            "librlx-text.so.0", "rlx_text_entry_v1", "text needs it, ids work without"
        ));
        loaded = reinterpret_cast<decltype(&rlx_text_entry_v1)>(entry)();
    }
    return loaded;
}

} // namespace rlx
