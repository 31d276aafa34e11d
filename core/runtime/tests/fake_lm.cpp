// SPDX-License-Identifier: GPL-3.0-only
#include "fake_lm.hpp"

#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/graph/graph.hpp"

#include <cstring>

namespace rlx::test {
namespace {

struct kv_row {
    float token, position;
};

// One term of the history's sum: differs for every (token, place, vocabulary entry). Small
// integers, so that sums in f32 are exact in any order.
float term(std::int64_t token, std::int64_t place, std::int64_t entry) {
    return static_cast<float>((token * 31 + place * 17 + token * place * 5 + entry * 7) % 101);
}

struct fake_buffer {
    std::vector<std::byte> bytes;
};

struct fake_program {
    fake_lm* owner;
    std::uint32_t page_tokens = 0;
    std::map<std::string, rlx_value, std::less<>> values;
};

fake_lm& self_of(void* p) {
    return *static_cast<fake_lm*>(p);
}

rlx_error* fail(std::uint32_t code, std::string_view message) {
    return host()->error_new(host()->ctx, code, str(message), nullptr);
}

// ---- family

rlx_error* family_open(void* self, rlx_weights*, const rlx_options* opts, void** model) {
    const rlx_options_v1* t = options_table();
    std::string& asked = self_of(self).asked;
    asked.clear();
    for (const char* key : {"compute", "kv", "max_seq", "infer.mode", "profile"}) {
        rlx_str text{};
        std::int64_t number = 0;
        std::uint32_t found = 0;
        if (rlx_error* e = std::string_view(key) == "max_seq"
                               ? t->get_i64(opts, str(key), &number, &found)
                               : t->get_str(opts, str(key), &text, &found))
            return e;
        const std::string said = text.p ? std::string(view(text)) : std::to_string(number);
        asked += (asked.empty() ? "" : " ") + (found ? said : std::string("none"));
    }
    self_of(self).open_models++;
    *model = self;
    return nullptr;
}

void family_close(void* self, void*) {
    self_of(self).open_models--;
}

rlx_error* family_info(void* self, void*, rlx_options* out) {
    const auto* t =
        static_cast<const rlx_options_v1*>(host()->iface(host()->ctx, str("rlx.options/1"), 0));
    if (rlx_error* e = t->set_i64(out, str("vocab_size"), self_of(self).reported_vocab)) return e;
    return t->set_i64(out, str("context_length"), self_of(self).context);
}

// A sticky-error builder, just enough for a legal graph with one KV slot.
class fake_builder {
public:
    explicit fake_builder(rlx_graph* g) : g_(g) {}

    rlx_value input(std::string_view name, std::uint32_t rank) {
        rlx_value out = 0;
        if (!error) error = t_->input(g_, str(name), RLX_I32, rank, nullptr, &out);
        return out;
    }

    rlx_value add(std::uint32_t op, std::vector<rlx_value> in, std::vector<rlx_attr> attrs) {
        rlx_value out = 0;
        if (!error)
            error = t_->add(
                g_,
                op,
                in.data(),
                static_cast<std::uint32_t>(in.size()),
                attrs.data(),
                static_cast<std::uint32_t>(attrs.size()),
                &out,
                1
            );
        return out;
    }

    static rlx_attr list(std::uint16_t key, const std::vector<std::int64_t>& v) {
        return {key, RLX_ATTR_LIST, 1, 0, 0, v.data(), v.size()};
    }

    static rlx_attr number(std::uint16_t key, std::int64_t v) {
        return {key, RLX_ATTR_I64, 1, v, 0, nullptr, 0};
    }

    static rlx_attr real(std::uint16_t key, double v) {
        return {key, RLX_ATTR_F64, 1, 0, v, nullptr, 0};
    }

