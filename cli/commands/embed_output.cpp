// SPDX-License-Identifier: GPL-3.0-only
#include "embed_output.hpp"

#include "../terminal.hpp"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
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

    result<void> finish(const embed_progress&, std::string_view, std::string_view) override {
        return flush();
    }

    const embed_progress& resumed() const override { return none_; }

    bool complete() const override { return false; }

private:
    embed_progress none_;
};

std::string with_check(std::string line) {
    const std::string check = fmt::format(" {:016x}\n", hash_bytes(line));
    return std::move(line) + check;
}

std::string journal_line(const embed_progress& p, std::uint64_t bytes) {
    return with_check(fmt::format("{} {} {} {} {:016x}", p.items, p.rows, p.failed, bytes, p.hash));
}

// A line without its check; nullopt when it was not written whole.
std::optional<std::string_view> checked(std::string_view line) {
    const std::size_t at = line.rfind(' ');
    if (at == line.npos ||
        fmt::format("{:016x}", hash_bytes(line.substr(0, at))) != line.substr(at + 1))
        return std::nullopt;
    return line.substr(0, at);
}

struct journal_entry {
    embed_progress done;
    std::uint64_t bytes = 0; // of the part
    std::size_t end = 0;     // of the line in the journal; 0 = there is none
};

std::optional<journal_entry> parse_entry(std::string_view line) {
    journal_entry out;
    std::uint64_t* const numbers[] = {
        &out.done.items, &out.done.rows, &out.done.failed, &out.bytes, &out.done.hash};
    const char *p = line.data(), *stop = p + line.size();
    for (std::uint64_t* n : numbers) {
        const auto [end, code] = std::from_chars(p, stop, *n, n == &out.done.hash ? 16 : 10);
        if (code != std::errc()) return std::nullopt;
        p = end == stop ? end : end + 1;
    }
    return out;
}

constexpr std::string_view end_mark = "end ";

struct journal {
    std::string heading;
    journal_entry last; // the last whole line
    std::string meta;   // of a run whose bytes are all there: only the names are to be changed
};

// size: of the part. Bytes that a line was written after are there, unless somebody cut the part.
journal parse_journal(std::string_view text, std::uint64_t size) {
    journal out;
    std::size_t at = text.find('\n');
    if (at == text.npos) return out; // ended before it was written
    out.heading = text.substr(0, at);
    for (at += 1; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        if (end == text.npos) break;
        const auto line = checked(text.substr(at, end - at));
        if (!line) break;
        if (line->starts_with(end_mark)) {
            out.meta = line->substr(end_mark.size());
            break;
        }
        const auto entry = parse_entry(*line);
        if (!entry || (size > 0 && entry->bytes > size)) break;
        out.last = *entry;
        out.last.end = at = end + 1;
    }
    return out;
}

// What the system was told of a folder's names is on the disk.
result<void> sync_folder_of(const std::string& path) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    const std::string name = folder.empty() ? "." : folder.string();
    const descriptor fd(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // Some network file systems have no such call; they have nothing to sync either.
    if (fd.get() < 0 || (fsync(fd.get()) != 0 && errno != EINVAL && errno != EBADF))
        return io_error("sync", name);
    return {};
}

std::optional<std::uint64_t> size_of(const std::string& path) {
    struct stat s;
    if (stat(path.c_str(), &s) != 0) return std::nullopt;
    return static_cast<std::uint64_t>(s.st_size);
}

bool exists(const std::string& path) {
    return size_of(path).has_value();
}

class resumable_file final : public vector_file {
public:
    explicit resumable_file(const vector_file_options& o)
        : o_(o), part_(o.path + ".part"), journal_(o.path + ".journal"),
          meta_(o.path + ".meta.json") {}

    result<void> open();
    result<void> write(std::string_view bytes) override;
    result<void> commit(const embed_progress& done, bool last) override;
    result<void>
    finish(const embed_progress& done, std::string_view head, std::string_view meta) override;

    const embed_progress& resumed() const override { return resumed_; }

    bool complete() const override { return complete_; }

private:
    using clock = std::chrono::steady_clock;

    result<bool> was_completed();
    result<void> lock();
    result<void> begin();
    result<void> go_on(journal_entry from);
    result<void> put();
    result<void> publish(const std::string& meta);
    result<void> write_meta(const std::string& text) const;
    void discard() const;

    std::string heading() const { return "rlx-embed 2 " + o_.fingerprint; }

    error other_options() const {
        return {
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{} is of a run with another model or other options; finish that run, or drop it "
                "with --restart",
                journal_
            )};
    }

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

// Sets resumed_ to what the complete file was made of.
result<bool> resumable_file::was_completed() {
    const auto size = size_of(o_.path);
    if (!size || !exists(meta_)) return false;
    const json meta = json::parse(RLX_TRY(read_text(meta_)), nullptr, false);
    const auto refuse = [&](std::string_view why) {
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{} {}; remove it, choose another --out, or leave --resume out to replace it",
                o_.path,
                why
            )};
    };
    if (!meta.is_object() || meta.value("fingerprint", json("")) != json(o_.fingerprint))
        return refuse("was made with another model or other options");
    const auto number = [&](const char* key) {
        const json v = meta.value(key, json());
        return v.is_number_unsigned() ? v.get<std::uint64_t>() : 0;
    };
    if (number("bytes") != *size) return refuse("was changed after it was written");
    resumed_ = {number("items_read"), number("rows"), number("failed")};
    const std::string hash = meta.value("input_hash", json("")).dump();
    if (hash.size() > 2)
        std::from_chars(hash.data() + 1, hash.data() + hash.size() - 1, resumed_.hash, 16);
    return true;
}

