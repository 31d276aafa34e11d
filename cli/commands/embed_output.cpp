// SPDX-License-Identifier: GPL-3.0-only
#include "embed_output.hpp"

#include "../terminal.hpp"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rlx::cli {
namespace {

using json = nlohmann::json;

error io_error(std::string_view what, std::string_view path) {
    const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return {
        RLX_IO,
        fmt::format(
            "cannot {} {}: {}{}",
            what,
            path,
            std::strerror(errno),
            full ? "; make room and run again with --resume" : ""
        )};
}

class descriptor {
public:
    descriptor() = default;

    explicit descriptor(int fd) : fd_(fd) {}

    descriptor(const descriptor&) = delete;

    descriptor& operator=(descriptor&& o) noexcept {
        std::swap(fd_, o.fd_);
        return *this;
    }

    ~descriptor() {
        if (fd_ >= 0) close(fd_);
    }

    int get() const { return fd_; }

private:
    int fd_ = -1;
};

result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return io_error("write", path);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

class standard_output final : public vector_file {
public:
    result<void> write(std::string_view bytes) override { return print(bytes); }

    result<void> commit(const embed_progress&, bool) override { return flush(); }

    result<void> finish(std::string_view, std::string_view) override { return flush(); }

    const embed_progress& resumed() const override { return none_; }

    bool complete() const override { return false; }

private:
    embed_progress none_;
};

std::string journal_line(const embed_progress& p, std::uint64_t bytes) {
    std::string line = fmt::format("{} {} {} {} {:016x}", p.items, p.rows, p.failed, bytes, p.hash);
    return line + fmt::format(" {:016x}\n", hash_bytes(line));
}

struct journal_entry {
    embed_progress done;
    std::uint64_t bytes = 0; // of the part
    std::size_t end = 0;     // of the line in the journal; 0 = there is none
};

// nullopt for a line that was not written whole.
std::optional<journal_entry> parse_line(std::string_view line) {
    const std::size_t at = line.rfind(' ');
    if (at == line.npos ||
        fmt::format("{:016x}", hash_bytes(line.substr(0, at))) != line.substr(at + 1))
        return std::nullopt;
    journal_entry out;
    std::uint64_t* const numbers[] = {
        &out.done.items, &out.done.rows, &out.done.failed, &out.bytes, &out.done.hash};
    const char* p = line.data();
    for (std::uint64_t* n : numbers) {
        const auto [end, code] =
            std::from_chars(p, line.data() + at, *n, n == &out.done.hash ? 16 : 10);
        if (code != std::errc()) return std::nullopt;
        p = end + 1;
    }
    return out;
}

class resumable_file final : public vector_file {
public:
    explicit resumable_file(const vector_file_options& o)
        : o_(o), part_(o.path + ".part"), journal_(o.path + ".journal"),
          meta_(o.path + ".meta.json") {}

    result<void> open();
    result<void> write(std::string_view bytes) override;
    result<void> commit(const embed_progress& done, bool last) override;
    result<void> finish(std::string_view head, std::string_view meta) override;

    const embed_progress& resumed() const override { return resumed_; }

    bool complete() const override { return complete_; }

private:
    using clock = std::chrono::steady_clock;

    result<bool> was_completed() const;
    result<void> lock();
    result<journal_entry> read_journal() const;
    result<void> begin();
    result<void> go_on(const journal_entry& from);
    result<void> put();

    std::string heading() const { return "rlx-embed 1 " + o_.fingerprint; }

    vector_file_options o_;
    std::string part_, journal_, meta_;
    descriptor data_, lines_;
    std::string waiting_; // not yet given to the system
    std::uint64_t bytes_ = 0;
    embed_progress resumed_;
    bool complete_ = false;
    clock::time_point committed_ = clock::now();
    std::uint64_t committed_rows_ = 0;
};

bool exists(const std::string& path) {
    struct stat s;
    return stat(path.c_str(), &s) == 0;
}

result<bool> resumable_file::was_completed() const {
    if (!exists(o_.path) || !exists(meta_)) return false;
    const json meta = json::parse(RLX_TRY(read_text(meta_)), nullptr, false);
    if (meta.is_object() && meta.value("fingerprint", json("")) == json(o_.fingerprint))
        return true;
    return error{
        RLX_INVALID_ARGUMENT,
        fmt::format(
            "{} was made with another model or other options; remove it, choose another --out, or "
            "leave --resume out to replace it",
            o_.path
        )};
}

// Held until the end of the process.
result<void> resumable_file::lock() {
    lines_ = descriptor(::open(journal_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0666));
    if (lines_.get() < 0) return io_error("open", journal_);
    if (flock(lines_.get(), LOCK_EX | LOCK_NB) == 0) return {};
    return error{RLX_INVALID_ARGUMENT, fmt::format("{}: another process is writing it", o_.path)};
}

// The last whole line whose bytes are all there.
result<journal_entry> resumable_file::read_journal() const {
    struct stat s;
    if (fstat(data_.get(), &s) != 0) return io_error("read", part_);
    const std::string text = RLX_TRY(read_text(journal_));
    std::size_t at = text.find('\n');
    if (at == text.npos) return journal_entry{}; // ended before it was written
    if (text.substr(0, at) != heading())
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{} is of a run with another model or other options; finish that run, or drop it "
                "with --restart",
                journal_
            )};
    journal_entry last;
    for (at += 1; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        if (end == text.npos) break;
        const auto entry = parse_line(std::string_view(text).substr(at, end - at));
        if (!entry || entry->bytes > static_cast<std::uint64_t>(s.st_size)) break;
        last = *entry;
        last.end = at = end + 1;
    }
    return last;
}

