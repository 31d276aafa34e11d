// SPDX-License-Identifier: GPL-3.0-only
// One Vulkan device as the host sees it: "rlx.backend/1".
#pragma once

#include "program.hpp"
#include "selftest.hpp"
#include "transfer.hpp"

namespace rlx::vulkan {

// [one thread per device]
class device {
public:
    using program = rlx::vulkan::program;

    // Devices that this backend can use; 0 with a reason in the log. [any thread]
    static std::uint32_t device_count();
    static status device_info(std::uint32_t index, sdk::options_writer out);
    // "cache_dir": where pipelines and self-test results are kept (absent: nowhere); "validate":
    // 1 = with the Khronos validation layer, 2 = and its synchronization validation;
    // "time_ops" (1): times of every dispatch; "self_test" (1): tests every op now; "max_binding":
    // bytes that a shader may bind at once, when it shall be fewer than the device says (tests).
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

    result<rlx_buffer*> alloc(std::uint64_t bytes);
    void free(rlx_buffer* b);
    status copy(
        rlx_buffer* dst,
        std::uint64_t dst_off,
        rlx_buffer* src,
        std::uint64_t src_off,
        std::uint64_t n
    );
    status upload(rlx_buffer* dst, std::uint64_t off, rlx_bytes src);
    status download(rlx_buffer* src, std::uint64_t off, void* dst, std::uint64_t n);

private:
    result<program_config> configure(const rlx_compile_args& args) const;
    result<std::unique_ptr<program>> prepare(const rlx_compile_args& args);

    std::unique_ptr<gpu> gpu_;
    std::unique_ptr<transfers> moves_;
    std::unique_ptr<pipelines> code_;
    std::unique_ptr<self_test> test_;
    bool profile_ = false;
};

} // namespace rlx::vulkan
