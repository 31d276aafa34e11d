// SPDX-License-Identifier: GPL-3.0-only
// Opening: mapping the files, collecting their tensors, reading the config.
#include "checkpoint.hpp"

#include "rlx/base/checked.hpp"
#include "rlx/base/log.hpp"
#include "rlx/base/utf8.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/formats/safetensors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <system_error>

namespace rlx {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_config = std::uint64_t{16} << 20;
constexpr std::uint64_t max_index = std::uint64_t{100} << 20;
constexpr std::uint64_t max_sidecar = std::uint64_t{512} << 20;

bool present(const fs::path& p) {
    std::error_code ec;
    return fs::exists(p, ec);
}

// A plain name inside the checkpoint's directory, whatever system wrote it.
bool is_basename(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.find_first_of("/\\") == name.npos &&
           name.find('\0') == name.npos;
}

std::string join(const std::vector<std::string>& names) {
    return fmt::format("{}", fmt::join(names, ", "));
}

} // namespace

result<std::unique_ptr<checkpoint>>
checkpoint::open(const checkpoint_location& where, const open_options& options) {
    std::unique_ptr<checkpoint> out(new checkpoint);
    out->directory_ = where.directory;
    const bool one_file =
        where.kind == checkpoint_kind::gguf || where.kind == checkpoint_kind::plugin;
    out->path_ = one_file ? where.file : where.directory;
    if (where.kind == checkpoint_kind::gguf) RLX_CHECK(out->open_gguf(where));
    if (where.kind == checkpoint_kind::plugin) RLX_CHECK(out->open_plugin(where));
    RLX_CHECK(out->read_config(where, options));
    if (where.kind == checkpoint_kind::safetensors)
        RLX_CHECK(out->add_safetensors_file(where.file, nullptr));
    if (where.kind == checkpoint_kind::safetensors_index) RLX_CHECK(out->open_index(where));
    RLX_CHECK(out->index_names());
    RLX_CHECK(out->take_names(options));
    return out;
}

result<gguf_file> checkpoint::add_gguf_file(const fs::path& file) {
    files_.push_back(RLX_TRY(mapped_file::open(file)));
    gguf_file parsed = RLX_TRY(gguf_file::parse(files_.back().bytes(), file.string()));
    for (const gguf_tensor& t : parsed.tensors()) {
        tensors_.push_back(
            {std::string(t.name),
             static_cast<std::uint16_t>(t.type),
             t.dims,
             t.n_bytes,
             file,
             t.offset}
        );
        file_of_.push_back(static_cast<std::uint32_t>(files_.size() - 1));
    }
    return parsed;
}

result<void> checkpoint::open_gguf(const checkpoint_location& where) {
    std::vector<std::string> names = gguf_part_names(where.file.filename().string());
    // Whatever part was named, the metadata are in the first one.
    fs::path first = names.empty() ? where.file : where.directory / names[0];
    if (!present(first)) first = where.file;
    gguf_ = RLX_TRY(add_gguf_file(first));
    const gguf_value* count = gguf_->find("split.count");
    std::int64_t n = count ? count->integer().value_or(-1) : 1;
    if (n == 1 || n == 0) return {};
    if (n < 0 || n > 99999) {
        return error{
            RLX_CORRUPT_DATA,
            fmt::format("{}: metadata 'split.count' is no sensible number", first.string())};
    }
    return open_gguf_parts(names, n);
}

