// SPDX-License-Identifier: GPL-3.0-only
#include "plugin_command.hpp"

#include "rlx/abi/cli.h"
#include "rlx/base/wall.hpp"
#include "rlx/services.hpp"
#include "terminal.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

// One running command. Its streams belong to the process.
struct rlx_io {
    std::atomic<int> output_failed = 0; // errno of standard output's first failure
};

namespace rlx::cli {

namespace {

std::FILE* file_of(std::uint32_t stream) {
    return stream == RLX_STDOUT ? stdout : stream == RLX_STDERR ? stderr : nullptr;
}

rlx_error* no_stream(const char* what, std::uint32_t stream) {
    return to_wall(
        {RLX_INVALID_ARGUMENT,
         fmt::format("{}: stream {}, expected RLX_STDOUT or RLX_STDERR", what, stream)}
    );
}

error cannot_write(std::uint32_t stream, int code) {
    const char* name = stream == RLX_STDOUT ? "output" : "error";
    return {RLX_IO, fmt::format("cannot write standard {}: {}", name, std::strerror(code))};
}

// The failure of the last stdio call. A reader that went away ends the process as it ends every
// command in a pipe, also where a parent had SIGPIPE ignored.
rlx_error* failed(rlx_io* io, std::uint32_t stream) {
    const int code = errno;
    if (code == EPIPE && stream == RLX_STDOUT) {
        std::signal(SIGPIPE, SIG_DFL);
        std::raise(SIGPIPE);
    }
    int none = 0;
    if (io && stream == RLX_STDOUT) io->output_failed.compare_exchange_strong(none, code);
    return to_wall(cannot_write(stream, code));
}

rlx_error* io_write(rlx_io* io, std::uint32_t stream, rlx_bytes data) {
    std::FILE* f = file_of(stream);
    if (!f || (data.n && !data.p)) return no_stream("write", stream);
    const auto* p = static_cast<const char*>(data.p);
    auto n = static_cast<std::size_t>(data.n);
    while (n > 0) {
        errno = 0;
        const std::size_t done = std::fwrite(p, 1, n, f);
        p += done;
        n -= done;
        if (n == 0) break;
        if (errno != EINTR) return failed(io, stream); // a signal only interrupts
        std::clearerr(f);
    }
    return nullptr;
}

rlx_error* io_flush(rlx_io* io, std::uint32_t stream) {
    std::FILE* f = file_of(stream);
    if (!f) return no_stream("flush", stream);
    while (std::fflush(f) != 0) {
        if (errno != EINTR) return failed(io, stream);
        std::clearerr(f);
    }
    return nullptr;
}

rlx_error* io_read(rlx_io*, void* dst, std::uint64_t n, std::uint64_t* got) {
    if (!got || (n && !dst))
        return to_wall({RLX_INVALID_ARGUMENT, "read: a required argument is NULL"});
    *got = 0;
    for (;;) {
        if (cancel_flag())
            return to_wall({RLX_CANCELLED, "interrupted while reading standard input"});
        const ssize_t r = n ? ::read(STDIN_FILENO, dst, static_cast<std::size_t>(n)) : 0;
        if (r >= 0) {
            *got = static_cast<std::uint64_t>(r);
            return nullptr;
        }
        if (errno != EINTR)
            return to_wall(
                {RLX_IO, fmt::format("cannot read standard input: {}", std::strerror(errno))}
            );
    }
}

std::uint32_t io_is_terminal(rlx_io*, std::uint32_t stream) {
    return stream <= RLX_STDERR && isatty(static_cast<int>(stream)) ? 1 : 0;
}

std::uint32_t io_width(rlx_io* io, std::uint32_t stream) {
    winsize size = {};
    if (!io_is_terminal(io, stream)) return 0;
    return ioctl(static_cast<int>(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

const volatile std::uint32_t* io_cancelled(rlx_io*) {
    static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
    return reinterpret_cast<const volatile std::uint32_t*>(&cancel_flag());
}

constexpr rlx_io_v1 io_table{
    {sizeof(rlx_io_v1), 1, 0}, io_write, io_flush, io_read, io_is_terminal, io_width, io_cancelled};

struct loaded_command {
    const rlx_cli_v1* table;
    void* self;
    std::uint32_t index;
};

result<loaded_command> load_command(plugin_catalog& catalog, const plugin_catalog::match& m) {
    host_provide("rlx.io/1", &io_table);
    offer_services();
    plugin* p = RLX_TRY(catalog.load(*m.owner));
    loaded_command out{
        static_cast<const rlx_cli_v1*>(RLX_TRY(p->iface("rlx.cli/1"))), p->table().self, 0};
    if (!RLX_HAS(out.table, count) || !RLX_HAS(out.table, describe) || !RLX_HAS(out.table, run))
        return error{
            RLX_VERSION_MISMATCH,
            fmt::format("plugin {}: its rlx.cli/1 lacks count, describe or run", m.owner->id)};
    for (const std::uint32_t n = out.table->count(out.self); out.index < n; out.index++) {
        rlx_item item{};
        item.size = sizeof item;
        RLX_CHECK(check_wall(out.table->describe(out.self, out.index, &item)));
        if (view(item.name) == m.entry->name) return out;
    }
    return error{
        RLX_INTERNAL,
        fmt::format(
            "plugin {}: its manifest promises the command '{}', its code has none of that name",
            m.owner->id,
            m.entry->name
        )};
}

result<int> call(const loaded_command& c, std::string_view program, arg_span args, rlx_io& io) {
    std::vector<rlx_str> argv;
    for (const std::string& a : args)
        argv.push_back(str(a));
    rlx_cli_call call{};
    call.size = sizeof call;
    call.argc = static_cast<std::uint32_t>(argv.size());
    call.argv = argv.data();
    call.program = str(program);
    call.io = &io;
    std::int32_t code = 0;
    RLX_CHECK(check_wall(c.table->run(c.self, c.index, &call, &code)));
    if (code >= 0 && code <= 255) return int{code};
    return error{
        RLX_INTERNAL,
        fmt::format("the command ended with {}, expected an exit code of 0 to 255", code)};
}

} // namespace

int run_plugin_command(
    plugin_catalog& catalog, const plugin_catalog::match& m, std::string_view program, arg_span args
) {
    auto command = load_command(catalog, m);
    if (!command) return report(program, command.error());
    catch_signals();
    rlx_io io;
    const auto code = call(*command, program, args, io);
    const auto flushed = check_wall(io_flush(&io, RLX_STDOUT));
    if (!code) return report(program, code.error());
    if (!flushed.ok()) return report(program, flushed.error());
    // Lost output is no success, also when the command does not look.
    if (const int lost = io.output_failed) return report(program, cannot_write(RLX_STDOUT, lost));
    return *code;
}

} // namespace rlx::cli
