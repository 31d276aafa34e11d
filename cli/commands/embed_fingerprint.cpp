// SPDX-License-Identifier: GPL-3.0-only
// What a run of rlx-embed is known again by: all that decides its output, but for the input.
#include "embed_job.hpp"

#include "rlx/base/mmap.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace rlx::cli {
namespace {

namespace fs = std::filesystem;

// Files that say how a text becomes ids, ids a vector, or a picture pixels. Whatever else lies in
// the folder is none of the run's business.
constexpr std::string_view config_files[] = {
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "preprocessor_config.json"};

template <class T>
std::string_view bytes_of(std::span<const T> values) {
    return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

// Length first: two texts one after the other are not those of another place to cut.
std::uint64_t add(std::uint64_t hash, std::string_view bytes) {
    return hash_bytes(bytes, hash_bytes(fmt::format("{}:", bytes.size()), hash));
}

std::uint64_t add_file(std::uint64_t hash, const fs::path& path, std::uint64_t most) {
    const auto file = mapped_file::open(path);
    if (!file) return add(hash, "none");
    const auto n = std::min<std::uint64_t>(most, file->size());
    return add(hash, {reinterpret_cast<const char*>(file->data()), n});
}

// The files' sizes and a sample of their bytes: weights that were trained on differ everywhere.
// What stands before the tensors (a GGUF's keys and vocabulary) is read whole.
std::uint64_t hash_of_weights(const weights& w) {
    std::uint64_t hash = hash_bytes(fmt::format("{} {}", w.architecture(), w.file_bytes()));
    fs::path open_file;
    std::optional<mapped_file> file;
    const std::size_t step = std::max<std::size_t>(1, w.tensors().size() / 64);
    std::uint64_t head = UINT64_MAX;
    for (std::size_t i = 0; i < w.tensors().size(); i++) {
        const tensor_info& t = w.tensors()[i];
        if (t.file == w.tensors().front().file) head = std::min(head, t.offset);
        if (i % step != 0) continue;
        hash = hash_bytes(fmt::format("{} {} {}", t.name, t.dtype, t.n_bytes), hash);
        if (!file || t.file != open_file) {
            auto opened = mapped_file::open(t.file);
            if (!opened) continue;
            file.emplace(std::move(*opened));
            open_file = t.file;
        }
        constexpr std::uint64_t sample = 4096;
        const std::uint64_t n = std::min(sample, t.n_bytes);
        const std::uint64_t at = t.offset + (t.n_bytes - n) / 2;
        if (at + n > file->size()) continue;
        hash = hash_bytes({reinterpret_cast<const char*>(file->data() + at), n}, hash);
    }
    return w.tensors().empty() ? hash : add_file(hash, w.tensors().front().file, head);
}

std::uint64_t hash_of_files(std::uint64_t hash, const arguments& a, const weights& w) {
    constexpr std::uint64_t largest = std::uint64_t{256} << 20;
    const fs::path folder =
        w.tensors().empty() ? fs::path() : w.tensors().front().file.parent_path();
    // A GGUF has all of it inside; its neighbours are other models' files.
    const bool inside = w.tensors().empty() || w.tensors().front().file.extension() == ".gguf";
    for (const std::string_view name : config_files)
        if (!inside) hash = add_file(hash, folder / name, largest);
    for (const std::string_view flag : {"config", "tokenizer", "preprocessor"})
        if (a.has(flag)) hash = add_file(hash, a.text(flag), largest);
    return hash;
}

std::string options_of(const arguments& a, const embed_job& job) {
    const embed_options& o = job.options;
    std::string out = fmt::format(
        "{} {} {} {} {} {}/{} {} {} {} {} {}",
        pooling_name(o.pooling),
        static_cast<int>(o.normalise),
        o.dimensions,
        o.truncate,
        static_cast<int>(o.role),
        job.shard,
        job.shards,
        static_cast<int>(job.format),
        quantisation_name(job.quantise),
        job.metric_given ? static_cast<int>(job.metric) : -1,
        a.integer("img-size", 0),
        o.prompt ? 1 : 0
    );
    for (const std::string_view flag : {"input", "field", "id-field"})
        out += fmt::format("\n{}", a.text(flag));
    return out;
}

} // namespace

std::uint64_t hash_of(const embedding_recipe& r) {
    std::uint64_t hash = hash_bytes(fmt::format(
        "{} {} {} {} {} {} {} {}",
        pooling_name(r.pooling),
        r.normalise,
        r.include_prompt,
        r.max_length,
        r.dimensions,
        r.default_prompt,
        static_cast<int>(r.similarity),
        r.norm_before_cut
    ));
    for (const pooling more : r.more_pooling)
        hash = add(hash, pooling_name(more));
    for (const auto& [name, text] : r.prompts)
        hash = add(add(hash, name), text);
    for (const vector_module& m : r.modules) {
        hash = add(
            hash,
            fmt::format(
                "{} {} {} {} {}", static_cast<int>(m.what), m.in, m.out, m.activation, m.add_input
            )
        );
        for (const auto* values : {&m.weight, &m.bias, &m.residual})
            hash = add(hash, bytes_of<float>(*values));
    }
    return hash;
}

std::string fingerprint_of(
    const arguments& a,
    const embed_job& job,
    const weights& w,
    const run_facts& facts,
    std::string_view more
) {
    std::uint64_t hash = hash_of_files(hash_of_weights(w), a, w);
    hash = add(hash, options_of(a, job));
    hash = add(hash, job.options.prompt_name);
    hash = add(hash, job.options.prompt.value_or(""));
    hash = add(hash, more);
    // Exact sums are the same to rounding wherever they are made; what is rounded on purpose is
    // rounded as the device and its kernels do.
    hash = add(hash, facts.compute);
    if (facts.compute != "f32") hash = add(hash, fmt::format("{} {}", facts.device, facts.tier));
    for (const std::vector<float>* list : {&job.ranges.low, &job.ranges.high})
        hash = add(hash, bytes_of<float>(*list));
    for (const std::string& text : job.similar_to)
        hash = add(hash, text);
    return fmt::format("{:016x}", hash);
}

} // namespace rlx::cli
