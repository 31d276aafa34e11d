// SPDX-License-Identifier: GPL-3.0-only
#include "host.hpp"

#include "faults.hpp"
#include "stage.hpp"

#include "rlx/abi/cli.h"
#include "rlx/abi/services.h"
#include "rlx/abi/weights.h"
#include "rlx/base/wall.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

namespace conformance {
namespace {

host_config config;
std::mutex mutex; // errors and the last call: workers of the thread team may call at the same time
std::set<const rlx_error*> errors;
std::string complaint;
std::string last_call;
std::atomic<std::uint64_t> calls = 0;
std::atomic<std::uint64_t> fail_at = 0;
std::atomic<bool> has_failed = false;

// Streams of the command that runs.
std::string io_input;
std::size_t io_read_at = 0;
std::uint64_t io_written = 0;
std::uint64_t io_cancelled_reads = 0;
volatile std::uint32_t io_cancel = 0;

void complain(const std::string& what) {
    const std::lock_guard lock(mutex);
    if (complaint.empty()) complaint = what;
}

rlx_error* track(rlx_error* e) {
    const std::lock_guard lock(mutex);
    if (e) errors.insert(e);
    return e;
}

void untrack(const rlx_error* e, const char* by) {
    const std::lock_guard lock(mutex);
    if (e && errors.erase(e) == 0 && complaint.empty())
        complaint = std::string("an error that does not exist (any more) was given to ") + by;
}

// ---- rlx_host

rlx_error* error_new(void*, std::uint32_t code, rlx_str message, rlx_error* cause) {
    const host_scope host;
    if (code == RLX_OK) complain("error_new was called with the code RLX_OK");
    if (message.n && !message.p) complain("error_new was given a message at NULL");
    if (cause) untrack(cause, "error_new as a cause");
    return track(rlx::host()->error_new(rlx::host()->ctx, code, message, cause));
}

std::uint32_t error_code(const rlx_error* e) {
    const host_scope host;
    return rlx::host()->error_code(e);
}

rlx_str error_message(const rlx_error* e) {
    const host_scope host;
    return rlx::host()->error_message(e);
}

void error_free(rlx_error* e) {
    const host_scope host;
    if (!e) return;
    untrack(e, "error_free");
    rlx::host()->error_free(e);
}

void log(void*, std::uint32_t level, rlx_str component, rlx_str message) {
    const host_scope host;
    if (level > RLX_LOG_DEBUG) complain("log was called with level " + std::to_string(level));
    if ((component.n && !component.p) || (message.n && !message.p))
        complain("log was given a text at NULL");
}

// ---- services: every member of the real table behind a function of the same type

template <class Table>
const Table* real() {
    static const auto* table = [] {
        const host_scope host;
        rlx::graph_table(); // offered from the first call on
        rlx::weights_table();
        const char* name = std::is_same_v<Table, rlx_weights_v1>   ? "rlx.weights/1"
                           : std::is_same_v<Table, rlx_graph_v1>   ? "rlx.graph/1"
                           : std::is_same_v<Table, rlx_options_v1> ? "rlx.options/1"
                                                                   : "rlx.par/1";
        return static_cast<const Table*>(rlx::host()->iface(rlx::host()->ctx, rlx::str(name), 0));
    }();
    return table;
}

// The error of this call when its number is up.
rlx_error* injected(const char* name) {
    const std::uint64_t n = ++calls;
    const std::lock_guard lock(mutex);
    last_call = name;
    if (n != fail_at.load()) return nullptr;
    has_failed = true;
    rlx_error* e = rlx::host()->error_new(
        rlx::host()->ctx, RLX_IO, rlx::str(std::string("injected into ") + name), nullptr
    );
    errors.insert(e);
    return e;
}

// A text as a template argument.
template <std::size_t N>
struct literal {
    char text[N];