    rlx_error* error = nullptr;

private:
    const rlx_graph_v1* t_ = graph_table();
    rlx_graph* g_;
};

rlx_error* family_build(void* self, void*, rlx_str, rlx_graph* g) {
    const rlx_graph_v1* t = graph_table();
    std::int64_t n_tokens = 0, n_rows = 0;
    // Declared by the host: the bounds are its business.
    rlx_value_info info{};
    info.size = sizeof(info);
    fake_builder b(g);
    const rlx_value tokens = b.input("tokens", 1), rows = b.input("rows", 1);
    if (b.error) return b.error;
    if (rlx_error* e = t->value(g, tokens, &info)) return e;
    n_tokens = info.dims[0];
    if (rlx_error* e = t->value(g, rows, &info)) return e;
    n_rows = info.dims[0];
    rlx_state_slot slot{sizeof(rlx_state_slot), RLX_STATE_KV, 1, 1, 1};
    rlx_value state = 0;
    if (rlx_error* e = t->state(g, str("kv"), &slot, &state)) return e;
    const std::vector<std::int64_t> cube{n_tokens, 1, 1}, column{n_tokens, 1},
        table{n_rows, self_of(self).vocab};
    using fb = fake_builder;
    const rlx_value x = b.add(RLX_OP_Cast, {tokens}, {fb::number(RLX_ATTR_dtype, RLX_F32)});
    if (const std::int64_t n = self_of(self).min_step; n > 0)
        b.add(
            RLX_OP_Slice,
            {x},
            {fb::number(RLX_ATTR_axis, 0),
             fb::number(RLX_ATTR_start, 0),
             fb::number(RLX_ATTR_stop, n)}
        );
    const rlx_value k = b.add(RLX_OP_Reshape, {x}, {fb::list(RLX_ATTR_dims, cube)});
    const rlx_value s = b.add(RLX_OP_KvAppend, {state, k, k, b.input("slots", 1)}, {});
    const rlx_value a = b.add(
        RLX_OP_AttentionState,
        {k, s, b.input("cu_seqlens", 1), b.input("kv_lengths", 1), b.input("block_table", 2)},
        {fb::real(RLX_ATTR_scale, 1)}
    );
    const rlx_value flat = b.add(RLX_OP_Reshape, {a}, {fb::list(RLX_ATTR_dims, column)});
    const rlx_value picked = b.add(RLX_OP_GatherRows, {flat, rows}, {});
    const rlx_value wide = b.add(RLX_OP_Broadcast, {picked}, {fb::list(RLX_ATTR_dims, table)});
    const rlx_value logits = b.add(RLX_OP_Copy, {wide}, {});
    if (b.error) return b.error;
    return t->output(g, str("logits"), logits);
}

const rlx_family_v1 family_table = {
    {sizeof(rlx_family_v1), 1, 0}, family_open, family_close, family_info, family_build};

// ---- backend

rlx_error*
backend_supports(void*, const rlx_graph*, const std::uint32_t*, std::uint64_t n, std::uint8_t* verdict, rlx_str*) {
    std::memset(verdict, RLX_YES, n);
    return nullptr;
}

rlx_error* backend_measure(void* device, const rlx_compile_args* args, rlx_memory* out) {
    const fake_lm& f = self_of(device);
    rlx_str kv{};
    std::uint32_t found = 0;
    if (rlx_error* e = options_table()->get_str(args->options, str("kv"), &kv, &found)) return e;
    if (found && !f.lacks_kv.empty() && view(kv) == f.lacks_kv)
        return fail(RLX_UNSUPPORTED, "fake: no cache of " + f.lacks_kv);
    out->weights = f.weight_bytes;
    out->mapped = f.mapped_bytes;
    out->scratch = f.scratch_bytes;
    return nullptr;
}

rlx_error* backend_compile(void* device, const rlx_compile_args* args, void** out) {
    fake_lm& f = self_of(device);
    f.compiles++;
    const auto* t =
        static_cast<const rlx_options_v1*>(host()->iface(host()->ctx, str("rlx.options/1"), 0));
    rlx_str text{};
    std::uint32_t found = 0;
    if (rlx_error* e = t->get_str(args->options, str("compute"), &text, &found)) return e;
    f.compute = view(text);
    if (rlx_error* e = t->get_str(args->options, str("kv"), &text, &found)) return e;
    f.kv = view(text);
    f.fuse = 1;
    if (rlx_error* e = options_table()->get_i64(args->options, str("fuse"), &f.fuse, &found))
        return e;
    if (args->progress) args->progress(args->progress_ctx, 1, 2);
    if (args->cancel && *args->cancel) return fail(RLX_CANCELLED, "cancelled while compiling");
    if (args->progress) args->progress(args->progress_ctx, 2, 2);
    auto* p = new fake_program{&f, args->page_tokens, {}};
    const rlx_graph_v1* g = graph_table();
    for (rlx_value v = 1; v <= g->value_count(args->graph); ++v) {
        rlx_value_info info{};
        info.size = sizeof(info);
        if (g->value(args->graph, v, &info) == nullptr && info.name.n > 0)
            p->values.emplace(std::string(view(info.name)), v);
    }
    f.programs++;
    *out = p;
    return nullptr;
}

void backend_program_free(void* device, void* program) {
    self_of(device).programs--;
    delete static_cast<fake_program*>(program);
}

rlx_error* backend_program_info(void*, void*, rlx_options* out) {
    const auto* t =
        static_cast<const rlx_options_v1*>(host()->iface(host()->ctx, str("rlx.options/1"), 0));
    return t->set_str(out, str("tier"), str("fake"));
}

// One run, with every promise of the host checked.
class fake_run {
public:
    fake_run(const fake_program& p, const rlx_run_args& args) : p_(p), args_(args) {}

