// SPDX-License-Identifier: GPL-3.0-only
// A family and a backend that are right in everything; rlx_sample_break names the one thing that is
// wrong. Compiled once, linked with a break.c per sample.
#include "rlx/sdk.hpp"

#include <cfenv>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

extern "C" const char rlx_sample_break[];
extern "C" void rlx_sample_work();

struct rlx_buffer {
    std::uint64_t bytes;
    void* data;
};

namespace {

using namespace rlx;

volatile bool never = false; // the compiler cannot tell

bool broken(std::string_view what) {
    return what == rlx_sample_break;
}

// Runs once per build(): where a plugin does its work.
void misbehave() {
    rlx_sample_work();
    if (broken("out_of_memory")) {
        auto* p = static_cast<volatile char*>(std::malloc(64));
        p[0] = 1; // asks nobody
        std::free(const_cast<char*>(p));
    }
    if (broken("memory")) static_cast<void>(!new int(1) && never);
    if (broken("threads")) {
        static bool started = false;
        if (!started) std::thread([] { ::pause(); }).detach();
        started = true;
    }
    if (broken("descriptors")) static_cast<void>(::open("/dev/null", O_RDONLY) < 0);
    if (broken("output")) static_cast<void>(::write(2, "hello\n", 6) < 0);
    if (broken("process_state")) std::fesetround(FE_UPWARD);
#if defined(__x86_64__)
    if (broken("denormals")) __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040U);
    if (broken("forks") && ::syscall(SYS_fork) == 0) ::syscall(SYS_exit_group, 0);
#endif
    if (broken("crash")) *static_cast<volatile int*>(nullptr) = 1;
    while (broken("hang") && !never) {
    }
    if (broken("silent_hang")) {
        ::close(STDOUT_FILENO);
        ::close(STDERR_FILENO);
        while (!never)
            ::pause();
    }
    if (broken("exit")) ::syscall(SYS_exit_group, 3);
}

class family {
public:
    static sdk::result<std::unique_ptr<family>> open(rlx_weights* w, sdk::options_view) {
        sdk::sticky errors;
        const sdk::checkpoint c(w, errors);
        auto made = std::make_unique<family>();
        made->vocab_ = c.integer("vocab_size", {.min = 1, .max = 1 << 20});
        made->hidden_ = c.integer("hidden_size", {.min = 1, .max = 1 << 20});
        RLX_CHECK(errors.done());
        return made;
    }

    sdk::status info(sdk::options_writer out) const {
        return out.set("vocab_size", vocab_).set("name", "sample").done();
    }

    sdk::status build(std::string_view graph, rlx_graph* g) const {
        if (graph != RLX_GRAPH_LM) return sdk::fail(RLX_UNSUPPORTED, "no graph '{}'", graph);
        misbehave();
        sdk::sticky errors;
        sdk::graph_builder b(g, errors);
        const sdk::scope root(b);
        const sdk::lm_inputs in = sdk::find_lm_inputs(b);
        const sdk::tensor x = embedding(root["model"]["embed_tokens"], in.tokens, vocab_, hidden_);
        const sdk::tensor last = root.op(RLX_OP_GatherRows, {x, in.rows});
        b.output(
            broken("life") ? "logit" : "logits", linear(root["lm_head"], last, {.out = vocab_})
        );
        return errors.done();
    }

private:
    std::int64_t vocab_ = 0, hidden_ = 0;
};

struct step {
    rlx_value in, out;
};

class device {
public:
    struct program {
        const rlx_graph* graph;
        std::vector<step> steps;
    };

    static std::uint32_t device_count() { return 1; }

    static sdk::status device_info(std::uint32_t index, sdk::options_writer out) {
        if (index) return sdk::fail(RLX_NOT_FOUND, "device {}: there is one", index);
        return out.set("name", "sample").done();
    }

    static sdk::result<std::unique_ptr<device>> open(std::uint32_t index, sdk::options_view) {
        if (index) return sdk::fail(RLX_NOT_FOUND, "device {}: there is one", index);
        return std::make_unique<device>();
    }

    // Adding a value to itself is all it can.
    sdk::status supports(
        const rlx_graph* g,
        std::span<const std::uint32_t> nodes,
        std::span<std::uint8_t> verdict,
        std::span<rlx_str> reason
    ) {
        for (std::size_t i = 0; i < nodes.size(); i++) {
            const rlx_node_info n = RLX_TRY(node(g, nodes[i]));
            const bool can =
                n.op == RLX_OP_Binary && n.attr[0].i == RLX_BINARY_ADD && n.in[0] == n.in[1];
            verdict[i] = can ? RLX_YES : RLX_NO;
            if (!can && !reason.empty()) reason[i] = sdk::str("only x + x");
        }
        return {};
    }