result<void> resumable_file::begin() {
    if (ftruncate(data_.get(), 0) != 0 || ftruncate(lines_.get(), 0) != 0)
        return io_error("write", part_);
    bytes_ = 0;
    RLX_CHECK(write_all(lines_.get(), heading() + "\n", journal_));
    RLX_CHECK(write(o_.head));
    return commit({.hash = hash_bytes({})}, true);
}

result<void> resumable_file::go_on(const journal_entry& from) {
    if (ftruncate(data_.get(), static_cast<off_t>(from.bytes)) != 0)
        return io_error("write", part_);
    // A line that was cut short must not run into the next one.
    if (ftruncate(lines_.get(), static_cast<off_t>(from.end)) != 0)
        return io_error("write", journal_);
    if (lseek(data_.get(), 0, SEEK_END) < 0) return io_error("write", part_);
    bytes_ = from.bytes;
    resumed_ = from.done;
    committed_rows_ = from.done.rows;
    return {};
}

result<void> resumable_file::open() {
    if (o_.resume && RLX_TRY(was_completed())) {
        complete_ = true;
        return {};
    }
    const bool left = exists(part_) && exists(journal_);
    if (left && !o_.resume && !o_.restart)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{} is of a run that was interrupted: --resume goes on with it, --restart drops it",
                part_
            )};
    RLX_CHECK(lock());
    data_ = descriptor(::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (data_.get() < 0) return io_error("open", part_);
    if (!left || o_.restart) return begin();
    const journal_entry from = RLX_TRY(read_journal());
    return from.end == 0 ? begin() : go_on(from);
}

result<void> resumable_file::put() {
    RLX_CHECK(write_all(data_.get(), waiting_, part_));
    bytes_ += waiting_.size();
    waiting_.clear();
    return {};
}

result<void> resumable_file::write(std::string_view bytes) {
    constexpr std::size_t block = std::size_t{1} << 20;
    waiting_ += bytes;
    return waiting_.size() < block ? result<void>() : put();
}

result<void> resumable_file::commit(const embed_progress& done, bool last) {
    constexpr std::uint64_t rows = 4096;
    const bool due =
        clock::now() - committed_ >= std::chrono::seconds(1) || done.rows - committed_rows_ >= rows;
    if (!last && !due) return {};
    RLX_CHECK(put());
    if (fdatasync(data_.get()) != 0) return io_error("write", part_);
    RLX_CHECK(write_all(lines_.get(), journal_line(done, bytes_), journal_));
    if (fdatasync(lines_.get()) != 0) return io_error("write", journal_);
    committed_ = clock::now();
    committed_rows_ = done.rows;
    return {};
}

result<void> resumable_file::finish(std::string_view head, std::string_view meta) {
    RLX_CHECK(put());
    if (!head.empty() &&
        pwrite(data_.get(), head.data(), head.size(), 0) != static_cast<ssize_t>(head.size()))
        return io_error("write", part_);
    if (fsync(data_.get()) != 0) return io_error("write", part_);
    json facts = json::parse(meta);
    facts["fingerprint"] = o_.fingerprint;
    RLX_CHECK(write_file(meta_, facts.dump(2) + "\n"));
    if (std::rename(part_.c_str(), o_.path.c_str()) != 0) return io_error("write", o_.path);
    std::remove(journal_.c_str());
    return {};
}

} // namespace

result<std::unique_ptr<vector_file>> open_vector_file(const vector_file_options& o) {
    if (o.path == "-") {
        if (o.resume || o.restart)
            return error{
                RLX_INVALID_ARGUMENT, "--resume and --restart need --out FILE to go on with"};
        auto out = std::make_unique<standard_output>();
        RLX_CHECK(out->write(o.head));
        return std::unique_ptr<vector_file>(std::move(out));
    }

    struct stat there {};

    if (stat(o.path.c_str(), &there) == 0 && !S_ISREG(there.st_mode))
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("--out {}: is no regular file; use --out - and redirect it", o.path)};
    auto out = std::make_unique<resumable_file>(o);
    RLX_CHECK(out->open());
    return std::unique_ptr<vector_file>(std::move(out));
}

std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed) {
    for (const char c : bytes) {
        seed ^= static_cast<unsigned char>(c);
        seed *= 0x100000001b3U;
    }
    return seed;
}

} // namespace rlx::cli