    rlx_error* run() {
        tokens_ = ints("tokens");
        slots_ = ints("slots");
        cu_ = ints("cu_seqlens");
        kv_lengths_ = ints("kv_lengths");
        table_ = ints("block_table");
        rows_ = ints("rows");
        positions_ = ints("positions");
        lengths_ = ints("lengths");
        const rlx_binding& state = binding("kv");
        auto* bytes = reinterpret_cast<fake_buffer*>(state.buffer);
        kv_ = {
            reinterpret_cast<kv_row*>(bytes->bytes.data()), bytes->bytes.size() / sizeof(kv_row)};
        if (table_.size() % kv_lengths_.size() != 0 || cu_.size() != kv_lengths_.size() + 1)
            return fail(RLX_INTERNAL, "extents disagree");
        record();
        for (std::size_t t = 0; t < tokens_.size(); ++t)
            kv_[static_cast<std::size_t>(slots_[t])] = {
                static_cast<float>(tokens_[t]), static_cast<float>(positions_[t])};
        return logits();
    }

private:
    const rlx_binding& binding(std::string_view name) const {
        const rlx_value v = p_.values.find(name)->second;
        std::uint64_t i = 0;
        while (args_.bind[i].value != v)
            ++i;
        return args_.bind[i];
    }

    std::span<const std::int32_t> ints(std::string_view name) const {
        const rlx_binding& b = binding(name);
        return {static_cast<const std::int32_t*>(b.host), b.bytes / sizeof(std::int32_t)};
    }

    void record() const {
        fake_lm& f = *p_.owner;
        if (!f.record) return;
        const auto copy = [](std::span<const std::int32_t> s) {
            return std::vector<std::int32_t>(s.begin(), s.end());
        };
        f.steps.push_back(
            {copy(tokens_),
             copy(positions_),
             copy(lengths_),
             copy(rows_),
             static_cast<std::int64_t>(kv_lengths_.size()),
             static_cast<std::int64_t>(table_.size() / kv_lengths_.size())}
        );
    }

    rlx_error* logits() const {
        const auto vocab = static_cast<std::size_t>(p_.owner->vocab);
        const rlx_binding& out = binding("logits");
        if (out.bytes != rows_.size() * vocab * sizeof(float))
            return fail(RLX_INTERNAL, "logits of a wrong size");
        auto* dst = static_cast<float*>(out.host);
        for (std::size_t r = 0; r < rows_.size(); ++r) {
            std::size_t b = 0;
            while (cu_[b + 1] <= rows_[r])
                ++b;
            const std::int64_t place = kv_lengths_[b] - (cu_[b + 1] - rows_[r]);
            if (place != positions_[static_cast<std::size_t>(rows_[r])])
                return fail(RLX_INTERNAL, "position and length disagree");
            if (rlx_error* e = row(b, place, {dst + r * vocab, vocab})) return e;
        }
        return nullptr;
    }

    rlx_error* row(std::size_t b, std::int64_t place, std::span<float> out) const {
        const std::size_t width = table_.size() / kv_lengths_.size();
        std::fill(out.begin(), out.end(), 0.0F);
        const std::vector<std::int32_t>& script = p_.owner->script;
        if (!script.empty()) {
            const std::size_t at = std::min(static_cast<std::size_t>(place), script.size() - 1);
            out[static_cast<std::size_t>(script[at])] = 10;
            return nullptr;
        }
        for (std::int64_t j = 0; j <= place; ++j) {
            const auto page = static_cast<std::size_t>(
                table_[b * width + static_cast<std::size_t>(j / p_.page_tokens)]
            );
            const kv_row& kv =
                kv_[page * p_.page_tokens + static_cast<std::size_t>(j % p_.page_tokens)];
            if (kv.position != static_cast<float>(j))
                return fail(RLX_INTERNAL, "a page holds another sequence's row");
            for (std::size_t v = 0; v < out.size(); ++v)
                out[v] +=
                    term(static_cast<std::int64_t>(kv.token), j, static_cast<std::int64_t>(v));
        }
        return nullptr;
    }