    sdk::result<rlx_memory> measure(const rlx_compile_args& a) {
        RLX_CHECK(usable(a));
        return rlx_memory{};
    }

    sdk::result<std::unique_ptr<program>> compile(const rlx_compile_args& a) {
        RLX_CHECK(usable(a));
        RLX_CHECK(go_on(a.cancel));
        if (broken("slow")) ::usleep(250'000);
        auto p = std::make_unique<program>();
        p->graph = a.graph;
        for (std::uint64_t i = 0; i < a.n_nodes; i++) {
            const rlx_node_info n = RLX_TRY(node(a.graph, a.nodes[i]));
            if (n.op != RLX_OP_Binary) return sdk::fail(RLX_UNSUPPORTED, "only x + x");
            p->steps.push_back({n.in[0], n.out[0]});
        }
        return p;
    }

    sdk::status run(program& p, const rlx_run_args& a) {
        RLX_CHECK(go_on(a.cancel));
        static const rlx_binding* kept = nullptr;
        if (broken("keeps")) never = kept && kept->reserved; // of the run before
        kept = a.bind;
        const auto n = sdk::service<rlx_graph_v1>()->symbol_count(p.graph);
        if (a.n_extents != n || !a.extents || (a.n_bind && !a.bind))
            return sdk::fail(RLX_INVALID_ARGUMENT, "extents or bindings are missing");
        for (const step& s : p.steps) {
            const rlx_binding in = RLX_TRY(find(a, s.in)), out = RLX_TRY(find(a, s.out));
            const auto* x = static_cast<const float*>(in.host);
            auto* y = static_cast<float*>(out.host);
            for (std::uint64_t i = 0; i < std::min(in.bytes, out.bytes) / 4; i++)
                y[i] = x[i] + x[i];
        }
        return {};
    }

    sdk::result<std::uint64_t> page_bytes(const rlx_compile_args& a, rlx_value v) {
        RLX_CHECK(usable(a));
        return sdk::fail(RLX_UNSUPPORTED, "value {}: there is no state here", v);
    }

    sdk::result<rlx_buffer*> alloc(std::uint64_t bytes) {
        void* data = std::calloc(1, bytes + 1);
        auto* b = data ? new (std::nothrow) rlx_buffer{bytes, data} : nullptr;
        if (b) return b;
        std::free(data);
        return sdk::fail(RLX_OUT_OF_MEMORY, "{} bytes", bytes);
    }

    void free(rlx_buffer* b) {
        std::free(b->data);
        delete b;
    }

    sdk::status
    copy(rlx_buffer* dst, std::uint64_t to, rlx_buffer* src, std::uint64_t from, std::uint64_t n) {
        if (!inside(dst, to, n) || !inside(src, from, n)) return outside();
        std::memmove(static_cast<char*>(dst->data) + to, static_cast<char*>(src->data) + from, n);
        return {};
    }

    sdk::status upload(rlx_buffer* dst, std::uint64_t at, rlx_bytes src) {
        if (!inside(dst, at, src.n)) return outside();
        if (src.n) std::memcpy(static_cast<char*>(dst->data) + at, src.p, src.n);
        return {};
    }

    sdk::status download(rlx_buffer* src, std::uint64_t at, void* dst, std::uint64_t n) {
        if (!inside(src, at, n)) return outside();
        if (n) std::memcpy(dst, static_cast<char*>(src->data) + at, n);
        return {};
    }

private:
    static sdk::status usable(const rlx_compile_args& a) {
        if (a.graph && (!a.n_nodes || a.nodes)) return {};
        return sdk::fail(RLX_INVALID_ARGUMENT, "graph or nodes are missing");
    }

    static sdk::status go_on(const volatile std::uint32_t* cancel) {
        if (cancel && *cancel && !broken("cancel")) return sdk::fail(RLX_CANCELLED, "cancelled");
        return {};
    }

    static sdk::result<rlx_node_info> node(const rlx_graph* g, std::uint32_t index) {
        rlx_node_info n{};
        n.size = sizeof n;
        RLX_CHECK(sdk::check(sdk::service<rlx_graph_v1>()->node(g, index, &n)));
        return n;
    }

    static sdk::result<rlx_binding> find(const rlx_run_args& a, rlx_value v) {
        for (std::uint64_t i = 0; i < a.n_bind; i++) {
            const rlx_binding b = sdk::read_element(a.bind, a.bind_stride, i);
            if (b.value == v && b.host) return b;
        }
        return sdk::fail(RLX_INVALID_ARGUMENT, "value {} is not bound", v);
    }

    static bool inside(const rlx_buffer* b, std::uint64_t at, std::uint64_t n) {
        return at <= b->bytes && n <= b->bytes - at;
    }

    static sdk::error outside() { return sdk::fail(RLX_INVALID_ARGUMENT, "outside the buffer"); }
};

struct sample {
    using family = ::family;
    using backend = device;
};

// ---- what is wrong in the tables and in the entry

const rlx_host* the_host = nullptr;

rlx_error* info(void* self, void* model, rlx_options* out) {
    if (broken("null_arguments") && (!model || !out)) return nullptr; // looks like success
    const bool asks = broken("exceptions") || broken("host_errors") || broken("errors");
    if (asks && model && out) {
        const auto* t = static_cast<const rlx_options_v1*>(
            the_host->iface(the_host->ctx, sdk::str("rlx.options/1"), 0)
        );
        rlx_error* e = t->set_i64(out, sdk::str("extra"), 1);
        if (e && broken("exceptions")) {
            the_host->error_free(e);
            throw std::runtime_error("the host said no");
        }
        if (e && broken("host_errors")) *static_cast<volatile int*>(nullptr) = 1;
        // "errors": neither freed nor returned.
    }
    return sdk::family_table<family>.info(self, model, out);
}

rlx_error* run(void* device, void* program, const rlx_run_args* a) {
    if (broken("short_structs") && a && a->size < sizeof *a) return nullptr;
    return sdk::backend_table<::device>.run(device, program, a);
}

const void* iface(void* self, rlx_str name, std::uint16_t minor) {
    static rlx_family_v1 family_table = sdk::family_table<family>;
    static rlx_backend_v1 backend_table = sdk::backend_table<::device>;
    family_table.info = info;
    backend_table.run = run;
    const std::string_view wanted = sdk::view(name);
    if (minor == 0 && wanted == "rlx.family/1") return &family_table;
    if (minor == 0 && wanted == "rlx.backend/1") return &backend_table;
    if (minor == 0 && wanted == "no.such/1" && broken("interfaces")) return &family_table;
    return sdk::detail::plugin_iface<sample>(self, name, minor);
}

template <class Table>
const Table* service(const char* name) {
    return static_cast<const Table*>(the_host->iface(the_host->ctx, sdk::str(name), 0));
}

// Before the SDK's entry.
const rlx_host* spoil_host(const rlx_host* host, rlx_plugin* out) {
    the_host = host;
    if (broken("older_host")) {
        const auto* w = service<rlx_weights_v1>("rlx.weights/1");
        never = w && !w->release; // whatever its size says
    }
    if (broken("missing_services"))
        never = service<rlx_par_v1>("rlx.par/1")->hdr.size == 1; // whether there is one or not
    if (broken("short_table") && out->hdr.size < sizeof *out) std::memset(out, 0, sizeof *out);
    static rlx_host patched;
    const bool by_minor = broken("foreign_minor") && host->hdr.minor >= 1;
    if (!broken("foreign_major") && !by_minor) return host;
    patched = *host;
    patched.hdr.major = 1;
    return &patched;
}

rlx_error* enter(const rlx_host* host, rlx_plugin* out) {
    const rlx_host* h = spoil_host(host, out);
    rlx_error* e = sdk::detail::enter<sample>(h, {RLX_PLUGIN_ID, RLX_PLUGIN_VERSION}, out);
    if (e || !out || out->hdr.major == 0) return e;
    out->iface = iface;
    if (broken("entry")) out->hdr.minor = 9;
    if (broken("stamp")) out->version = sdk::str("9.9.9");
    if (broken("newer_host")) out->hdr.minor = host->hdr.minor;
    return nullptr;
}

} // namespace

extern "C" __attribute__((visibility("default"))) rlx_error*
rlx_plugin_entry_v1(const rlx_host* host, rlx_plugin* out);

extern "C" rlx_error* rlx_plugin_entry_v1(const rlx_host* host, rlx_plugin* out) {
    return enter(host, out);
}