result<void>
checkpoint::open_gguf_parts(const std::vector<std::string>& names, std::int64_t count) {
    const fs::path first = files_[0].path();
    if (static_cast<std::int64_t>(names.size()) != count) {
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{}: is one of {} parts, so its name must end in -00001-of-{:05}.gguf for the "
                "others to be "
                "found",
                first.string(),
                count,
                count
            )};
    }
    std::vector<std::string> missing;
    for (const std::string& name : names) {
        if (!present(directory_ / name)) missing.push_back(name);
    }
    if (!missing.empty()) {
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "{}: {} of {} parts are missing beside it: {}",
                first.string(),
                missing.size(),
                count,
                join(missing)
            )};
    }
    auto check_part = [&](const gguf_file& part, const fs::path& file, std::int64_t index
                      ) -> result<void> {
        const gguf_value* no = part.find("split.no");
        const gguf_value* of = part.find("split.count");
        std::int64_t is = no ? no->integer().value_or(-1) : -1,
                     all = of ? of->integer().value_or(-1) : -1;
        if (is == index && all == count) return {};
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "{}: says it is part {} of {} (counted from 0), expected part {} of {}",
                file.string(),
                is,
                all,
                index,
                count
            )};
    };
    RLX_CHECK(check_part(*gguf_, first, 0));
    for (std::size_t i = 1; i < names.size(); i++) {
        fs::path file = directory_ / names[i];
        gguf_file part = RLX_TRY(add_gguf_file(file));
        RLX_CHECK(check_part(part, file, static_cast<std::int64_t>(i)));
    }
    const gguf_value* total = gguf_->find("split.tensors.count");
    if (total && total->integer() != static_cast<std::int64_t>(tensors_.size())) {
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "{}: the parts hold {} tensors, 'split.tensors.count' says {}",
                first.string(),
                tensors_.size(),
                total->integer().value_or(-1)
            )};
    }
    return {};
}

result<void> checkpoint::add_safetensors_file(
    const fs::path& file, const std::unordered_map<std::string, std::string>* map
) {
    files_.push_back(RLX_TRY(mapped_file::open(file)));
    safetensors_header header = RLX_TRY(safetensors_parse(files_.back().bytes(), file.string()));
    std::size_t ignored = 0;
    for (safetensors_tensor& t : header.tensors) {
        if (map) {
            auto at = map->find(t.name);
            if (at == map->end() || at->second != file.filename().string()) {
                ignored++;
                continue;
            }
        }
        tensors_.push_back(
            {std::move(t.name), t.dtype, std::move(t.dims), t.n_bytes, file, t.offset}
        );
        file_of_.push_back(static_cast<std::uint32_t>(files_.size() - 1));
    }
    for (auto& [key, value] : header.metadata) {
        config_["__metadata__." + key] = json_scalar{json_kind::string, 0, 0, std::move(value)};
    }
    if (ignored)
        log_warn(
            "weights",
            fmt::format("{}: {} tensors are not in the index, ignored", file.string(), ignored)
        );
    return {};
}

result<void> checkpoint::open_plugin(const checkpoint_location& where) {
    files_.push_back(RLX_TRY(mapped_file::open(where.file)));
    plugin_.emplace(RLX_TRY(plugin_file::open(where.format, where.file, files_[0].bytes())));
    const auto listed = plugin_->tensors();
    tensors_.assign(listed.begin(), listed.end());
    file_of_.assign(tensors_.size(), 0);
    config_ = RLX_TRY(plugin_->config());
    return {};
}

// Rules and alias of plugins for what the file says it is.
result<void> checkpoint::take_names(const open_options& options) {
    if (!options.find_names || stored_architecture().empty()) return {};
    tensor_names names = RLX_TRY(options.find_names(format(), stored_architecture()));
    for (const tensor_names::rule& r : names.rules)
        foreign_.push_back(RLX_TRY(name_rule_make(r.hf, r.stored, r.transform, r.param)));
    run_as_ = std::move(names.architecture);
    return {};
}

