// SPDX-License-Identifier: GPL-3.0-only
// Runs one check in a process of its own, so that a crash, a hang or an exit is that check's
// failure and nothing else.
#pragma once

#include <functional>
#include <string>

namespace conformance {

enum class verdict { ok, failed, skipped };

struct outcome {
    verdict what = verdict::ok;
    std::string why;    // of a failure or a skip; a remark when ok
    std::string output; // what the process wrote to stdout and stderr
    double seconds = 0;
};

// From now on SIGINT and SIGTERM kill the running check instead of this process, which can tidy up.
void catch_interrupts();
// 0, or the signal that came.
int interrupted_by();

// May be nested. check returns a remark, or throws failed or skipped. The process is killed after
// timeout_s.
outcome run_alone(const std::function<std::string()>& check, double timeout_s);

} // namespace conformance
