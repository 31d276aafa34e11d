// SPDX-License-Identifier: GPL-3.0-only
#include "json_flat.hpp"

#include "rlx/base/utf8.hpp"

#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace rlx {
namespace {

constexpr std::size_t max_depth = 64;
constexpr std::size_t max_path = 4096;
constexpr std::string_view float_tag = "__float__";

std::optional<double> float_word(std::string_view word) {
    if (word == "NaN" || word == "nan") return std::numeric_limits<double>::quiet_NaN();
    if (word == "Infinity" || word == "inf") return std::numeric_limits<double>::infinity();
    if (word == "-Infinity" || word == "-inf") return -std::numeric_limits<double>::infinity();
    return std::nullopt;
}

// Rewrites Python's bare words into the tagged form. Outside strings no other word contains them.
std::string tag_float_words(std::string_view text) {
    std::string out;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (in_string && c == '\\' && i + 1 < text.size()) {
            out += c;
            out += text[++i];
            continue;
        }
        if (c == '"') in_string = !in_string;
        std::string_view word;
        for (std::string_view w : {"NaN", "Infinity", "-Infinity"}) {
            if (!in_string && text.substr(i, w.size()) == w) word = w;
        }
        if (word.empty()) {
            out += c;
        } else {
            out += fmt::format(R"({{"{}":"{}"}})", float_tag, word);
            i += word.size() - 1;
        }
    }
    return out;
}

// Receives the parser's events; never builds a tree.
class flattener {
public:
    using json = nlohmann::json;
    using number_integer_t = json::number_integer_t;
    using number_unsigned_t = json::number_unsigned_t;
    using number_float_t = json::number_float_t;
    using string_t = json::string_t;
    using binary_t = json::binary_t;

    flattener(json_flat& out, const json_flat_options& options) : out_(out), options_(options) {}

    bool null() { return scalar({}); }

    bool boolean(bool v) { return scalar({json_kind::boolean, v ? 1 : 0, v ? 1.0 : 0.0, {}}); }

    bool number_integer(number_integer_t v) {
        return scalar({json_kind::integer, v, static_cast<double>(v), {}});
    }

    bool number_unsigned(number_unsigned_t v) {
        if (v > INT64_MAX) return number_float(static_cast<double>(v), {});
        return number_integer(static_cast<number_integer_t>(v));
    }

    bool number_float(number_float_t v, const string_t&) {
        return scalar({json_kind::number, 0, v, {}});
    }

    bool string(string_t& v) {
        if (!levels_.empty() && levels_.back().tag) {
            if (auto f = float_word(v)) {
                levels_.back().tagged = *f;
                return true;
            }
        }
        return scalar({json_kind::string, 0, 0, std::move(v)});
    }

    bool binary(binary_t&) { return fail("binary value"); }

    bool start_object(std::size_t) { return open(json_kind::object); }

    bool key(string_t& k) {
        level& l = levels_.back();
        path_.resize(l.path_size);
        l.tag = k == float_tag;
        l.members++;
        return extend(k);
    }

    bool end_object() { return close(); }

    bool start_array(std::size_t) { return open(json_kind::array); }

    bool end_array() { return close(); }

    bool
    parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) {
        // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ..."
        std::string_view what = e.what();
        std::size_t start = what.find("] ");
        return fail(
            fmt::format("byte {}: {}", position, what.substr(start == what.npos ? 0 : start + 2))
        );
    }

    std::string message;

private:
    struct level {
        json_kind kind;
        std::size_t path_size; // of the container's own path
        std::int64_t members = 0;
        bool tag = false; // the current key is __float__
        std::optional<double> tagged;
    };

    bool fail(std::string why) {
        if (message.empty()) message = std::move(why);
        return false;
    }

    bool extend(std::string_view part) {
        if (!path_.empty()) path_ += '.';
        path_ += part;
        return path_.size() <= max_path ||
               fail("keys nest to a path longer than " + std::to_string(max_path));
    }

    // Path of the value that comes next.
    bool place() {
        if (levels_.empty() || levels_.back().kind == json_kind::object) return true;
        level& l = levels_.back();
        path_.resize(l.path_size);
        return extend(std::to_string(l.members++));
    }

    bool store(json_scalar v) {
        auto [at, fresh] = out_.insert_or_assign(path_, std::move(v));
        return fresh || !options_.refuse_duplicates ||
               fail("duplicate key '" + printable(path_) + "'");
    }

    bool scalar(json_scalar v) { return place() && store(std::move(v)); }

    bool open(json_kind kind) {
        if (levels_.size() >= max_depth)
            return fail("nested deeper than " + std::to_string(max_depth));
        if (!place() || !store({kind, 0, 0, {}})) return false;
        levels_.push_back({kind, path_.size(), 0, false, {}});
        return true;
    }

    bool close() {
        level l = levels_.back();
        levels_.pop_back();
        path_.resize(l.path_size);
        json_scalar& own = out_[path_];
        if (l.tagged && l.members == 1)
            own = {json_kind::number, 0, *l.tagged, {}};
        else
            own.i = l.members;
        return true;
    }

    json_flat& out_;
    const json_flat_options& options_;
    std::string path_;
    std::vector<level> levels_;
};

} // namespace

result<json_flat>
json_flatten(std::string_view text, const std::string& name, const json_flat_options& options) {
    std::string tagged;
    if (text.find("NaN") != text.npos || text.find("Infinity") != text.npos) {
        tagged = tag_float_words(text);
        text = tagged;
    }
    json_flat out;
    flattener sax(out, options);
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), &sax)) {
        return error{RLX_CORRUPT_DATA, fmt::format("{}: {}", name, sax.message)};
    }
    return out;
}

} // namespace rlx
