// SPDX-License-Identifier: GPL-3.0-only
#include "store.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <sys/mman.h>

namespace rlx::cpu {

namespace {

constexpr std::uint64_t piece_bytes = 1u << 20; // of a weight, read by one thread at a time

std::uint64_t up64(std::uint64_t n) {
    return (n + 63) & ~std::uint64_t{63};
}

// Rows [first, first + count) of one group of one weight.
struct piece {
    const packed_weight* weight;
    const rlx_bytes* view;
    std::int64_t group;
    std::int64_t first;
    std::int64_t count;
    std::size_t index; // of the weight
};

struct load_state {
    const rlx_weights_v1* api;
    const rlx_weights* checkpoint;
    const rlx_compile_args* args;
    std::vector<piece> pieces;
    std::vector<std::atomic<std::int64_t>> left; // pieces of each weight that are not packed yet
    std::uint64_t buffer_bytes = 0;
    std::uint64_t total = 0;
    std::atomic<std::size_t> next{0};
    std::atomic<std::uint64_t> done{0};
    std::atomic<rlx_error*> error{nullptr};
    std::atomic<bool> stop{false};

    explicit load_state(std::size_t weights) : left(weights) {}
};

// Keeps the first error, frees the others.
void keep_error(load_state& s, rlx_error* e) {
    rlx_error* none = nullptr;
    if (!s.error.compare_exchange_strong(none, e)) sdk::host()->error_free(e);
    s.stop.store(true);
}

// n floats of the file's type, rounded to nearest even.
void round_to_bf16(std::uint16_t from, const char* src, std::uint64_t n, std::uint16_t* out) {
    for (std::uint64_t i = 0; i < n; ++i) {
        float x = 0;
        if (from == RLX_F32) {
            std::memcpy(&x, src + i * 4, 4);
        } else if (from == RLX_F16) {
            _Float16 half;
            std::memcpy(&half, src + i * 2, 2);
            x = static_cast<float>(half);
        } else {
            double wide;
            std::memcpy(&wide, src + i * 8, 8);
            x = static_cast<float>(wide);
        }
        std::uint32_t u;
        std::memcpy(&u, &x, 4);
        const std::uint32_t nan = u & 0x7fffffffu;
        out[i] = static_cast<std::uint16_t>(
            nan > 0x7f800000u ? (u >> 16) | 0x40u : (u + 0x7fffu + (u >> 16 & 1u)) >> 16
        );
    }
}

// n doubles of the file.
void round_to_f32(const char* src, std::uint64_t n, char* out) {
    for (std::uint64_t i = 0; i < n; ++i) {
        double wide;
        std::memcpy(&wide, src + i * 8, 8);
        const auto x = static_cast<float>(wide);
        std::memcpy(out + i * 4, &x, 4);
    }
}

bool raised(const rlx_compile_args& a) {
    return a.cancel && *a.cancel;
}

sdk::error cancelled() {
    return sdk::fail(RLX_CANCELLED, "cancelled while loading weights");
}

rlx_error* pack_piece(load_state& s, const piece& p, std::vector<char>& buffer) {
    const packed_weight& w = *p.weight;
    const std::uint64_t first =
        static_cast<std::uint64_t>(w.first_row + p.group * w.mm.desc.rows + p.first);
    const std::uint64_t count = static_cast<std::uint64_t>(p.count);
    const char* src = nullptr;
    if (w.constant) {
        src = w.constant + first * w.row_bytes;
    } else if (p.view->p) {
        src = static_cast<const char*>(p.view->p) + first * w.row_bytes;
    } else {
        if (rlx_error* e = s.api->read_rows(
                s.checkpoint,
                w.name,
                first * static_cast<std::uint64_t>(w.file_rows),
                count * static_cast<std::uint64_t>(w.file_rows),
                buffer.data(),
                count * w.row_bytes
            )) {
            return e;
        }
        src = buffer.data();
    }
    std::vector<char> rounded;
    if (w.round) {
        const auto n = static_cast<std::uint64_t>(p.count * w.mm.desc.cols);
        if (w.mm.desc.dtype == RLX_BF16) {
            rounded.resize(n * 2);
            round_to_bf16(w.from, src, n, reinterpret_cast<std::uint16_t*>(rounded.data()));
        } else {
            rounded.resize(n * 4);
            round_to_f32(src, n, rounded.data());
        }
        src = rounded.data();
    }
    mm_pack(w.mm, p.group, p.first, p.count, src);
    if (s.left[p.index].fetch_sub(1) == 1 && !w.constant && RLX_HAS(s.api, release)) {
        s.api->release(s.checkpoint, w.name);
    }
    return nullptr;
}

void load_thread(load_state& s, std::uint32_t thread) {
    std::vector<char> buffer(s.buffer_bytes);
    const rlx_compile_args& a = *s.args;
    while (!s.stop.load(std::memory_order_relaxed)) {
        const std::size_t i = s.next.fetch_add(1);
        if (i >= s.pieces.size()) return;
        if (raised(a)) {
            s.stop.store(true);
            return;
        }
        const piece& p = s.pieces[i];
        if (rlx_error* e = pack_piece(s, p, buffer)) return keep_error(s, e);
        const std::uint64_t bytes = static_cast<std::uint64_t>(p.count) * p.weight->row_bytes;
        const std::uint64_t done = s.done.fetch_add(bytes) + bytes;
        if (thread == 0 && a.progress) a.progress(a.progress_ctx, done, s.total);
    }
}

rlx_error* load_plain(
    const rlx_weights_v1& api, const rlx_weights* checkpoint, const plain_weight& w, char* dst
) {
    *w.place = dst;
    if (w.constant.p) {
        std::memcpy(dst, w.constant.p, w.bytes);
        return nullptr;
    }
    const auto rows = static_cast<std::uint64_t>(w.rows);
    if (w.to_f32) {
        return api.read_f32(checkpoint, w.name, 0, rows, reinterpret_cast<float*>(dst));
    }
    return api.read_rows(checkpoint, w.name, 0, rows, dst, w.bytes);
}

} // namespace

arena::~arena() {
    if (data_) munmap(data_, bytes_);
}

bool arena::make(std::uint64_t bytes) {
    if (bytes == 0) return true;
    void* p = mmap(
        nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0
    );
    if (p == MAP_FAILED) return false;
    // Four-kilobyte pages would cost a TLB miss for every few rows of a large weight.
    if (bytes >= (4u << 20)) madvise(p, bytes, MADV_HUGEPAGE);
    data_ = static_cast<char*>(p);
    bytes_ = bytes;
    return true;
}

packed_weight* weight_store::add(const packed_weight& w) {
    for (packed_weight& have : packed_) {
        const mm_weight& a = have.mm.desc;
        const mm_weight& b = w.mm.desc;
        if (have.root == w.root && have.first_row == w.first_row && a.groups == b.groups &&
            a.rows == b.rows && a.cols == b.cols) {
            return &have;
        }
    }
    packed_.push_back(w);
    packed_.back().offset = total_;
    total_ += up64(w.mm.bytes);
    return &packed_.back();
}

const mm_packed* weight_store::add(const arranged_weight& w) {
    for (const arranged_weight& have : arranged_) {
        if (have.root == w.root && have.rows.taps == w.rows.taps &&
            have.mm.desc.groups == w.mm.desc.groups && have.mm.desc.rows == w.mm.desc.rows &&
            have.rows.row_step == w.rows.row_step)
            return &have.mm;
    }
    arranged_.push_back(w);
    arranged_.back().offset = total_;
    total_ += up64(w.mm.bytes);
    return &arranged_.back().mm;
}

void gathered_rows::pack(
    const mm_packed& mm,
    const float* w,
    std::int64_t group,
    std::int64_t first,
    std::int64_t n,
    float* temp
) const {
    float* to = temp;
    for (std::int64_t r = first; r < first + n; ++r) {
        const float* row = w + group * group_step + r * row_step;
        for (std::int64_t c = 0; c < channels; ++c)
            for (std::int64_t t : taps)
                *to++ = row[c * channel_step + t];
    }
    mm_pack(mm, group, first, n, temp);
}

std::uint64_t weight_store::arranged_bytes() const {
    std::uint64_t n = 0;
    for (const arranged_weight& w : arranged_)
        n += w.bytes();
    return n;
}

// A whole tensor at a time is held as f32 beside what is packed already.
sdk::status weight_store::load_arranged(
    const rlx_weights* checkpoint, const rlx_compile_args& args, std::uint64_t total
) {
    const auto* api = sdk::service<rlx_weights_v1>();
    std::vector<float> values;
    rlx_str held{nullptr, 0};
    std::uint64_t done = 0;
    for (std::size_t i = 0; i < arranged_.size(); ++i) {
        arranged_weight& w = arranged_[i];
        w.mm.data = memory_.data() + w.offset;
        const auto* source = static_cast<const float*>(w.constant.p);
        if (!source) {
            if (held.p != w.name.p) {
                values.resize(static_cast<std::size_t>(w.count));
                const auto rows = static_cast<std::uint64_t>(w.last ? w.count / w.last : 0);
                RLX_CHECK(sdk::check(api->read_f32(checkpoint, w.name, 0, rows, values.data())));
                held = w.name;
            }
            source = values.data();
        }
        const std::int64_t step = w.mm.row_step, per = (w.mm.desc.rows + step - 1) / step;
        const std::int64_t units = w.mm.desc.groups * per;
        std::atomic<std::int64_t> next{0};
        std::atomic<rlx_error*> failed{nullptr};
        sdk::parallel([&](sdk::team) noexcept {
            rlx_error* e = sdk::guarded([&] {
                std::vector<float> temp(static_cast<std::size_t>(step * w.rows.cols()));
                for (std::int64_t u; !raised(args) && (u = next.fetch_add(1)) < units;) {
                    const std::int64_t first = u % per * step;
                    const std::int64_t n = std::min(step, w.mm.desc.rows - first);
                    w.rows.pack(w.mm, source, u / per, first, n, temp.data());
                }
            });
            rlx_error* none = nullptr;
            if (e && !failed.compare_exchange_strong(none, e)) sdk::host()->error_free(e);
        });
        if (rlx_error* e = failed.load()) return sdk::from_wall(e);
        if (raised(args)) return cancelled();
        // The jobs of one convolution follow each other and share the tensor.
        const bool last = i + 1 == arranged_.size() || arranged_[i + 1].root != w.root;
        const bool again = std::any_of(packed_.begin(), packed_.end(), [&](const auto& p) {
            return p.root == w.root;
        });
        if (last && !again && !w.constant.p && RLX_HAS(api, release))
            api->release(checkpoint, w.name);
        done += w.bytes();
        if (args.progress) args.progress(args.progress_ctx, done, total);
    }
    return {};
}

void weight_store::add(const plain_weight& w) {
    plain_.push_back(w);
    plain_.back().offset = total_;
    total_ += up64(w.bytes);
}

sdk::status weight_store::load(const rlx_weights* checkpoint, const rlx_compile_args& args) {
    const auto* api = sdk::service<rlx_weights_v1>();
    if (!memory_.make(total_)) {
        return sdk::fail(RLX_OUT_OF_MEMORY, "no memory for {} bytes of weights", total_);
    }
    for (const plain_weight& w : plain_) {
        RLX_CHECK(sdk::check(load_plain(*api, checkpoint, w, memory_.data() + w.offset)));
    }
    load_state s(packed_.size());
    s.api = api;
    s.checkpoint = checkpoint;
    s.args = &args;
    std::vector<rlx_bytes> views(packed_.size(), rlx_bytes{nullptr, 0});
    std::size_t index = 0;
    for (packed_weight& w : packed_) {
        w.mm.data = memory_.data() + w.offset;
        if (!w.constant) {
            RLX_CHECK(sdk::check(api->view(checkpoint, w.name, &views[index])));
            const mm_weight& d = w.mm.desc;
            const auto rows = static_cast<std::uint64_t>(w.first_row + d.groups * d.rows);
            if (views[index].p && views[index].n / w.row_bytes < rows) {
                return sdk::fail(
                    RLX_CORRUPT_DATA,
                    "'{}' has {} bytes, {} rows of {} are needed",
                    w.name,
                    views[index].n,
                    rows,
                    w.row_bytes
                );
            }
        }
        const std::int64_t unit = w.mm.row_step;
        const auto fit = static_cast<std::int64_t>(piece_bytes / (w.row_bytes ? w.row_bytes : 1));
        const std::int64_t rows = fit / unit > 0 ? fit / unit * unit : unit;
        for (std::int64_t g = 0; g < w.mm.desc.groups; ++g) {
            for (std::int64_t r = 0; r < w.mm.desc.rows; r += rows) {
                const std::int64_t n = w.mm.desc.rows - r < rows ? w.mm.desc.rows - r : rows;
                s.pieces.push_back({&w, &views[index], g, r, n, index});
                s.left[index].fetch_add(1);
                s.total += static_cast<std::uint64_t>(n) * w.row_bytes;
                if (!views[index].p && !w.constant) {
                    s.buffer_bytes =
                        std::max(s.buffer_bytes, static_cast<std::uint64_t>(n) * w.row_bytes);
                }
            }
        }
        ++index;
    }
    s.done = arranged_bytes();
    s.total += arranged_bytes();
    RLX_CHECK(load_arranged(checkpoint, args, s.total));
    sdk::parallel([&](sdk::team t) noexcept {
        rlx_error* e = sdk::guarded([&] { load_thread(s, t.thread); });
        if (e) keep_error(s, e);
    });
    if (rlx_error* e = s.error.load()) return sdk::from_wall(e);
    if (raised(args)) return cancelled();
    if (args.progress) args.progress(args.progress_ctx, s.total, s.total);
    return {};
}

} // namespace rlx::cpu