    const fake_program& p_;
    const rlx_run_args& args_;
    std::span<const std::int32_t> tokens_, slots_, cu_, kv_lengths_, table_, rows_, positions_,
        lengths_;
    std::span<kv_row> kv_;
};

rlx_error* backend_run(void* device, void* program, const rlx_run_args* args) {
    fake_lm& f = self_of(device);
    const int number = f.runs++;
    if (number == f.fail_at_run) return fail(RLX_DEVICE_LOST, "the fake was told to fail");
    if (number == f.cancel_at_run) f.cancel = 1;
    if (args->cancel && *args->cancel) return fail(RLX_CANCELLED, "cancelled in a run");
    return fake_run(*static_cast<const fake_program*>(program), *args).run();
}

rlx_error*
backend_page_bytes(void*, const rlx_compile_args* args, rlx_value, std::uint64_t* bytes) {
    *bytes = args->page_tokens * sizeof(kv_row);
    return nullptr;
}

rlx_error* backend_alloc(void* device, std::uint64_t bytes, rlx_buffer** out) {
    self_of(device).buffers++;
    *out = reinterpret_cast<rlx_buffer*>(new fake_buffer{
        std::vector<std::byte>(bytes, std::byte{0xff})});
    return nullptr;
}

void backend_free(void* device, rlx_buffer* b) {
    self_of(device).buffers--;
    delete reinterpret_cast<fake_buffer*>(b);
}

rlx_error* backend_copy(
    void* device,
    rlx_buffer* dst,
    std::uint64_t dst_off,
    rlx_buffer* src,
    std::uint64_t src_off,
    std::uint64_t n
) {
    self_of(device).copies++;
    std::memcpy(
        reinterpret_cast<fake_buffer*>(dst)->bytes.data() + dst_off,
        reinterpret_cast<fake_buffer*>(src)->bytes.data() + src_off,
        n
    );
    return nullptr;
}

std::uint32_t backend_count(void* self) {
    return self_of(self).devices;
}

rlx_error* backend_info(void* self, std::uint32_t, rlx_options* out) {
    const auto* t =
        static_cast<const rlx_options_v1*>(host()->iface(host()->ctx, str("rlx.options/1"), 0));
    auto& software = static_cast<fake_lm*>(self)->software;
    if (!software.empty()) {
        if (rlx_error* e = t->set_i64(out, str("software"), software.back())) return e;
        software.pop_back();
    }
    return t->set_str(out, str("description"), str("a device of the test"));
}

rlx_error* backend_open(void* self, std::uint32_t, const rlx_options* opts, void** device) {
    const auto* t =
        static_cast<const rlx_options_v1*>(host()->iface(host()->ctx, str("rlx.options/1"), 0));
    rlx_str tier{};
    std::uint32_t found = 0;
    if (rlx_error* e = t->get_str(opts, str("tier"), &tier, &found)) return e;
    if (found && view(tier) != "fake") return fail(RLX_UNSUPPORTED, "no such tier on this machine");
    self_of(self).open_devices++;
    *device = self;
    return nullptr;
}

void backend_close(void* self, void*) {
    self_of(self).open_devices--;
}

rlx_backend_v1 make_backend() {
    rlx_backend_v1 t{};
    t.hdr = {sizeof(t), 1, 0};
    t.device_count = backend_count;
    t.device_info = backend_info;
    t.open = backend_open;
    t.close = backend_close;
    t.supports = backend_supports;
    t.measure = backend_measure;
    t.compile = backend_compile;
    t.program_free = backend_program_free;
    t.program_info = backend_program_info;
    t.run = backend_run;
    t.page_bytes = backend_page_bytes;
    t.alloc = backend_alloc;
    t.free = backend_free;
    t.copy = backend_copy;
    return t;
}

} // namespace

lm_model::parts fake_lm::parts() {
    static const rlx_backend_v1 backend_table = make_backend();
    return {nullptr, &family_table, this, &backend_table, this, this, 0};
}

std::vector<float> fake_logits(std::span<const std::int32_t> history, std::int64_t vocab) {
    std::vector<float> out(static_cast<std::size_t>(vocab));
    for (std::size_t j = 0; j < history.size(); ++j)
        for (std::size_t v = 0; v < out.size(); ++v)
            out[v] += term(history[j], static_cast<std::int64_t>(j), static_cast<std::int64_t>(v));
    return out;
}

} // namespace rlx::test
