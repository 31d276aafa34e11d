// SPDX-License-Identifier: GPL-3.0-only
// From a family's plugin to a finished graph: what all kinds of models have in common.
#pragma once

#include "rlx/base/options.hpp"
#include "rlx/base/result.hpp"
#include "rlx/graph/graph.hpp"
#include "rlx/runtime/parts.hpp"

#include <atomic>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

error lacks_member(std::string_view table, std::string_view member);

// RLX_VERSION_MISMATCH naming the first member that building, compiling and running need and a
// table lacks.
result<void> check_tables(const model_parts& p);

// The family's model; closed by the destructor, the graphs it built stay.
class family_model {
public:
    // asked: see rlx_family_v1.open.
    static result<family_model> open(const model_parts& p, options& asked);
    family_model(family_model&& other) noexcept;
    ~family_model();

    result<options> info() const;
    result<void> build(std::string_view name, rlx_graph* g) const;

private:
    family_model(const model_parts& p, void* model) : parts_(&p), model_(model), open_(true) {}

    const model_parts* parts_;
    void* model_;
    bool open_;
};

// Where the host's symbols (names) stand among the graph's: places[i] is the place of names[i].
// extents gets one number per symbol of the graph; another symbol must have a single value, which
// is filled in.
result<void> find_symbols(
    const graph& g,
    std::span<const std::string_view> names,
    std::span<std::uint32_t> places,
    std::vector<std::int64_t>& extents
);

// A limit and what is under it.
struct memory_limit {
    device_memory need; // of one device, or of those that share the limit
    std::uint64_t bytes = 0;
    std::string what; // "max_memory_gb allows"

    bool exceeded() const; // also when the sum of need overflows
};

// A device with memory of its own has that; all others share what the machine has available; the
// user's own limit (0: none) is for all together.
std::vector<memory_limit>
memory_limits(const model_parts& p, std::span<const device_memory> devices, double max_memory_gb);

// Sums that stay at 2^64 - 1.
device_memory together(std::span<const device_memory> devices);

// Device memory of one model.
class device_buffer {
public:
    device_buffer() = default;
    static result<device_buffer> make(const compute_device& d, std::uint64_t bytes);
    device_buffer(device_buffer&& other) noexcept;
    device_buffer& operator=(device_buffer&& other) noexcept;
    ~device_buffer();

    rlx_buffer* get() const { return buffer_; }

private:
    const rlx_backend_v1* backend_ = nullptr;
    void* device_ = nullptr;
    rlx_buffer* buffer_ = nullptr;
};

// rlx_progress_fn over a pointer to this function; an empty one is fine.
using progress_function = std::function<void(std::uint64_t done, std::uint64_t total)>;
void report_progress(void* function, std::uint64_t done, std::uint64_t total);

// The wall's flag is a plain word; the host raises it from another thread or a signal handler.
const volatile std::uint32_t* plain(const std::atomic<std::uint32_t>* flag);

// "3 tensors of FILE are not used by the model: ..."; empty when all are. Names in `expected` are
// no news.
std::string unused_tensors(const weights& w, std::initializer_list<std::string_view> expected = {});

} // namespace rlx
