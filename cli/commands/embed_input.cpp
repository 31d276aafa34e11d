// SPDX-License-Identifier: GPL-3.0-only
#include "embed_input.hpp"

#include "../terminal.hpp"
#include "image_files.hpp"

#include "rlx/base/utf8.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>
#include <vector>

namespace rlx::cli {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr std::size_t longest_text = std::size_t{64} << 20;

error usage(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

std::string too_long_message() {
    return fmt::format("the text is longer than {} bytes", longest_text);
}

// The bytes of a file or of standard input, line by line or whole.
class byte_reader {
public:
    static result<byte_reader> open(const std::string& path) {
        byte_reader out;
        out.path_ = path;
        if (path == "-") {
            out.path_ = "standard input";
            return out;
        }
        out.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (out.fd_ < 0)
            return error{
                RLX_NOT_FOUND, fmt::format("cannot open {}: {}", path, std::strerror(errno))};
        return out;
    }

    byte_reader() = default;

    byte_reader(byte_reader&& o) noexcept
        : path_(std::move(o.path_)), fd_(std::exchange(o.fd_, STDIN_FILENO)),
          buffer_(std::move(o.buffer_)), at_(o.at_), ended_(o.ended_) {}

    byte_reader& operator=(byte_reader&& o) noexcept {
        std::swap(path_, o.path_);
        std::swap(fd_, o.fd_);
        std::swap(buffer_, o.buffer_);
        std::swap(at_, o.at_);
        std::swap(ended_, o.ended_);
        return *this;
    }

    ~byte_reader() {
        if (fd_ != STDIN_FILENO) close(fd_);
    }

    // Without its end; nullopt behind the last one. too_long: it was skipped, and is empty here.
    result<std::optional<std::string>> line(bool& too_long) {
        std::size_t seen = 0;
        too_long = false;
        for (;;) {
            const std::size_t end = buffer_.find('\n', at_ + seen);
            if (end != buffer_.npos) {
                std::string out = too_long ? "" : buffer_.substr(at_, end - at_);
                at_ = end + 1;
                if (out.ends_with('\r')) out.pop_back();
                return std::optional(std::move(out));
            }
            seen = buffer_.size() - at_;
            too_long = too_long || seen > longest_text;
            if (too_long) {
                at_ = buffer_.size();
                seen = 0;
            }
            if (ended_) {
                if (seen == 0 && !too_long) return std::optional<std::string>();
                return std::optional(rest());
            }
            RLX_CHECK(fill());
        }
    }

    result<std::string> all() {
        while (!ended_) {
            if (buffer_.size() - at_ > longest_text)
                return error{RLX_CORRUPT_DATA, fmt::format("{}: {}", path_, too_long_message())};
            RLX_CHECK(fill());
        }
        return rest();
    }

    bool waits() const {
        if (ended_ || buffer_.find('\n', at_) != buffer_.npos) return false;
        pollfd wanted{fd_, POLLIN, 0};
        return poll(&wanted, 1, 0) == 0;
    }

private:
    std::string rest() {
        std::string out = buffer_.substr(at_);
        at_ = buffer_.size();
        return out;
    }

    result<void> fill() {
        buffer_.erase(0, at_);
        at_ = 0;
        char block[65536];
        for (;;) {
            const ssize_t n = read(fd_, block, sizeof block);
            if (n > 0) buffer_.append(block, static_cast<std::size_t>(n));
            if (n == 0) ended_ = true;
            if (n >= 0) return {};
            if (errno != EINTR)
                return error{
                    RLX_IO, fmt::format("cannot read {}: {}", path_, std::strerror(errno))};
            if (cancel_flag())
                return error{RLX_CANCELLED, fmt::format("interrupted while reading {}", path_)};
        }
    }

    std::string path_;
    int fd_ = STDIN_FILENO;
    std::string buffer_;
    std::size_t at_ = 0; // what is before it was handed out
    bool ended_ = false;
};

enum class part_kind { text, lines, ndjson, file, picture };

struct part {
    part_kind kind;
    std::string value; // the text, or the path
};

struct record_fields {
    std::string text, id;
};

std::string json_text(std::string_view text) {
    return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

bool blank(std::string_view line) {
    return line.find_first_not_of(" \t") == line.npos;
}

// Tokenizers would read something else in place of bytes that are no text.
std::optional<error> not_utf8(std::string_view bytes, std::string_view what) {
    const std::size_t at = utf8_find_invalid(bytes);
    if (at == bytes.npos) return std::nullopt;
    return error{RLX_CORRUPT_DATA, fmt::format("the {} is not UTF-8 at byte {}", what, at)};
}

// A record that failed keeps its line as the text: it tells the input from another one.
embed_item record_of(std::string line, const record_fields& fields) {
    embed_item out;
    out.failed = not_utf8(line, "line");
    const json record = out.failed ? json() : json::parse(line, nullptr, false);
    const auto text = record.is_object() ? record.find(fields.text) : record.end();
    if (out.failed)
        ;
    else if (!record.is_object())
        out.failed = error{RLX_CORRUPT_DATA, "the line is no JSON object"};
    else if (text == record.end())
        out.failed =
            error{RLX_CORRUPT_DATA, fmt::format("the record has no field '{}'", fields.text)};
    else if (!text->is_string())
        out.failed = error{RLX_CORRUPT_DATA, fmt::format("field '{}' is no text", fields.text)};
    if (record.is_object())
        if (const auto id = record.find(fields.id); id != record.end()) out.id = id->dump();
    out.text = out.failed ? std::move(line) : text->get<std::string>();
    return out;
}

class all_texts final : public text_source {
public:
    // paths: lines are those of files, whose names may be any bytes.
    all_texts(std::vector<part> parts, record_fields fields, bool paths)
        : parts_(std::move(parts)), fields_(std::move(fields)), paths_(paths) {}

    result<std::optional<embed_item>> next() override {
        for (;;) {
            auto item = RLX_TRY(from_part());
            if (item) {
                item->index = index_++;
                return item;
            }
            if (at_ == parts_.size()) return std::optional<embed_item>();
        }
    }

    bool waits() const override { return reader_ && reader_->waits(); }

private:
    // nullopt: the part is done, the next one is begun.
    result<std::optional<embed_item>> from_part() {
        if (at_ == parts_.size()) return std::optional<embed_item>();
        const part& p = parts_[at_];
        embed_item item;
        if (p.kind != part_kind::lines && p.kind != part_kind::ndjson) {
            at_++;
            if (p.kind == part_kind::picture) item.id = json_text(p.value);
            if (p.kind == part_kind::file) return whole_file(p.value);
            item.text = p.value;
            if (p.kind == part_kind::text) item.failed = not_utf8(item.text, "text");
            return std::optional(std::move(item));
        }
        if (!reader_) reader_.emplace(RLX_TRY(byte_reader::open(p.value)));
        bool too_long = false;
        auto line = RLX_TRY(reader_->line(too_long));
        while (line && !too_long && p.kind == part_kind::ndjson && blank(*line))
            line = RLX_TRY(reader_->line(too_long));
        if (!line) {
            reader_.reset();
            at_++;
            return std::optional<embed_item>();
        }
        if (too_long) {
            item.failed = error{RLX_CORRUPT_DATA, too_long_message()};
            return std::optional(std::move(item));
        }
        if (p.kind == part_kind::ndjson) return std::optional(record_of(std::move(*line), fields_));
        item.text = std::move(*line);
        if (!paths_) item.failed = not_utf8(item.text, "line");
        return std::optional(std::move(item));
    }

    // A file that cannot be read is one that failed: the others of its directory can be.
    static result<std::optional<embed_item>> whole_file(const std::string& path) {
        embed_item item;
        item.id = json_text(path);
        auto reader = byte_reader::open(path);
        auto text = reader ? reader->all() : result<std::string>(reader.error());
        if (text && text->find('\0') != text->npos) {
            item.failed = error{
                RLX_CORRUPT_DATA,
                fmt::format("{}: is no text: it has zero bytes; UTF-8 is expected", path)};
        } else if (text) {
            item.text = std::move(*text);
            item.failed = not_utf8(item.text, "file");
        } else if (text.error().code == RLX_CANCELLED)
            return text.error();
        else
            item.failed = text.error();
        return std::optional(std::move(item));
    }

    std::vector<part> parts_;
    record_fields fields_;
    bool paths_;
    std::size_t at_ = 0;
    std::uint64_t index_ = 0;
    std::optional<byte_reader> reader_;
};

result<part_kind> kind_of(std::string_view input, const std::string& path) {
    if (input == "lines") return part_kind::lines;
    if (input == "ndjson") return part_kind::ndjson;
    if (input == "files") return part_kind::file;
    if (input != "auto")
        return usage(fmt::format("--input: '{}' is none of auto, lines, ndjson, files", input));
    return path.ends_with(".jsonl") || path.ends_with(".ndjson") ? part_kind::ndjson
                                                                 : part_kind::lines;
}

// What the run itself writes: --out with its part, journal and facts, and --write-ranges.
class own_files {
public:
    explicit own_files(const arguments& a) {
        if (const std::string out = a.text("out", "-"); out != "-") {
            add(out);
            prefix_ = fs::path(out + ".").filename().string();
            for (const char* end : {".part", ".journal", ".meta.json"})
                add(out + end);
        }
        if (a.has("write-ranges")) add(a.text("write-ranges"));
    }

    bool have(const fs::path& file) const {
        std::error_code failed;
        const fs::path real = fs::weakly_canonical(file, failed);
        return std::ranges::find(files_, real) != files_.end() ||
               (!files_.empty() && !prefix_.empty() &&
                real.parent_path() == files_[0].parent_path() &&
                real.filename().string().starts_with(prefix_) && real.extension() == ".part");
    }

private:
    void add(const std::string& path) {
        std::error_code failed;
        files_.push_back(fs::weakly_canonical(fs::absolute(path, failed), failed));
    }

    std::vector<fs::path> files_;
    std::string prefix_; // of what a killed run left half-written
};

// Every file below, or every picture, in the order of their names; without hidden ones, what is in
// hidden folders, and the run's own.
result<void> add_directory(
    const std::string& path, part_kind kind, const own_files& own, std::vector<part>& parts
) {
    std::vector<std::string> files;
    std::error_code failed;
    for (fs::recursive_directory_iterator at(path, failed), end; !failed && at != end;
         at.increment(failed)) {
        if (is_hidden(at->path())) {
            at.disable_recursion_pending();
            continue;
        }
        std::error_code ignored;
        const bool wanted = kind == part_kind::file || is_image_name(at->path());
        if (wanted && at->is_regular_file(ignored) && !own.have(at->path()))
            files.push_back(at->path().string());
    }
    if (failed)
        return error{RLX_NOT_FOUND, fmt::format("cannot read {}: {}", path, failed.message())};
    if (files.empty())
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "{}: the directory has no {}",
                path,
                kind == part_kind::file ? "files" : ".png, .jpg or .jpeg files"
            )};
    std::ranges::sort(files);
    for (std::string& file : files)
        parts.push_back({kind, std::move(file)});
    return {};
}

// What the positional arguments name; kind: of directories' files.
result<void>
add_files(const arguments& a, std::string_view input, part_kind kind, std::vector<part>& parts) {
    RLX_TRY(kind_of(input, "-")); // its error even where nothing is read
    const own_files own(a);
    for (const std::string& path : a.positional()) {
        std::error_code failed;
        if (path != "-" && fs::is_directory(path, failed)) {
            RLX_CHECK(add_directory(path, kind, own, parts));
            continue;
        }
        if (path != "-" && !fs::exists(path, failed))
            return error{RLX_NOT_FOUND, fmt::format("{}: no such file or directory", path)};
        if (path != "-" && access(path.c_str(), R_OK) != 0)
            return error{
                RLX_NOT_FOUND, fmt::format("cannot open {}: {}", path, std::strerror(errno))};
        const bool picture = kind == part_kind::picture && is_image_name(path);
        parts.push_back({picture ? kind : RLX_TRY(kind_of(input, path)), path});
    }
    if (parts.empty()) parts.push_back({RLX_TRY(kind_of(input, "-")), "-"});
    return {};
}

} // namespace

result<std::unique_ptr<text_source>> open_texts(const arguments& a) {
    std::vector<part> parts;
    for (const std::string& text : a.all("text"))
        parts.push_back({part_kind::text, text});
    RLX_CHECK(add_files(a, a.text("input", "auto"), part_kind::file, parts));
    return std::unique_ptr<text_source>(std::make_unique<all_texts>(
        std::move(parts), record_fields{a.text("field", "text"), a.text("id-field", "id")}, false
    ));
}

result<std::unique_ptr<text_source>> open_pictures(const arguments& a) {
    const std::string input = a.text("input", "auto");
    if (input == "files")
        return usage(
            "--input files: pictures are files by their names; lines and ndjson are lists of paths"
        );
    std::vector<part> parts;
    RLX_CHECK(add_files(a, input, part_kind::picture, parts));
    return std::unique_ptr<text_source>(std::make_unique<all_texts>(
        std::move(parts), record_fields{a.text("field", "image"), a.text("id-field", "id")}, true
    ));
}

} // namespace rlx::cli
