// SPDX-License-Identifier: GPL-3.0-only
// Texts to embed, one after the other, from lines, NDJSON, whole files and directories. Holds one
// text at a time.
#pragma once

#include "../args.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace rlx::cli {

struct embed_item {
    std::uint64_t index = 0; // in the whole input, from 0
    std::string id;          // JSON of the record's id, or a file's name as JSON; empty = none
    std::string text;
    std::optional<error> failed; // why there is no text
};

class text_source {
public:
    virtual ~text_source() = default;
    // nullopt at the end. An input that cannot be opened or read is an error; a record without its
    // field is an item that failed.
    virtual result<std::optional<embed_item>> next() = 0;
    // Whether next() would have to wait for a pipe or a terminal.
    virtual bool waits() const = 0;
};

// The inputs that the arguments name, checked for existence; standard input when they name none.
result<std::unique_ptr<text_source>> open_texts(const arguments& a);

// Pictures instead: an item's text is the path of one. Files named .png, .jpg or .jpeg and those of
// folders are pictures; other files and standard input hold paths, a line or a record's "image"
// each. RLX_INVALID_ARGUMENT for --input of another meaning.
result<std::unique_ptr<text_source>> open_pictures(const arguments& a);

} // namespace rlx::cli
