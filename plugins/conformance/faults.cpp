// SPDX-License-Identifier: GPL-3.0-only
#include "faults.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <link.h>
#include <new>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>
#include <vector>

namespace conformance {
namespace {

// No constructors and no allocation here: malloc runs before main.
constinit thread_local bool of_plugin __attribute__((tls_model("initial-exec"))) = false;
constinit std::atomic<std::uint64_t> counted = 0;
constinit std::atomic<std::uint64_t> fail_at = 0;
constinit std::atomic<bool> fail_onwards = false;
constinit std::atomic<bool> failed = false;

#if !defined(RLX_NO_INTERPOSE)

// Addresses of the plugin's live blocks: open addressing, linear probing; a spin lock, held for a
// few instructions.
class block_set {
public:
    void insert(void* p) {
        lock held(busy_);
        if (size_ >= capacity / 2)
            return; // a plugin with 2^19 live blocks is judged by its first ones
        std::size_t i = slot(p);
        while (at_[i])
            i = (i + 1) % capacity;
        at_[i] = p;
        size_++;
    }

    void erase(void* p) {
        if (size_.load(std::memory_order_relaxed) == 0) return;
        lock held(busy_);
        std::size_t i = slot(p);
        while (at_[i] && at_[i] != p)
            i = (i + 1) % capacity;
        if (!at_[i]) return;
        at_[i] = nullptr;
        size_--;
        for (i = (i + 1) % capacity; at_[i]; i = (i + 1) % capacity) {
            void* moved = at_[i];
            at_[i] = nullptr;
            std::size_t to = slot(moved);
            while (at_[to])
                to = (to + 1) % capacity;
            at_[to] = moved;
        }
    }

    std::int64_t size() const { return static_cast<std::int64_t>(size_.load()); }

private:
    static constexpr std::size_t capacity = 1 << 20;

    class lock {
    public:
        explicit lock(std::atomic_flag& f) : f_(f) {
            while (f_.test_and_set(std::memory_order_acquire)) {
            }
        }

        ~lock() { f_.clear(std::memory_order_release); }

    private:
        std::atomic_flag& f_;
    };

    static std::size_t slot(void* p) {
        return (reinterpret_cast<std::uintptr_t>(p) >> 4) * 0x9E3779B97F4A7C15ULL % capacity;
    }

    std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
    std::atomic<std::size_t> size_ = 0;
    void* at_[capacity] = {};
};

constinit block_set blocks;

// Where a library lies in memory.
struct address_range {
    std::uintptr_t from = 0, to = 0;

    bool has(std::uintptr_t p) const { return from <= p && p < to; }
};

constinit address_range judged;      // the plugin, when callers are judged
constinit address_range cxx_runtime; // whose operator new may work for anybody

address_range range_of(const void* address) {
    struct search {
        std::uintptr_t wanted;
        address_range found;
    } s{reinterpret_cast<std::uintptr_t>(address), {}};

    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* out) {
            auto& wish = *static_cast<search*>(out);
            address_range r{UINTPTR_MAX, 0};
            for (int i = 0; i < info->dlpi_phnum; i++) {
                const auto& p = info->dlpi_phdr[i];
                if (p.p_type != PT_LOAD) continue;
                r.from = std::min<std::uintptr_t>(r.from, info->dlpi_addr + p.p_vaddr);
                r.to = std::max<std::uintptr_t>(r.to, info->dlpi_addr + p.p_vaddr + p.p_memsz);
            }
            if (!r.has(wish.wanted)) return 0;
            wish.found = r;
            return 1;
        },
        &s
    );
    return s.found;
}

// The first frame outside the C++ runtime and this file; 0 when there is none.
std::uintptr_t caller_of_runtime() {
    struct walk {
        bool in_runtime = false;
        std::uintptr_t caller = 0;
    } w;

    ::_Unwind_Backtrace(
        [](_Unwind_Context* frame, void* out) {
            auto& state = *static_cast<walk*>(out);
            const std::uintptr_t at = ::_Unwind_GetIP(frame);
            if (cxx_runtime.has(at)) {
                state.in_runtime = true;
                return _URC_NO_REASON;
            }
            if (!state.in_runtime) return _URC_NO_REASON; // this file
            state.caller = at;
            return _URC_END_OF_STACK;
        },
        &w
    );
    return w.caller;
}

bool counts(const void* caller) {
    if (!of_plugin) return false;
    if (judged.to == 0) return true;
    const auto at = reinterpret_cast<std::uintptr_t>(caller);
    if (judged.has(at)) return true;
    if (!cxx_runtime.has(at)) return false;
    of_plugin = false; // the unwinder is nobody's
    const bool own = judged.has(caller_of_runtime());
    of_plugin = true;
    return own;
}

