// SPDX-License-Identifier: GPL-3.0-only
// How an interface is used: its normal life from the first call to the last, and what must be
// refused. One class per interface; checks know this face only.
#pragma once

#include "subject.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace conformance {

// A life ends after its last call or at its first error.
struct life_result {
    returned_error error; // code 0: it went to the end
    std::string where;    // the call that failed

    bool ok() const { return error.code == 0; }
};

class driver {
public:
    virtual ~driver() = default;
    virtual std::string name() const = 0; // "rlx.family/1"
    // Calls everything as a host would; whatever was opened is closed, also after an error. Throws
    // skipped when there is nothing to feed it.
    virtual life_result life() = 0;
    // Every entry with NULL and nonsense; throws failed where an error had to come and did not.
    virtual void null_arguments() = 0;
    // Every sized struct with a size of 0, 4, 8.
    virtual void short_structs() = 0;

    // What the code says it offers, of the interfaces that say it: ops, formats, names, commands.
    virtual std::vector<std::string> names() { return {}; }

    // Calls fn in the middle of a life, when everything that it opens is open.
    virtual void while_open(const std::function<void()>&) {}

    // The calls that take a cancel flag, with the flag raised; none: nothing.
    virtual std::optional<life_result> cancelled() { return {}; }

    // Members without which a host cannot use the table; empty when it has them.
    virtual std::string missing_members() const = 0;
};

// The drivers of the interfaces that the manifest claims and the plugin answers.
std::vector<std::unique_ptr<driver>> drivers_of(const subject& s);
// Interface names the manifest claims.
std::vector<std::string> claimed(const rlx::manifest& m);

// What the manifest lists under that interface.
std::vector<std::string> listed(const rlx::manifest& m, const std::string& iface);

// All names this program has a driver for.
std::vector<const char*> known_interfaces();

std::unique_ptr<driver> drive_family(const subject& s, const void* table);
std::unique_ptr<driver> drive_backend(const subject& s, const void* table);
std::unique_ptr<driver> drive_op(const subject& s, const void* table);
std::unique_ptr<driver> drive_weight_format(const subject& s, const void* table);
std::unique_ptr<driver> drive_tensor_names(const subject& s, const void* table);
std::unique_ptr<driver> drive_cli(const subject& s, const void* table);

// The call had to return an error.
void must_fail(const std::string& what, rlx_error* e);

// The checker's own call of the real host, which has to succeed.
void of_host(rlx_error* e);

// Writes the small checkpoints: "<folder>/llama", a decoder of two layers for backends, and for
// each model type of the manifest's families one of every known naming of their task.
void write_samples(const std::filesystem::path& folder, const rlx::manifest& m);
// Where those of the families are.
std::vector<std::filesystem::path>
family_samples(const std::filesystem::path& folder, const rlx::manifest& m);

} // namespace conformance
