// SPDX-License-Identifier: GPL-3.0-only
// rlx-probe LIBRARY: loads a backend and opens and closes its devices, for probe_backend()
// (rlx/loader/probe.hpp), which reads "begin" and "done" from the standard output. Whatever goes
// wrong without ending the process is no matter: it will be reported by who loads the backend next.
#include "rlx/abi/backend.h"
#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/loader/loader.hpp"
#include "rlx/services.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

rlx::result<void> open_devices(rlx::plugin& p) {
    const auto* table = static_cast<const rlx_backend_v1*>(RLX_TRY(p.iface("rlx.backend/1")));
    if (!RLX_HAS(table, device_count) || !RLX_HAS(table, open) || !RLX_HAS(table, close)) return {};
    void* self = p.table().self;
    const std::uint32_t count = table->device_count(self);
    for (std::uint32_t i = 0; i < count; i++) {
        rlx::options info, how;
        void* device = nullptr;
        if (RLX_HAS(table, device_info))
            RLX_CHECK(rlx::check_wall(table->device_info(self, i, info.handle())));
        RLX_CHECK(rlx::check_wall(table->open(self, i, how.handle(), &device)));
        table->close(self, device);
    }
    return {};
}

rlx::result<void> probe(const std::filesystem::path& library) {
    rlx::offer_services();
    rlx::search_options where;
    where.plugin_dirs = {library.parent_path()};
    where.use_environment = where.use_defaults = where.use_index = false;
    const auto catalog = RLX_TRY(rlx::plugin_catalog::open(where));
    const auto found = std::ranges::find(catalog->manifests(), library, &rlx::manifest::library);
    if (found == catalog->manifests().end()) return {};
    return open_devices(*RLX_TRY(catalog->load(*found)));
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("rlx-probe LIBRARY: used by librlx to try a backend; not for people\n", stderr);
        return 2;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    // A plugin may print or close what it likes.
    const int out = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 100);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    if (::write(out, "begin\n", 6) != 6) return 1;
    static_cast<void>(probe(argv[1]));
    if (::write(out, "done\n", 5) != 5) return 1;
    ::_exit(0); // without the plugins' destructors
}
