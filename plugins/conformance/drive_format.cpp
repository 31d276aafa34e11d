// SPDX-License-Identifier: GPL-3.0-only
#include "driver.hpp"

#include "rlx/abi/weight_format.h"
#include "rlx/base/wall.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sys/mman.h>
#include <unistd.h>

namespace conformance {
namespace {

using rlx::str;

// A file's bytes at the end of readable memory: reading past them is a crash.
class mapped_bytes {
public:
    explicit mapped_bytes(std::string_view bytes) : n_(bytes.size()) {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        room_ = (n_ + page - 1) / page * page + page;
        at_ = ::mmap(nullptr, room_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at_ == MAP_FAILED) throw failed{"the checker itself has no memory"};
        char* data = static_cast<char*>(at_) + room_ - page - n_;
        std::copy(bytes.begin(), bytes.end(), data);
        ::mprotect(at_, room_ - page, PROT_READ);
        ::mprotect(static_cast<char*>(at_) + room_ - page, page, PROT_NONE);
        file_ = {sizeof file_, 0, str("/samples/file"), {data, n_}};
    }

    mapped_bytes(const mapped_bytes&) = delete;
    mapped_bytes& operator=(const mapped_bytes&) = delete;

    ~mapped_bytes() { ::munmap(at_, room_); }

