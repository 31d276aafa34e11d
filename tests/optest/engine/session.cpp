// SPDX-License-Identifier: GPL-3.0-only
#include "session.hpp"

#include "rlx/base/wall.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <numeric>

namespace optest {
namespace {

constexpr std::size_t guard = 256;   // bytes around host memory
constexpr std::uint64_t tail = 4096; // bytes behind device memory
constexpr unsigned char sentinel = 0xa7;

void check(rlx_error* e, std::string_view doing) {
    if (!e) return;
    const rlx::error err = rlx::from_wall(e);
    if (err.code == RLX_UNSUPPORTED) throw refused{err.message};
    throw broken{fmt::format("{}: {}", doing, err.message)};
}

} // namespace

void session::memory::make(std::size_t size, unsigned char stain) {
    n = size;
    bytes.assign(size + 2 * guard, sentinel);
    std::fill_n(bytes.begin() + guard, size, stain);
}

unsigned char* session::memory::data() {
    return bytes.data() + guard;
}

bool session::memory::intact() const {
    const auto is = [](unsigned char b) { return b == sentinel; };
    const auto behind = bytes.begin() + static_cast<std::ptrdiff_t>(guard + n);
    return std::all_of(bytes.begin(), bytes.begin() + guard, is) &&
           std::all_of(behind, bytes.end(), is);
}

session::session(device& d, model& m, const setup& how) : device_(d), m_(m), how_(how) {
    try {
        finish();
        compile();
        allocate();
    } catch (...) {
        release();
        throw;
    }
}

session::~session() {
    release();
}

void session::release() {
    const rlx_backend_v1& t = device_.api();
    if (program_) t.program_free(device_.handle(), program_);
    if (scratch_) t.free(device_.handle(), scratch_);
    for (const auto& [b, n] : states_)
        t.free(device_.handle(), b);
    program_ = nullptr;
    scratch_ = nullptr;
    states_.clear();
}

void session::finish() {
    const rlx_backend_v1& t = device_.api();
    const rlx_graph_v1& api = *rlx::graph_table();
    rlx::graph& g = m_.graph();
    const auto claims = [&](std::span<const std::uint32_t> nodes,
                            std::span<std::uint8_t> verdict,
                            std::span<std::string> why) -> rlx::result<void> {
        std::vector<rlx_str> reason(nodes.size());
        RLX_CHECK(rlx::check_wall(t.supports(
            device_.handle(), g.handle(), nodes.data(), nodes.size(), verdict.data(), reason.data()
        )));
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            why[i] = std::string(rlx::view(reason[i]));
            if (verdict[i] == RLX_YES) continue;
            rlx_node_info n{};
            n.size = sizeof n;
            RLX_CHECK(rlx::check_wall(api.node(g.handle(), nodes[i], &n)));
            refusals_.emplace_back(n.op, why[i].empty() ? "no reason given" : why[i]);
        }
        return {};
    };
    rlx::finish_options o;
    o.composites = how_.composites;
    auto done = g.finish(claims, o);
    if (!done.ok()) {
        if (done.error().code == RLX_UNSUPPORTED) throw refused{done.error().message};
        throw broken{"finish: " + done.error().message};
    }
    nodes_.resize(api.node_count(g.handle()));
    std::iota(nodes_.begin(), nodes_.end(), 0);
}

void session::compile() {
    const rlx_backend_v1& t = device_.api();
    options_.set_string("compute", how_.compute).set_string("kv", how_.kv);
    if (!how_.fuse) options_.set_int("fuse", 0);
    args_.size = sizeof args_;
    args_.page_tokens = static_cast<std::uint32_t>(m_.page_tokens);
    args_.graph = m_.graph().handle();
    args_.nodes = nodes_.data();
    args_.n_nodes = nodes_.size();
    args_.options = options_.handle();
    rlx_memory measured{};
    measured.size = sizeof measured;
    check(t.measure(device_.handle(), &args_, &measured), "measure");
    scratch_bytes_ = m_.graph().scratch_bytes() + measured.scratch;
    check(t.compile(device_.handle(), &args_, &program_), "compile");
}

void session::allocate() {
    const rlx_backend_v1& t = device_.api();
    check(t.alloc(device_.handle(), scratch_bytes_ + tail, &scratch_), "alloc");
    for (const rlx_value v : m_.states) {
        std::uint64_t page = 0;
        check(t.page_bytes(device_.handle(), &args_, v, &page), "page_bytes");
        const std::uint64_t n = page * static_cast<std::uint64_t>(m_.pages);
        states_.emplace_back(nullptr, n);
        check(t.alloc(device_.handle(), n + tail, &states_.back().first), "alloc");
        stain_buffer(states_.back().first, n, how_.state_stain);
    }
}

bool session::has_op(std::uint16_t op) const {
    const rlx_graph_v1& api = *rlx::graph_table();
    return std::any_of(nodes_.begin(), nodes_.end(), [&](std::uint32_t i) {
        rlx_node_info n{};
        n.size = sizeof n;
        must(api.node(m_.graph().handle(), i, &n));
        return n.op == op;
    });
}