#endif

} // namespace

plugin_scope::plugin_scope() : before_(of_plugin) {
    of_plugin = true;
}

plugin_scope::~plugin_scope() {
    of_plugin = before_;
}

host_scope::host_scope() : before_(of_plugin) {
    of_plugin = false;
}

host_scope::~host_scope() {
    of_plugin = before_;
}

bool in_plugin() {
    return of_plugin;
}

void pin_libraries() {
    std::vector<std::string> names;
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* out) {
            if (info->dlpi_name && info->dlpi_name[0] == '/')
                static_cast<std::vector<std::string>*>(out)->emplace_back(info->dlpi_name);
            return 0;
        },
        &names
    );
    for (const std::string& name : names)
        (void)::dlopen(name.c_str(), RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

void count_allocations(std::uint64_t at, bool onwards) {
    counted = 0;
    failed = false;
    fail_onwards = onwards;
    fail_at = at;
}

std::uint64_t allocations_counted() {
    return counted;
}

bool allocation_failed() {
    return failed;
}

#if defined(RLX_NO_INTERPOSE)

bool allocations_are_seen() {
    return false;
}

bool judge_callers(const void*) {
    return true;
}

std::int64_t live_blocks() {
    return 0;
}

#else

bool allocations_are_seen() {
    return true;
}

bool judge_callers(const void* address) {
    cxx_runtime =
        range_of(reinterpret_cast<void*>(static_cast<void* (*)(std::size_t)>(&operator new)));
    judged = range_of(address);
    return judged.to != 0;
}

std::int64_t live_blocks() {
    return blocks.size();
}

// True when this allocation has to fail.
bool strike(const void* caller) {
    if (!counts(caller)) return false;
    const std::uint64_t n = ++counted;
    const std::uint64_t at = fail_at.load(std::memory_order_relaxed);
    if (at == 0 || n < at || (n > at && !fail_onwards)) return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

void* seen(void* p) {
    if (p && of_plugin) blocks.insert(p);
    return p;
}

#endif

} // namespace conformance

#if defined(RLX_NO_INTERPOSE)

// A crash is to be a signal here, too: that is what the report names.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
    return "handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_abort=0:"
           "allocator_may_return_null=1";
}

#else

// The C library's own functions under their second names.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

#define RLX_EXPORT __attribute__((visibility("default")))

RLX_EXPORT void* malloc(std::size_t n) noexcept {
    return conformance::strike(__builtin_return_address(0)) ? nullptr
                                                            : conformance::seen(__libc_malloc(n));
}

RLX_EXPORT void* calloc(std::size_t n, std::size_t size) noexcept {
    return conformance::strike(__builtin_return_address(0))
               ? nullptr
               : conformance::seen(__libc_calloc(n, size));
}

RLX_EXPORT void* realloc(void* p, std::size_t n) noexcept {
    if (conformance::strike(__builtin_return_address(0))) return nullptr;
    if (p) conformance::blocks.erase(p);
    void* moved = __libc_realloc(p, n);
    conformance::seen(moved || n == 0 ? moved : p);
    return moved;
}

RLX_EXPORT void free(void* p) noexcept {
    if (p) conformance::blocks.erase(p);
    __libc_free(p);
}

RLX_EXPORT void* memalign(std::size_t align, std::size_t n) noexcept {
    return conformance::strike(__builtin_return_address(0))
               ? nullptr
               : conformance::seen(__libc_memalign(align, n));
}

RLX_EXPORT void* aligned_alloc(std::size_t align, std::size_t n) noexcept {
    return conformance::strike(__builtin_return_address(0))
               ? nullptr
               : conformance::seen(__libc_memalign(align, n));
}

RLX_EXPORT int posix_memalign(void** out, std::size_t align, std::size_t n) noexcept {
    if (align < sizeof(void*) || (align & (align - 1))) return EINVAL;
    if (conformance::strike(__builtin_return_address(0))) return ENOMEM;
    void* p = conformance::seen(__libc_memalign(align, n));
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}

RLX_EXPORT void* mmap(void* at, std::size_t n, int prot, int flags, int fd, off_t offset) noexcept {
    if ((flags & MAP_ANONYMOUS) && conformance::strike(__builtin_return_address(0)))
        return MAP_FAILED;
    return reinterpret_cast<void*>(::syscall(SYS_mmap, at, n, prot, flags, fd, offset));
}
}

#endif
