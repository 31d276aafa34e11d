// SPDX-License-Identifier: GPL-3.0-only
// The two large parts of tokenizer.json, model.vocab and model.merges, are read without building a
// document for them: ten times faster and without half a million small allocations.
#pragma once

#include "rlx/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rlx::text {

struct hf_tables {
    std::optional<std::string_view>
        vocab; // the text of the object, nullopt when it is absent or something else
    std::optional<std::string_view> scored_vocab; // the same when it is an array (Unigram)
    std::optional<std::string_view> merges;       // the text of the array
    std::string rest;                             // the file with both emptied
};

// Finds the tables; the views point into `file`. Their inside is checked by whoever reads them.
result<hf_tables> cut_tables(std::string_view file);

// Reads a table from its start. Errors name the byte in the table.
class table_reader {
public:
    table_reader(std::string_view table, const char* name) : s_(table), name_(name) {}

    bool take(char c); // behind white space
    result<void> expect(char c);
    // True when the table's closing bracket comes next, and takes it; a comma is taken in between.
    result<bool> at_end(char close, bool first);
    result<void> string(std::string& out); // replaces `out`
    std::string_view scalar();             // the text up to a comma, bracket or white space
    bool at_string();
    error fail(const std::string& what) const;

private:
    void skip_space();
    result<void> escape(std::string& out);
    std::optional<std::uint32_t> hex4();

    std::string_view s_;
    const char* name_;
    std::size_t pos_ = 0;
};

} // namespace rlx::text
