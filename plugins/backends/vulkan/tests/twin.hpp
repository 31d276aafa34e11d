// SPDX-License-Identifier: GPL-3.0-only
// One graph on two backends: what the CPU computes exactly is what Vulkan has to give. Skips where
// no Vulkan device is.
#pragma once

#include "net.hpp"

#include <filesystem>
#include <unistd.h>

extern "C" rlx_error* rlx_plugin_entry_v1_rlx_vulkan(const rlx_host* host, rlx_plugin* out);

namespace rlx::vulkan_test {

using cpu_test::attr;
using cpu_test::dim;
using cpu_test::memory_weights;
using cpu_test::net;
using cpu_test::numbers;
using cpu_test::session;
using cpu_test::setup;

inline const rlx_backend_v1& vulkan_backend() {
    static const rlx_backend_v1* table = [] {
        (void)cpu_test::backend(); // provides the host's services
        rlx_plugin p{};
        p.hdr.size = sizeof p;
        if (rlx_error* e = rlx_plugin_entry_v1_rlx_vulkan(host(), &p))
            ADD_FAILURE() << from_wall(e).message;
        return static_cast<const rlx_backend_v1*>(p.iface(p.self, str("rlx.backend/1"), 0));
    }();
    return *table;
}

// Why there is no device; empty when there is one.
inline std::string no_device() {
    static const std::string why =
        vulkan_backend().device_count(nullptr) ? "" : "no Vulkan device on this machine";
    return why;
}

class vulkan : public testing::Test {
protected:
    void SetUp() override {
        if (!no_device().empty()) GTEST_SKIP() << no_device();
    }
};

// A graph with inputs, run on both backends; every output is compared.
class twin {
public:
    memory_weights weights;
    net n{&weights};
    std::vector<std::pair<std::string_view, dim>> extents;
    std::string kv = "f32";
    std::uint32_t page_tokens = 16;
    int max_binding = 0;          // bytes that the device binds at once; 0 = its own limit
    double limit = 2e-5;          // of cpu_test::distance
    std::string refusal;          // of the Vulkan backend, when it refuses a node
    std::vector<std::string> log; // what it refused

    // An f32 input with random numbers.
    rlx_value in(std::vector<dim> dims, float lo = -2, float hi = 2) {
        std::size_t count = 1;
        for (const dim d : dims)
            count *= static_cast<std::size_t>(d);
        return fed(dims, numbers(count, ++seed_, lo, hi));
    }

    // Symbolic dims, with the data for this run.
    rlx_value fed(std::vector<dim> dims, std::vector<float> data) {
        const rlx_value v = n.in("x" + std::to_string(n_inputs_++), RLX_F32, std::move(dims));
        f32_[v] = std::move(data);
        return v;
    }

    rlx_value ids(std::vector<dim> dims, std::vector<std::int32_t> data) {
        const rlx_value v = n.in("x" + std::to_string(n_inputs_++), RLX_I32, std::move(dims));
        i32_[v] = std::move(data);
        return v;
    }

    rlx_value state(dim heads, dim k, dim v, std::uint64_t pages) {
        const rlx_value s = n.state("kv" + std::to_string(states_.size()), heads, k, v);
        states_.emplace_back(s, pages);
        return s;
    }

    void out(rlx_value v, std::size_t elements, bool whole = false) {
        n.output("y" + std::to_string(outs_.size()), v);
        outs_[v] = elements;
        whole_[v] = whole;
    }

    void data(rlx_value v, std::vector<float> x) { f32_[v] = std::move(x); }

    void data(rlx_value v, std::vector<std::int32_t> x) { i32_[v] = std::move(x); }

    // Compiles for both, once.
    void build() {
        if (mine_) return;
        setup s;
        s.kv = kv;
        s.page_tokens = page_tokens;
        s.api = &vulkan_backend();
        s.max_binding = max_binding;
        mine_ = std::make_unique<session>(n, s);
        ASSERT_EQ(mine_->error, "");
        s.api = nullptr;
        s.max_binding = 0;
        s.finished = true;
        theirs_ = std::make_unique<session>(n, s);
        ASSERT_EQ(theirs_->error, "");
        for (auto& [v, pages] : states_) {
            mine_->pages(v, pages);
            theirs_->pages(v, pages);
        }
    }

    // Error texts of the last run.
    std::string mine_error, theirs_error;

    void run() {
        build();
        if (!mine_ || !theirs_) return;
        for (auto* s : {mine_.get(), theirs_.get()}) {
            for (auto& [v, x] : f32_)
                s->set(v, x);
            for (auto& [v, x] : i32_)
                s->set(v, x);
        }
        mine_error = mine_->run(extents, outs_);
        theirs_error = theirs_->run(extents, outs_);
    }

    void same() {
        run();
        ASSERT_EQ(mine_error, "");
        ASSERT_EQ(theirs_error, "");
        for (auto& [v, count] : outs_) {
            if (whole_[v])
                EXPECT_EQ(mine_->i32(v), theirs_->i32(v));
            else
                EXPECT_LE(cpu_test::distance(mine_->f32(v), theirs_->f32(v)), limit);
        }
    }

    void resize(rlx_value v, std::size_t elements) { outs_[v] = elements; }

    session& mine() { return *mine_; }

    session& theirs() { return *theirs_; }

private:
    std::uint32_t seed_ = 0;
    int n_inputs_ = 0;
    std::map<rlx_value, std::vector<float>> f32_;
    std::map<rlx_value, std::vector<std::int32_t>> i32_;
    std::vector<std::pair<rlx_value, std::uint64_t>> states_;
    std::map<rlx_value, std::size_t> outs_;
    std::map<rlx_value, bool> whole_;
    std::unique_ptr<session> mine_, theirs_;
};

} // namespace rlx::vulkan_test