result<void> checkpoint::open_index(const checkpoint_location& where) {
    const std::string index = where.file.string();
    std::string text = RLX_TRY(read_text_file(where.file, max_index));
    json_flat doc = RLX_TRY(json_flatten(text, index, {.refuse_duplicates = true}));
    constexpr std::string_view prefix = "weight_map.";
    std::unordered_map<std::string, std::string> map;
    std::set<std::string> shards;
    for (auto at = doc.lower_bound(prefix); at != doc.end() && at->first.starts_with(prefix);
         ++at) {
        std::string name = at->first.substr(prefix.size());
        if (at->second.kind != json_kind::string) {
            return error{
                RLX_CORRUPT_DATA,
                fmt::format("{}: weight_map of '{}' is no file name", index, printable(name))};
        }
        if (!is_basename(at->second.s)) {
            return error{
                RLX_CORRUPT_DATA,
                fmt::format(
                    "{}: weight_map of '{}' is '{}', expected a file name without directories",
                    index,
                    printable(name),
                    printable(at->second.s)
                )};
        }
        shards.insert(at->second.s);
        map.emplace(std::move(name), at->second.s);
    }
    if (map.empty()) return error{RLX_CORRUPT_DATA, index + ": no weight_map"};
    std::vector<std::string> missing;
    for (const std::string& shard : shards) {
        if (!present(where.directory / shard)) missing.push_back(printable(shard));
    }
    if (!missing.empty()) {
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "{}: {} of {} files are missing beside it: {}",
                index,
                missing.size(),
                shards.size(),
                join(missing)
            )};
    }
    files_.reserve(shards.size());
    for (const std::string& shard : shards)
        RLX_CHECK(add_safetensors_file(where.directory / shard, &map));
    if (tensors_.size() == map.size()) return {};
    for (const tensor_info& t : tensors_)
        map.erase(t.name);
    return error{
        RLX_CORRUPT_DATA,
        fmt::format(
            "{}: tensor '{}' is not in {} ({} such)",
            index,
            printable(map.begin()->first),
            printable(map.begin()->second),
            map.size()
        )};
}

result<void>
checkpoint::read_config(const checkpoint_location& where, const open_options& options) {
    fs::path file = options.config;
    explicit_config_ = !file.empty();
    if (!explicit_config_) {
        if (gguf_) return {};
        if (plugin_ && !config_.empty()) return {}; // the file carries its own
        file = where.directory / "config.json";
        if (!present(file)) return {};
    }
    std::string text = RLX_TRY(read_text_file(file, max_config));
    json_flat doc = RLX_TRY(json_flatten(text, file.string()));
    if (doc[""].kind != json_kind::object)
        return error{RLX_CORRUPT_DATA, file.string() + ": expected an object"};
    if (explicit_config_) doc.swap(config_); // its keys win over what a plugin's file says
    config_.merge(doc);
    if (!gguf_ && config_raw(config_, "quantization.bits")) {
        return error{
            RLX_UNSUPPORTED,
            file.string() +
                ": an MLX-quantised checkpoint, which is not read; use the original or a "
                "GGUF file"};
    }
    return {};
}

result<void> checkpoint::index_names() {
    used_.assign(tensors_.size(), 0);
    by_name_.reserve(tensors_.size());
    for (std::uint32_t i = 0; i < tensors_.size(); i++) {
        auto [at, fresh] = by_name_.emplace(tensors_[i].name, i);
        if (fresh) continue;
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "{}: tensor '{}' is in {} too",
                tensors_[i].file.string(),
                printable(tensors_[i].name),
                tensors_[at->second].file.string()
            )};
    }
    bare_names_ = !gguf_ && by_name_.contains("embed_tokens.weight") &&
                  !by_name_.contains("model.embed_tokens.weight");
    return {};
}

std::uint64_t checkpoint::file_bytes() const {
    std::uint64_t n = 0;
    for (const mapped_file& f : files_)
        n += f.size();
    return n;
}

result<std::optional<std::string>> checkpoint::sidecar(std::string_view name) const {
    if (!is_basename(name)) {
        return error{
            RLX_INVALID_ARGUMENT, fmt::format("'{}' is no plain file name", printable(name))};
    }
    if (plugin_) {
        if (auto text = RLX_TRY(plugin_->text(name))) return text;
    }
    fs::path file = directory_ / name;
    if (!present(file)) return std::optional<std::string>();
    return std::optional<std::string>(RLX_TRY(read_text_file(file, max_sidecar)));
}

std::vector<std::string> checkpoint::unused() const {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < tensors_.size(); i++) {
        if (!used_[i]) out.push_back(tensors_[i].name);
    }
    return out;
}

result<std::unique_ptr<weights>> weights::open(const fs::path& path, const open_options& options) {
    host_provide("rlx.weights/1", weights_table());
    checkpoint_location where = RLX_TRY(locate_checkpoint(path, options));
    return std::unique_ptr<weights>(RLX_TRY(checkpoint::open(where, options)));
}

} // namespace rlx
