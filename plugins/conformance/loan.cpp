// SPDX-License-Identifier: GPL-3.0-only
#include "loan.hpp"

#include "stage.hpp"

#include <csignal>
#include <cstdint>
#include <cstring>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conformance {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t arena_pages = 16384; // 64 MiB of addresses: places come back late

std::byte* arena() {
    static std::byte* const at = [] {
        void* p = ::mmap(
            nullptr,
            arena_pages * page_bytes,
            PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
            -1,
            0
        );
        if (p == MAP_FAILED) throw failed{"the checker itself has no memory"};
        return static_cast<std::byte*>(p);
    }();
    return at;
}

std::size_t next_page = 0;
std::byte* watched = nullptr; // the arena, for the signal handler
char* stage_text = nullptr;
std::size_t stage_room = 0;

void on_fault(int signal, siginfo_t* info, void*) {
    const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
    const auto begin = reinterpret_cast<std::uintptr_t>(watched);
    if (watched && at >= begin && at < begin + arena_pages * page_bytes) {
        constexpr char text[] = ", in memory that was lent to a call and for that call alone";
        const std::size_t have = ::strnlen(stage_text, stage_room);
        if (have + sizeof text <= stage_room) std::memcpy(stage_text + have, text, sizeof text);
    }
    ::signal(signal, SIG_DFL); // once more, for good
}

} // namespace

loan::loan(std::size_t bytes) {
    const std::size_t aligned = (bytes + 15) / 16 * 16;
    pages_ = std::max<std::size_t>((aligned + page_bytes - 1) / page_bytes, 1);
    if (pages_ + 1 > arena_pages) throw failed{"the checker lends too much at once"};
    if (next_page + pages_ + 1 > arena_pages) next_page = 0;
    page_ = next_page;
    next_page += pages_ + 1;
    std::byte* at = arena() + page_ * page_bytes;
    watched = arena();
    if (::mprotect(at, pages_ * page_bytes, PROT_READ | PROT_WRITE) != 0)
        throw failed{"the checker itself has no memory"};
    data_ = at + pages_ * page_bytes - aligned;
}

loan::~loan() {
    std::byte* at = arena() + page_ * page_bytes;
    std::memset(at, 0x5a, pages_ * page_bytes);
    ::mprotect(at, pages_ * page_bytes, PROT_NONE);
}

void watch_loans(char* stage, std::size_t room) {
    stage_text = stage;
    stage_room = room;

    struct sigaction act {};

    act.sa_sigaction = on_fault;
    act.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &act, nullptr);
}

void forbid_processes() {
#if defined(__x86_64__)
    constexpr auto number = static_cast<std::uint32_t>(offsetof(seccomp_data, nr));
    constexpr auto first_argument = static_cast<std::uint32_t>(offsetof(seccomp_data, args));
    // clone3 hides its flags in memory; without it the C library asks clone.
    sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fork, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_vfork, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, first_argument),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 2, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 38 /* ENOSYS */),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{sizeof rules / sizeof *rules, rules};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return;
    ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
#endif
}

} // namespace conformance