    const rlx_format_file* file() const { return &file_; }

private:
    std::size_t n_, room_ = 0;
    void* at_;
    rlx_format_file file_{};
};

std::string read_text(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

class format_driver final : public driver {
public:
    format_driver(const subject& s, const void* table)
        : t_(static_cast<const rlx_weight_format_v1*>(table)), self_(s.table().self) {
        const auto& given = s.about().weights;
        if (!given.empty() && std::filesystem::is_regular_file(given)) sample_ = read_text(given);
    }

    std::string name() const override { return "rlx.weight_format/1"; }

    std::string missing_members() const override {
        std::string out;
        if (!RLX_HAS(t_, count)) out += " count";
        if (!RLX_HAS(t_, describe)) out += " describe";
        if (!RLX_HAS(t_, open)) out += " open";
        if (!RLX_HAS(t_, close)) out += " close";
        if (!RLX_HAS(t_, tensor_count)) out += " tensor_count";
        if (!RLX_HAS(t_, tensor)) out += " tensor";
        return out;
    }

    std::vector<std::string> names() override {
        std::vector<std::string> out;
        const std::uint32_t n = call("rlx.weight_format/1 count", [&] { return t_->count(self_); });
        for (std::uint32_t i = 0; i < n; i++) {
            rlx_item item{};
            item.size = sizeof item;
            if (rlx_error* e = describe(i, &item))
                throw failed{"describe fails: " + take(e).message};
            out.emplace_back(rlx::view(item.name));
        }
        return out;
    }

    // Files that are none are refused; a sample from --weights is read to the end, and cut
    // everywhere.
    life_result life() override {
        const std::uint32_t n = call("rlx.weight_format/1 count", [&] { return t_->count(self_); });
        for (std::uint32_t i = 0; i < n; i++) {
            rlx_item item{};
            item.size = sizeof item;
            if (rlx_error* e = describe(i, &item)) return {take(e), "describe"};
            if (rlx::view(item.name).empty()) throw failed{"describe gives no name"};
            if (life_result r = refuse_garbage(i); !r.ok()) return r;
            if (i > 0 || sample_.empty()) continue;
            if (life_result r = read_file(i, sample_, true); !r.ok()) return r;
        }
        return {};
    }

    void null_arguments() override {
        void* file = nullptr;
        rlx_item item{};
        item.size = sizeof item;
        must_fail("describe without a result", describe(0, nullptr));
        must_fail("describe of format 9999", describe(9999, &item));
        must_fail("open without a file", open(0, nullptr, &file));
        const mapped_bytes some("some bytes");
        must_fail("open without a place for the result", open(0, some.file(), nullptr));
        must_fail("open of format 9999", open(9999, some.file(), &file));
        rlx_format_file none{sizeof none, 0, str("/samples/file"), {nullptr, 0}};
        must_fail("open of an empty file", open(0, &none, &file));
        none.bytes.n = 8;
        must_fail("open of bytes at NULL", open(0, &none, &file));
        call("rlx.weight_format/1 close", [&] { t_->close(self_, nullptr); });
        std::uint64_t n = 0;
        rlx_format_tensor t{};
        t.size = sizeof t;
        must_fail("tensor_count without a file", call("tensor_count", [&] {
                      return t_->tensor_count(self_, nullptr, &n);
                  }));
        must_fail("tensor without a file", call("tensor", [&] {
                      return t_->tensor(self_, nullptr, 0, &t);
                  }));
        null_members();
        for (std::size_t cut = 0; cut < sample_.size();
             cut += std::max<std::size_t>(1, sample_.size() / 500))
            read_file(0, std::string_view(sample_).substr(0, cut), false);
    }

    void short_structs() override {
        const mapped_bytes some("some bytes that are no weights at all");
        for (const std::uint32_t size : {0U, 4U, 8U}) {
            rlx_item two[2];
            std::memset(two, 0x5a, sizeof two);
            two[0].size = size;
            if (rlx_error* e = describe(0, two)) take(e);
            const auto* bytes = reinterpret_cast<const unsigned char*>(two);
            for (std::size_t i = std::max<std::size_t>(size, 4); i < sizeof two; i++)
                if (bytes[i] != 0x5a)
                    throw failed{
                        "describe wrote behind the " + std::to_string(size) +
                        " bytes of its result"};
            rlx_format_file f = *some.file();
            f.size = size;
            void* file = nullptr;
            must_fail("open of a struct of " + std::to_string(size) + " bytes", open(0, &f, &file));
        }
    }

private:
    // Members that may be missing, without a file.
    void null_members() {
        std::uint64_t n = 0;
        std::uint32_t found = 0;
        rlx_str key{};
        rlx_meta m{};
        m.size = sizeof m;
        rlx_bytes out{};
        char byte = 0;
        if (RLX_HAS(t_, read))
            must_fail("read without a file", call("rlx.weight_format/1 read", [&] {
                          return t_->read(self_, nullptr, 0, 0, &byte, 1);
                      }));
        if (RLX_HAS(t_, meta_count))
            must_fail("meta_count without a file", call("rlx.weight_format/1 meta_count", [&] {
                          return t_->meta_count(self_, nullptr, &n);
                      }));
        if (RLX_HAS(t_, meta))
            must_fail("meta without a file", call("rlx.weight_format/1 meta", [&] {
                          return t_->meta(self_, nullptr, 0, &key, &m);
                      }));
        if (RLX_HAS(t_, text))
            must_fail("text without a file", call("rlx.weight_format/1 text", [&] {
                          return t_->text(self_, nullptr, str("config.json"), &out, &found);
                      }));
    }

    rlx_error* describe(std::uint32_t i, rlx_item* out) {
        return call("rlx.weight_format/1 describe", [&] { return t_->describe(self_, i, out); });
    }

    rlx_error* open(std::uint32_t i, const rlx_format_file* in, void** file) {
        return call("rlx.weight_format/1 open", [&] { return t_->open(self_, i, in, file); });
    }

    life_result refuse_garbage(std::uint32_t i) {
        for (const std::string& bytes :
             {std::string(),
              std::string(8, '\0'),
              std::string(200, '\xff'),
              std::string(300, 'T')}) {
            const mapped_bytes m(bytes);
            void* file = nullptr;
            rlx_error* e = open(i, m.file(), &file);
            if (!e)
                throw failed{"open takes " + std::to_string(bytes.size()) + " bytes of garbage"};
            const returned_error why = take(e);
            if (host_call_failed() || why.code == RLX_OUT_OF_MEMORY) return {why, "open"};
        }
        return {};
    }

    // whole: every call has to work.
    life_result read_file(std::uint32_t i, std::string_view bytes, bool whole) {
        const mapped_bytes m(bytes);
        void* file = nullptr;
        if (rlx_error* e = open(i, m.file(), &file)) return {take(e), "open"};
        life_result r = read_tensors(file, whole);
        if (r.ok()) r = read_meta(file);
        call("rlx.weight_format/1 close", [&] { t_->close(self_, file); });
        return r;
    }

    life_result read_tensors(void* file, bool whole) {
        std::uint64_t n = 0;
        if (rlx_error* e = call("tensor_count", [&] { return t_->tensor_count(self_, file, &n); }))
            return {take(e), "tensor_count"};
        for (std::uint64_t k = 0; k < std::min<std::uint64_t>(n, 1000); k++) {
            rlx_format_tensor t{};
            t.size = sizeof t;
            if (rlx_error* e = call("tensor", [&] { return t_->tensor(self_, file, k, &t); }))
                return {take(e), "tensor"};
            if (whole && rlx::view(t.name).empty())
                throw failed{"tensor " + std::to_string(k) + " has no name"};
            if ((t.flags & RLX_FORMAT_IN_FILE) || !RLX_HAS(t_, read) || t.n_bytes > 1 << 24)
                continue;
            std::vector<std::byte> data(t.n_bytes);
            rlx_error* e =
                call("read", [&] { return t_->read(self_, file, k, 0, data.data(), t.n_bytes); });
            if (e) return {take(e), "read"};
        }
        rlx_format_tensor t{};
        t.size = sizeof t;
        must_fail("tensor behind the last", call("tensor", [&] {
                      return t_->tensor(self_, file, n, &t);
                  }));
        return {};
    }

    life_result read_meta(void* file) {
        std::uint64_t n = 0;
        if (RLX_HAS(t_, meta_count) && RLX_HAS(t_, meta)) {
            if (rlx_error* e = call("meta_count", [&] { return t_->meta_count(self_, file, &n); }))
                return {take(e), "meta_count"};
            for (std::uint64_t k = 0; k < std::min<std::uint64_t>(n, 1000); k++) {
                rlx_str key{};
                rlx_meta m{};
                m.size = sizeof m;
                if (rlx_error* e = call("meta", [&] { return t_->meta(self_, file, k, &key, &m); }))
                    return {take(e), "meta"};
            }
        }
        if (!RLX_HAS(t_, text)) return {};
        for (const char* name : {"config.json", "no-such-text", ""}) {
            rlx_bytes out{};
            std::uint32_t found = 0;
            if (rlx_error* e =
                    call("text", [&] { return t_->text(self_, file, str(name), &out, &found); }))
                return {take(e), "text"};
        }
        return {};
    }

    const rlx_weight_format_v1* t_;
    void* self_;
    std::string sample_;
};

} // namespace

std::unique_ptr<driver> drive_weight_format(const subject& s, const void* table) {
    return std::make_unique<format_driver>(s, table);
}

} // namespace conformance