    consteval literal(const char (&s)[N]) { std::copy_n(s, N, text); }
};

template <auto Member, literal Name>
struct through;

template <class Table, class R, class... A, R (*Table::*Member)(A...), literal Name>
struct through<Member, Name> {
    static R call(A... args) {
        const host_scope host;
        if constexpr (std::is_same_v<R, rlx_error*>) {
            if (rlx_error* e = injected(Name.text)) return e;
            return track((real<Table>()->*Member)(args...));
        } else {
            return (real<Table>()->*Member)(args...);
        }
    }
};

rlx_weights_v1 weights_through() {
    rlx_weights_v1 t = *real<rlx_weights_v1>();
#define W(member)                                                                                  \
    t.member = through<                                                                            \
        &rlx_weights_v1::member,                                                                   \
        "rlx.weights/1"                                                                            \
        " " #member>::call
    W(format);
    W(architecture);
    W(meta);
    W(add_names);
    W(find);
    W(require);
    W(view);
    W(read_rows);
    W(read_f32);
    W(release);
#undef W
    return t;
}

rlx_graph_v1 graph_through() {
    rlx_graph_v1 t = *real<rlx_graph_v1>();
#define G(member)                                                                                  \
    t.member = through<                                                                            \
        &rlx_graph_v1::member,                                                                     \
        "rlx.graph/1"                                                                              \
        " " #member>::call
    G(symbol);
    G(dim_op);
    G(input);
    G(weight);
    G(constant);
    G(state);
    G(add);
    G(output);
    G(set_origin);
    G(weights);
    G(node_count);
    G(node);
    G(value_count);
    G(value);
    G(symbol_count);
    G(symbol_at);
    G(eval_dims);
    G(scratch_bytes);
    G(dim_range);
    G(add_custom);
    G(run_custom);
#undef G
    return t;
}

rlx_options_v1 options_through() {
    rlx_options_v1 t = *real<rlx_options_v1>();
#define O(member)                                                                                  \
    t.member = through<                                                                            \
        &rlx_options_v1::member,                                                                   \
        "rlx.options/1"                                                                            \
        " " #member>::call
    O(get_i64);
    O(get_f64);
    O(get_str);
    O(set_i64);
    O(set_f64);
    O(set_str);
    O(create);
    O(destroy);
#undef O
    return t;
}

// A region's body is plugin code again, on whatever thread it runs.
struct region {
    rlx_par_fn fn;
    void* arg;
};

void run_region(void* arg, std::uint32_t thread, std::uint32_t n, void* team) {
    const auto* r = static_cast<const region*>(arg);
    const plugin_scope plugin;
    r->fn(r->arg, thread, n, team);
}

void par_run(void*, rlx_par_fn fn, void* arg) {
    const host_scope host;
    if (!fn) return complain("rlx.par/1 run was called without a function");
    region r{fn, arg};
    if (config.one_thread) return run_region(&r, 0, 1, nullptr);
    const auto* par = real<rlx_par_v1>();
    par->run(par->ctx, run_region, &r);
}

std::uint32_t par_threads(void*) {
    const host_scope host;
    return config.one_thread ? 1 : real<rlx_par_v1>()->threads(real<rlx_par_v1>()->ctx);
}

void par_barrier(void* team) {
    const host_scope host;
    if (!config.one_thread) real<rlx_par_v1>()->barrier(team);
}

rlx_par_v1 par_through() {
    rlx_par_v1 t = *real<rlx_par_v1>();
    t.ctx = nullptr;
    t.threads = par_threads;
    t.run = par_run;
    t.barrier = par_barrier;
    return t;
}

// ---- "rlx.io/1": streams in memory

rlx_error* io_write(rlx_io* io, std::uint32_t stream, rlx_bytes data) {
    const host_scope host;
    if (rlx_error* e = injected("rlx.io/1 write")) return e;
    if (!io) complain("rlx.io/1 write was called without its io");
    if (stream != RLX_STDOUT && stream != RLX_STDERR)
        complain("rlx.io/1 write was called with stream " + std::to_string(stream));
    if (data.n && !data.p) complain("rlx.io/1 write was given bytes at NULL");
    if (stream == RLX_STDOUT) io_written += data.n;
    return nullptr;
}

rlx_error* io_flush(rlx_io*, std::uint32_t) {
    const host_scope host;
    return injected("rlx.io/1 flush");
}

rlx_error* io_read(rlx_io*, void* dst, std::uint64_t n, std::uint64_t* got) {
    const host_scope host;
    if (rlx_error* e = injected("rlx.io/1 read")) return e;
    if (got) *got = 0;
    if (io_cancel) {
        io_cancelled_reads++;
        return track(rlx::host()->error_new(
            rlx::host()->ctx, RLX_CANCELLED, rlx::str("interrupted"), nullptr
        ));
    }
    if (!dst || !got) complain("rlx.io/1 read was called without a place for the bytes");
    if (got) *got = std::min<std::uint64_t>(n, io_input.size() - io_read_at);
    if (dst && got && *got) std::memcpy(dst, io_input.data() + io_read_at, *got);
    if (got) io_read_at += *got;
    return nullptr;
}

std::uint32_t io_is_terminal(rlx_io*, std::uint32_t) {
    return 0;
}

std::uint32_t io_width(rlx_io*, std::uint32_t) {
    return 0;
}

const volatile std::uint32_t* io_cancelled(rlx_io*) {
    return &io_cancel;
}

rlx_io_v1 io_in_memory() {
    rlx_io_v1 t{};
    t.hdr = {sizeof t, 1, 0};
    t.write = io_write;
    t.flush = io_flush;
    t.read = io_read;
    t.is_terminal = io_is_terminal;
    t.width = io_width;
    t.cancelled = io_cancelled;
    return t;
}

// ---- tables of any length

// Bytes that end where the readable memory ends. Never freed.
std::byte* guarded_bytes(std::size_t n) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t room = (n + page - 1) / page * page;
    void* at =
        ::mmap(nullptr, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw failed{"the checker itself has no memory"};
    auto* base = static_cast<std::byte*>(at);
    ::mprotect(base + room, page, PROT_NONE);
    return base + (room - n);
}

template <class Table>
const Table*
shaped(const Table& whole, const char* name, std::uint16_t major, std::uint16_t minor) {
    const auto cut = config.bytes.find(name);
    const std::uint32_t known =
        cut == config.bytes.end() ? std::uint32_t{sizeof whole} : cut->second;
    const std::uint32_t total = known + config.unknown;
    std::byte* at = guarded_bytes(total);
    std::memset(at, 0x5a, total); // called, it is an address that no program has
    std::memcpy(at, &whole, std::min<std::size_t>(known, sizeof whole));
    auto* table = reinterpret_cast<Table*>(at);
    if (total >= sizeof(rlx_hdr)) table->hdr = {total, major, minor};
    return table;
}

struct service {
    const void* table = nullptr;
    std::uint16_t minor = 0;
};

std::map<std::string, service> services;

const void* iface(void*, rlx_str name, std::uint16_t min_minor) {
    const host_scope host;
    if (name.n && !name.p) {
        complain("iface was asked for a name at NULL");
        return nullptr;
    }
    const std::string wanted(rlx::view(name));
    if (config.missing.count(wanted)) return nullptr;
    const auto found = services.find(wanted);
    if (found != services.end())
        return found->second.minor >= min_minor ? found->second.table : nullptr;
    // Services this program knows nothing special about.
    return rlx::host()->iface(rlx::host()->ctx, name, min_minor);
}

template <class Table>
void offer(const char* name, const Table& whole) {
    const std::uint16_t minor = config.unknown             ? 77
                                : config.bytes.count(name) ? 0 // a table of an older host
                                                           : whole.hdr.minor;
    services[name] = {shaped(whole, name, 1, minor), minor};
}

} // namespace

const rlx_host* make_host(const host_config& c) {
    const host_scope host;
    config = c;
    services.clear();
    offer("rlx.weights/1", weights_through());
    offer("rlx.graph/1", graph_through());
    offer("rlx.options/1", options_through());
    offer("rlx.par/1", par_through());
    offer("rlx.io/1", io_in_memory());
    rlx_host whole{};
    whole.error_new = error_new;
    whole.error_code = error_code;
    whole.error_message = error_message;
    whole.error_free = error_free;
    whole.log = log;
    whole.iface = iface;
    return shaped(whole, "", c.major, c.minor);
}

const std::map<std::string, std::uint32_t>& service_bytes() {
    static const std::map<std::string, std::uint32_t> bytes = {
        {"rlx.weights/1", std::uint32_t{sizeof(rlx_weights_v1)}},
        {"rlx.graph/1", std::uint32_t{sizeof(rlx_graph_v1)}},
        {"rlx.options/1", std::uint32_t{sizeof(rlx_options_v1)}},
        {"rlx.par/1", std::uint32_t{sizeof(rlx_par_v1)}},
        {"rlx.io/1", std::uint32_t{sizeof(rlx_io_v1)}}};
    return bytes;
}

void fail_host_call(std::uint64_t n) {
    calls = 0;
    has_failed = false;
    fail_at = n;
}

std::uint64_t host_calls() {
    return calls;
}

bool host_call_failed() {
    return has_failed;
}

const std::string& last_host_call() {
    return last_call;
}

std::int64_t live_errors() {
    const std::lock_guard lock(mutex);
    return static_cast<std::int64_t>(errors.size());
}

const std::string& host_complaint() {
    return complaint;
}

void set_streams(const std::string& input, bool cancelled) {
    io_input = input;
    io_read_at = 0;
    io_written = 0;
    io_cancelled_reads = 0;
    io_cancel = cancelled;
}

bool read_was_cancelled() {
    return io_cancelled_reads > 0;
}

std::uint64_t bytes_written() {
    return io_written;
}

returned_error take(rlx_error* e) {
    const host_scope host;
    if (!e) return {};
    {
        const std::lock_guard lock(mutex);
        if (errors.erase(e) == 0)
            throw failed{"it returned an error that the host did not make, or that it had freed"};
    }
    returned_error out{
        rlx::host()->error_code(e), std::string(rlx::view(rlx::host()->error_message(e)))};
    rlx::host()->error_free(e);
    if (out.message.empty()) throw failed{"it returned an error without a message"};
    if (out.code == RLX_OK || out.code > RLX_NETWORK)
        throw failed{"it returned an error of the unknown code " + std::to_string(out.code)};
    return out;
}

} // namespace conformance
