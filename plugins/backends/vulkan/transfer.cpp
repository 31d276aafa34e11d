// SPDX-License-Identifier: GPL-3.0-only
#include "transfer.hpp"

#include <algorithm>

namespace rlx::vulkan {

namespace {

constexpr std::uint64_t staging = std::uint64_t{4} << 20; // of each half, and of the way back

} // namespace

result<std::unique_ptr<upload_ring>> upload_ring::make(const gpu& g, std::uint64_t half) {
    std::unique_ptr<upload_ring> out(new upload_ring(g));
    for (auto& h : out->halves_) {
        h.memory = RLX_TRY(memory_block::make(g, half, placement::upload));
        h.copies = RLX_TRY(commands::make(g));
    }
    return out;
}

status upload_ring::flush() {
    if (!open_) return {};
    commands& c = *halves_[now_].copies;
    full_barrier(gpu_, c.handle());
    RLX_CHECK(c.end());
    RLX_CHECK(c.submit());
    open_ = false;
    now_ ^= 1;
    used_ = 0;
    return {};
}

result<char*> upload_ring::reserve(VkBuffer to, std::uint64_t at, std::uint64_t n) {
    const std::uint64_t room = halves_[0].memory->bytes();
    if (n > room) return fail(RLX_INTERNAL, "vulkan: {} bytes through a ring of {}", n, room);
    if (used_ + n > room) RLX_CHECK(flush());
    half& h = halves_[now_];
    if (!open_) {
        RLX_CHECK(h.copies->begin()); // waits for the copies of the turn before
        open_ = true;
    }
    const VkBufferCopy region{used_, at, n};
    gpu_.api().CmdCopyBuffer(h.copies->handle(), h.memory->handle(), to, 1, &region);
    char* out = h.memory->data() + used_;
    used_ += (n + 15) & ~std::uint64_t{15};
    return out;
}

status upload_ring::write(VkBuffer to, std::uint64_t at, const void* from, std::uint64_t n) {
    const std::uint64_t room = halves_[0].memory->bytes();
    for (std::uint64_t done = 0; done < n;) {
        const std::uint64_t part = std::min(room, n - done);
        std::memcpy(
            RLX_TRY(reserve(to, at + done, part)), static_cast<const char*>(from) + done, part
        );
        done += part;
    }
    return {};
}

status upload_ring::finish() {
    RLX_CHECK(flush());
    for (half& h : halves_)
        RLX_CHECK(h.copies->wait());
    return {};
}

status transfers::upload(VkBuffer to, std::uint64_t at, const void* from, std::uint64_t n) {
    if (n == 0) return {};
    if (!up_) up_ = RLX_TRY(upload_ring::make(gpu_, staging));
    RLX_CHECK(up_->write(to, at, from, n));
    return up_->finish();
}

status transfers::download(VkBuffer from, std::uint64_t at, void* to, std::uint64_t n) {
    if (n == 0) return {};
    if (!down_) down_ = RLX_TRY(memory_block::make(gpu_, staging, placement::readback));
    for (std::uint64_t done = 0; done < n;) {
        const std::uint64_t part = std::min(staging, n - done);
        RLX_CHECK(copy(down_->handle(), 0, from, at + done, part));
        RLX_CHECK(down_->fetch());
        std::memcpy(static_cast<char*>(to) + done, down_->data(), part);
        done += part;
    }
    return {};
}

status transfers::copy(
    VkBuffer to, std::uint64_t to_at, VkBuffer from, std::uint64_t from_at, std::uint64_t n
) {
    if (n == 0) return {};
    if (!copies_) copies_ = RLX_TRY(commands::make(gpu_));
    RLX_CHECK(copies_->begin());
    const VkBufferCopy region{from_at, to_at, n};
    gpu_.api().CmdCopyBuffer(copies_->handle(), from, to, 1, &region);
    full_barrier(gpu_, copies_->handle());
    RLX_CHECK(copies_->end());
    RLX_CHECK(copies_->submit());
    return copies_->wait();
}

} // namespace rlx::vulkan