// Held until the end of the process.
result<void> resumable_file::lock() {
    for (;;) {
        lines_ =
            descriptor(::open(journal_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0666));
        if (lines_.get() < 0) return io_error("open", journal_);
        if (flock(lines_.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK) return io_error("lock", journal_);
            return error{
                RLX_INVALID_ARGUMENT, fmt::format("{}: another process is writing it", o_.path)};
        }
        // The process before may have finished, and removed it, in between.
        struct stat held, named;
        if (fstat(lines_.get(), &held) == 0 && stat(journal_.c_str(), &named) == 0 &&
            held.st_ino == named.st_ino && held.st_dev == named.st_dev)
            return {};
    }
}

void resumable_file::discard() const {
    std::remove(part_.c_str());
    std::remove(journal_.c_str());
}

result<void> resumable_file::begin() {
    data_ = descriptor(::open(part_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (data_.get() < 0) return io_error("open", part_);
    if (ftruncate(lines_.get(), 0) != 0) return io_error("write", journal_);
    bytes_ = 0;
    RLX_CHECK(write_all(lines_.get(), heading() + "\n", journal_));
    RLX_CHECK(write(o_.head));
    RLX_CHECK(commit({.hash = hash_bytes({})}, true));
    return sync_folder_of(o_.path);
}

result<void> resumable_file::go_on(journal_entry from) {
    data_ = descriptor(::open(part_.c_str(), O_RDWR | O_CLOEXEC));
    if (data_.get() < 0) return io_error("open", part_);
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
    if (o_.resume && !exists(journal_)) {
        complete_ = RLX_TRY(was_completed());
        if (complete_) return {};
    }
    RLX_CHECK(lock());
    const auto size = size_of(part_);
    const journal before = parse_journal(RLX_TRY(read_text(journal_)), size.value_or(0));
    const bool ended = !before.meta.empty();
    const bool left =
        size ? *size > 0 && (before.last.done.rows > 0 || ended) : ended && exists(o_.path);
    if (left && !o_.restart) {
        if (!o_.resume && size)
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "{} is of a run that was interrupted: --resume goes on with it, --restart "
                    "drops it",
                    part_
                )};
        if (o_.resume && before.heading != heading()) return other_options();
        if (o_.resume && ended) {
            RLX_CHECK(publish(before.meta));
            complete_ = RLX_TRY(was_completed());
            return {};
        }
        if (o_.resume) return go_on(before.last);
    } else if (o_.resume) {
        const auto done = was_completed();
        if (!done || *done) {
            discard(); // nothing is in them
            if (!done) return done.error();
            complete_ = true;
            return {};
        }
    }
    return begin();
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

result<void> resumable_file::write_meta(const std::string& text) const {
    const std::string part = meta_ + ".part";
    const descriptor fd(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (fd.get() < 0) return io_error("open", part);
    RLX_CHECK(write_all(fd.get(), json::parse(text).dump(2) + "\n", part));
    if (fsync(fd.get()) != 0) return io_error("write", part);
    if (std::rename(part.c_str(), meta_.c_str()) != 0) return io_error("write", meta_);
    return sync_folder_of(meta_);
}

// From the journal's last line to the names of a complete file. Ended at any moment it is done
// again; at none of them does a file lie beside the meta of another one.
result<void> resumable_file::publish(const std::string& meta) {
    if (exists(part_)) {
        std::remove(meta_.c_str());
        RLX_CHECK(sync_folder_of(o_.path));
        if (std::rename(part_.c_str(), o_.path.c_str()) != 0) return io_error("write", o_.path);
        RLX_CHECK(sync_folder_of(o_.path));
    }
    RLX_CHECK(write_meta(meta));
    std::remove(journal_.c_str());
    return sync_folder_of(o_.path);
}

result<void>
resumable_file::finish(const embed_progress& done, std::string_view head, std::string_view meta) {
    RLX_CHECK(put());
    if (!head.empty() &&
        pwrite(data_.get(), head.data(), head.size(), 0) != static_cast<ssize_t>(head.size()))
        return io_error("write", part_);
    if (fsync(data_.get()) != 0) return io_error("write", part_);
    json facts = json::parse(meta);
    facts["fingerprint"] = o_.fingerprint;
    facts["items_read"] = done.items;
    facts["rows"] = done.rows;
    facts["failed"] = done.failed;
    facts["input_hash"] = fmt::format("{:016x}", done.hash);
    facts["bytes"] = bytes_;
    const std::string text = facts.dump();
    const std::string last = with_check(std::string(end_mark) + text);
    RLX_CHECK(write_all(lines_.get(), journal_line(done, bytes_) + last, journal_));
    if (fdatasync(lines_.get()) != 0) return io_error("write", journal_);
    return publish(text);
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
