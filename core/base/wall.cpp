// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/wall.hpp"

#include "rlx/base/log.hpp"
#include "rlx/base/options.hpp"
#include "rlx/base/threads.hpp"

#include <cstring>
#include <mutex>
#include <new>

// One malloc block: this header, then the text.
struct rlx_error {
    std::uint32_t code;
    bool is_static;
    std::uint64_t n;
    const char* text;
};

namespace rlx {
namespace {

constexpr std::string_view oom_text = "out of memory";
constinit rlx_error oom_error{RLX_OUT_OF_MEMORY, true, oom_text.size(), oom_text.data()};

// Appends what fits; messages are for people, 64 KiB is plenty.
constexpr std::size_t max_message = 64 * 1024;

rlx_error*
error_make(std::uint32_t code, std::string_view message, std::string_view cause) noexcept {
    message = message.substr(0, max_message);
    cause = cause.substr(0, max_message);
    std::string_view joint = message.empty() || cause.empty() ? "" : ": ";
    std::size_t n = message.size() + joint.size() + cause.size();
    void* block = std::malloc(sizeof(rlx_error) + n + 1);
    if (!block) return &oom_error;
    char* text = static_cast<char*>(block) + sizeof(rlx_error);
    char* at = text;
    for (std::string_view part : {message, joint, cause}) {
        if (!part.empty()) std::memcpy(at, part.data(), part.size());
        at += part.size();
    }
    *at = 0;
    // An error that says "ok" is a bug of its maker.
    return ::new (block)
        rlx_error{code == RLX_OK ? std::uint32_t{RLX_INTERNAL} : code, false, n, text};
}

void error_release(rlx_error* e) noexcept {
    if (e && !e->is_static) std::free(e);
}

rlx_error* host_error_new(void*, std::uint32_t code, rlx_str message, rlx_error* cause) {
    std::string_view why = cause ? std::string_view(cause->text, cause->n) : std::string_view();
    rlx_error* e = error_make(code, view(message), why);
    if (e != cause) error_release(cause);
    return e;
}

std::uint32_t host_error_code(const rlx_error* e) {
    return e ? e->code : std::uint32_t{RLX_OK};
}

rlx_str host_error_message(const rlx_error* e) {
    return e ? rlx_str{e->text, e->n} : rlx_str{nullptr, 0};
}

void host_log(void*, std::uint32_t level, rlx_str component, rlx_str message) {
    log_write(level, view(component), view(message));
}

// Services are few and live for ever; a fixed table needs no constructor and no allocation.
struct service {
    char name[48];
    std::size_t n;
    const void* table;
};

struct registry {
    std::mutex mutex;
    service services[64];
    std::size_t count;

    const void* find(std::string_view name) const {
        for (std::size_t i = 0; i < count; i++) {
            if (std::string_view(services[i].name, services[i].n) == name) return services[i].table;
        }
        return nullptr;
    }
};

constinit registry services{};

const void* host_iface(void*, rlx_str name, std::uint16_t min_minor) {
    host(); // the built-in services
    std::lock_guard lock(services.mutex);
    const void* table = services.find(view(name));
    if (!table || static_cast<const rlx_hdr*>(table)->minor < min_minor) return nullptr;
    return table;
}

constexpr rlx_host host_table{
    {sizeof(rlx_host), RLX_ABI_MAJOR, RLX_ABI_MINOR},
    nullptr,
    host_error_new,
    host_error_code,
    host_error_message,
    error_release,
    host_log,
    host_iface};

} // namespace

const rlx_host* host() {
    static const bool provided = [] {
        host_provide("rlx.options/1", options_table());
        host_provide("rlx.par/1", par_table());
        return true;
    }();
    static_cast<void>(provided);
    return &host_table;
}

void host_provide(std::string_view name, const void* table) {
    std::lock_guard lock(services.mutex);
    if (services.find(name)) return;
    bool fits =
        services.count < std::size(services.services) && name.size() < sizeof(service::name);
    if (!fits || !table) std::abort(); // our bug: names and their number are fixed at build time
    service& s = services.services[services.count];
    std::memcpy(s.name, name.data(), name.size());
    s.n = name.size();
    s.table = table;
    services.count++;
}

rlx_error* to_wall(const error& e) {
    return error_make(e.code, e.message, {});
}

error from_wall(rlx_error* e) {
    error out{e->code, std::string(e->text, e->n)};
    error_release(e);
    return out;
}

} // namespace rlx
