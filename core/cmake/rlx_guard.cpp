// SPDX-License-Identifier: GPL-3.0-only
// Keeps exceptions inside a plugin whose own sources are compiled with -fno-exceptions: the
// standard library still throws std::bad_alloc. Always compiled with exceptions; rlx_add_plugin()
// adds it, others may. What lies between the throw and here has no cleanup code, so its memory is
// lost: the process lives, and the host gets an error.
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>

// 0: fn returned, 1: out of memory, 2: an exception with its text in what.
extern "C" __attribute__((visibility("hidden"))) int
rlx_sdk_guard(void (*fn)(void*), void* arg, char* what, std::size_t size) noexcept;

extern "C" int rlx_sdk_guard(void (*fn)(void*), void* arg, char* what, std::size_t size) noexcept {
    try {
        fn(arg);
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    } catch (const std::exception& e) {
        std::strncpy(what, e.what(), size - 1);
        return 2;
    } catch (...) {
        std::strncpy(what, "something that is not a std::exception", size - 1);
        return 2;
    }
}
