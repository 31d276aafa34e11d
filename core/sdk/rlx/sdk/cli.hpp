// SPDX-License-Identifier: GPL-3.0-only
// Commands of rlx-run from classes ("rlx.cli/1"), and the streams they use. Compiled into the
// plugin.
//
//   struct wordcount {
//       static constexpr cli_info info{"wordcount", "count words"};
//       static result<int> run(std::span<const std::string_view> args, console& io) {
//           RLX_CHECK(io.print("hello\n"));
//           return 0;
//       }
//   };
//   struct my_plugin { using commands = cli_list<wordcount>; };
//   RLX_PLUGIN(my_plugin)
#pragma once

#include "rlx/abi/cli.h"
#include "rlx/sdk/host.hpp"
#include "rlx/sdk/table.hpp"

#include <array>
#include <span>
#include <string>
#include <vector>

namespace rlx::sdk {
inline namespace sdk_v1 {

template <>
inline constexpr const char* service_name<rlx_io_v1> = "rlx.io/1";

struct cli_info {
    std::string_view name;        // as in the manifest
    std::string_view description; // one line
};

// The streams of a running command. Valid during run().
class console {
public:
    explicit console(const rlx_cli_call& c) : io_(c.io), program_(view(c.program)) {}

    // What help and errors call the command: "rlx-run wordcount".
    std::string_view program() const { return program_; }

    status print(std::string_view text) { return write(RLX_STDOUT, text); }

    status warn(std::string_view text) { return write(RLX_STDERR, text); }

    status write(std::uint32_t stream, std::string_view data) {
        return check(table()->write(io_, stream, {data.data(), data.size()}));
    }

    status flush() { return check(table()->flush(io_, RLX_STDOUT)); }

    // What standard input has, at most n bytes; empty at its end.
    result<std::string> read(std::size_t n = 65536) {
        std::string out(n, '\0');
        std::uint64_t got = 0;
        RLX_CHECK(check(table()->read(io_, out.data(), n, &got)));
        out.resize(static_cast<std::size_t>(std::min<std::uint64_t>(got, n)));
        return out;
    }

    result<std::string> read_all() {
        std::string out;
        for (;;) {
            const std::string part = RLX_TRY(read());
            if (part.empty()) return out;
            out += part;
        }
    }

    bool is_terminal(std::uint32_t stream = RLX_STDOUT) const {
        return table()->is_terminal(io_, stream) != 0;
    }

    // 0 when the stream is no terminal.
    std::uint32_t width(std::uint32_t stream = RLX_STDOUT) const {
        return table()->width(io_, stream);
    }

    // Ctrl-C was pressed: return fail(RLX_CANCELLED, ...) soon.
    bool cancelled() const { return *table()->cancelled(io_) != 0; }

private:
    static const rlx_io_v1* table() { return service<rlx_io_v1>(); }

    rlx_io* io_;
    std::string_view program_;
};

template <class... Commands>
struct cli_list {};

namespace detail {

inline status describe_item(rlx_item* out, std::string_view name, std::string_view description) {
    if (!out) return null_argument("describe");
    write_struct(out, rlx_item{0, 0, str(name), str(description)});
    return {};
}

template <class List>
struct cli_thunks;

template <class... Commands>
struct cli_thunks<cli_list<Commands...>> {
    static constexpr std::array<cli_info, sizeof...(Commands)> infos{Commands::info...};

    static std::uint32_t count(void*) noexcept { return sizeof...(Commands); }

    static rlx_error* describe(void*, std::uint32_t index, rlx_item* out) noexcept {
        return guarded([&]() -> status {
            if (index >= infos.size()) return out_of_range(index);
            return describe_item(out, infos[index].name, infos[index].description);
        });
    }

    static rlx_error*
    run(void*, std::uint32_t index, const rlx_cli_call* call, std::int32_t* exit_code) noexcept {
        return guarded([&]() -> status {
            const rlx_cli_call c = RLX_TRY(read_struct(call));
            if (!exit_code || !c.io || (c.argc && !c.argv)) return null_argument("run");
            if (index >= infos.size()) return out_of_range(index);
            RLX_CHECK(need<rlx_io_v1>());
            std::vector<std::string_view> args;
            for (std::uint32_t i = 0; i < c.argc; ++i)
                args.push_back(view(c.argv[i]));
            console io(c);
            std::uint32_t at = 0;
            result<int> code = 0;
            (void)((at++ == index ? (code = Commands::run(args, io), true) : false) || ...);
            *exit_code = RLX_TRY(std::move(code));
            return {};
        });
    }

    static constexpr rlx_cli_v1 make() {
        return {{sizeof(rlx_cli_v1), 1, 0}, count, describe, run};
    }

private:
    static error out_of_range(std::uint32_t index) {
        return fail(RLX_INVALID_ARGUMENT, "command {} of {}", index, sizeof...(Commands));
    }
};

} // namespace detail

template <class List>
inline constexpr rlx_cli_v1 cli_table = detail::cli_thunks<List>::make();

} // namespace sdk_v1
} // namespace rlx::sdk
