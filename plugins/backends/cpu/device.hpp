// SPDX-License-Identifier: GPL-3.0-only
// The machine's processor as a device: one tier, chosen at open, for everything it computes.
#pragma once

#include "buffer.hpp"
#include "builder.hpp"
#include "program.hpp"

namespace rlx::cpu {

class device : public sdk::host_buffers<arena> {
public:
    using program = rlx::cpu::program;

    static std::uint32_t device_count() { return 1; }

    static status device_info(std::uint32_t index, sdk::options_writer out);
    // "tier": baseline, avx2, avx512, avx512_vnni, amx; empty or absent: the best this machine has.
    // "time_ops": 1 measures every step for program_info.
    static result<std::unique_ptr<device>> open(std::uint32_t index, sdk::options_view options);

    status supports(
        const rlx_graph* g,
        std::span<const std::uint32_t> nodes,
        std::span<std::uint8_t> verdict,
        std::span<rlx_str> reason
    );
    result<rlx_memory> measure(const rlx_compile_args& args);
    result<std::unique_ptr<program>> compile(const rlx_compile_args& args);
    status program_info(program& p, sdk::options_writer out);
    status run(program& p, const rlx_run_args& args);
    result<std::uint64_t> page_bytes(const rlx_compile_args& args, rlx_value state);

    cpu_features features;
    tier isa = tier::baseline;
    bool time_ops = false;

private:
    result<program_config> configure(const rlx_compile_args& args) const;
    result<std::unique_ptr<program>> prepare(const rlx_compile_args& args) const;
};

} // namespace rlx::cpu