std::string session::info(std::string_view key) const {
    const rlx_backend_v1* t = &device_.api();
    rlx::options o;
    if (!RLX_HAS(t, program_info)) return {};
    check(t->program_info(device_.handle(), program_, o.handle()), "program_info");
    return std::string(o.get_string(key).value_or(""));
}

// Contents of what nobody has written yet, and a sentinel behind it.
void session::stain_buffer(rlx_buffer* b, std::uint64_t n, unsigned char stain) {
    const rlx_backend_v1* t = &device_.api();
    if (!RLX_HAS(t, upload)) return;
    constexpr std::uint64_t piece = 16 << 20;
    const std::vector<unsigned char> dirt(std::min(n, piece), stain), last(tail, sentinel);
    for (std::uint64_t at = 0; at < n; at += piece)
        check(t->upload(device_.handle(), b, at, {dirt.data(), std::min(n - at, piece)}), "upload");
    check(t->upload(device_.handle(), b, n, {last.data(), last.size()}), "upload");
}

void session::check_buffer(rlx_buffer* b, std::uint64_t n, const std::string& what) {
    const rlx_backend_v1* t = &device_.api();
    if (!RLX_HAS(t, upload) || !RLX_HAS(t, download)) return;
    std::vector<unsigned char> last(tail);
    check(t->download(device_.handle(), b, n, last.data(), tail), "download");
    if (std::any_of(last.begin(), last.end(), [](unsigned char x) { return x != sentinel; }))
        throw broken{"wrote behind the end of " + what};
}

void session::bind(const feed& f, unsigned char stain) {
    const rlx_graph_v1& api = *rlx::graph_table();
    extents_ = m_.extents(f);
    bindings_.clear();
    host_.clear();
    out_.clear();
    for (const auto& [v, t] : f.inputs) {
        const auto bytes = ref::encode(t.dtype, t.data);
        host_[v].make(bytes.size(), 0);
        if (!bytes.empty()) std::memcpy(host_[v].data(), bytes.data(), bytes.size());
        bindings_.push_back({v, 0, host_[v].data(), nullptr, bytes.size()});
    }
    for (std::size_t i = 0; i < states_.size(); ++i)
        bindings_.push_back({m_.states[i], 0, nullptr, states_[i].first, states_[i].second});
    for (const rlx_value v : m_.outputs) {
        const rlx_value_info what = m_.info(v);
        ref::dims shape(what.rank);
        must(api.eval_dims(
            m_.graph().handle(),
            extents_.data(),
            static_cast<std::uint32_t>(extents_.size()),
            what.dims,
            what.rank,
            shape.data()
        ));
        out_[v].make(ref::bytes_of(what.dtype, ref::count(shape)), stain);
        bindings_.push_back({v, 0, out_[v].data(), nullptr, out_[v].n});
    }
}

void session::call() {
    rlx_run_args r{};
    r.size = sizeof r;
    r.n_extents = static_cast<std::uint32_t>(extents_.size());
    r.extents = extents_.data();
    r.bind = bindings_.data();
    r.n_bind = bindings_.size();
    r.bind_stride = sizeof(rlx_binding);
    r.scratch = scratch_;
    rlx_error* e = device_.api().run(device_.handle(), program_, &r);
    if (!e) return;
    const rlx::error err = rlx::from_wall(e);
    throw run_failed{err.code, err.message};
}

void session::again() {
    call();
}

outputs session::run(const feed& f, unsigned char stain) {
    const rlx_graph_v1& api = *rlx::graph_table();
    bind(f, stain);
    stain_buffer(scratch_, scratch_bytes_, stain);
    call();
    for (const auto& [v, t] : f.inputs) {
        const auto bytes = ref::encode(t.dtype, t.data);
        if (!bytes.empty() && std::memcmp(bytes.data(), host_[v].data(), bytes.size()) != 0)
            throw broken{"wrote into an input"};
        if (!host_[v].intact()) throw broken{"wrote outside an input"};
    }
    check_buffer(scratch_, scratch_bytes_, "scratch");
    for (const auto& [b, n] : states_)
        check_buffer(b, n, "a state");
    outputs out;
    for (std::size_t i = 0; i < m_.outputs.size(); ++i) {
        const rlx_value v = m_.outputs[i];
        if (!out_[v].intact()) throw broken{fmt::format("wrote outside output {}", i)};
        const rlx_value_info what = m_.info(v);
        ref::tensor t(what.dtype, ref::dims(what.rank));
        must(api.eval_dims(
            m_.graph().handle(),
            extents_.data(),
            static_cast<std::uint32_t>(extents_.size()),
            what.dims,
            what.rank,
            t.shape.data()
        ));
        t.data = ref::decode(what.dtype, out_[v].data(), ref::count(t.shape));
        out.push_back(std::move(t));
    }
    return out;
}

} // namespace optest
