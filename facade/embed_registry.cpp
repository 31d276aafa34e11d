// SPDX-License-Identifier: GPL-3.0-only
// What the cards and sentence-transformers files of well-known models say, and where the Hugging
// Face cache has them.
#include "rlx/embedder.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/base/mmap.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace rlx {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view search_instruction =
    "Represent this sentence for searching relevant passages: ";
constexpr std::string_view search_instruction_zh = "为这个句子生成表示以用于检索相关文章：";
constexpr std::string_view qwen_instruction =
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:";

using enum pooling;

// {name, dimensions, pooling, max_length, normalise, query, document, matryoshka, norm_before_cut}
constexpr known_embedder table[] = {
    {"sentence-transformers/all-MiniLM-L6-v2", 384, mean, 256},
    {"sentence-transformers/all-MiniLM-L12-v2", 384, mean, 128},
    {"sentence-transformers/all-mpnet-base-v2", 768, mean, 384},
    {"sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", 384, mean, 128, false},
    {"sentence-transformers/paraphrase-multilingual-mpnet-base-v2", 768, mean, 128, false},
    {"BAAI/bge-small-en-v1.5", 384, cls, 512, true, search_instruction},
    {"BAAI/bge-base-en-v1.5", 768, cls, 512, true, search_instruction},
    {"BAAI/bge-large-en-v1.5", 1024, cls, 512, true, search_instruction},
    {"BAAI/bge-small-zh-v1.5", 512, cls, 512, true, search_instruction_zh},
    {"BAAI/bge-base-zh-v1.5", 768, cls, 512, true, search_instruction_zh},
    {"BAAI/bge-large-zh-v1.5", 1024, cls, 512, true, search_instruction_zh},
    {"BAAI/bge-m3", 1024, cls, 8192},
    {"intfloat/e5-small-v2", 384, mean, 512, true, "query: ", "passage: "},
    {"intfloat/e5-base-v2", 768, mean, 512, true, "query: ", "passage: "},
    {"intfloat/e5-large-v2", 1024, mean, 512, true, "query: ", "passage: "},
    {"intfloat/multilingual-e5-small", 384, mean, 512, true, "query: ", "passage: "},
    {"intfloat/multilingual-e5-base", 768, mean, 512, true, "query: ", "passage: "},
    {"intfloat/multilingual-e5-large", 1024, mean, 512, true, "query: ", "passage: "},
    {"Snowflake/snowflake-arctic-embed-xs", 384, cls, 512, true, search_instruction},
    {"Snowflake/snowflake-arctic-embed-s", 384, cls, 512, true, search_instruction},
    {"Snowflake/snowflake-arctic-embed-m", 768, cls, 512, true, search_instruction},
    {"Snowflake/snowflake-arctic-embed-l", 1024, cls, 512, true, search_instruction},
    {"mixedbread-ai/mxbai-embed-large-v1", 1024, cls, 512, true, search_instruction, "", true},
    {"nomic-ai/nomic-embed-text-v1", 768, mean, 8192, true, "search_query: ", "search_document: "},
    {"nomic-ai/nomic-embed-text-v1.5",
     768,
     mean,
     8192,
     true,
     "search_query: ",
     "search_document: ",
     true,
     true},
    {"Qwen/Qwen3-Embedding-0.6B", 1024, last, 32768, true, qwen_instruction, "", true},
    {"Qwen/Qwen3-Embedding-4B", 2560, last, 32768, true, qwen_instruction, "", true},
    {"Qwen/Qwen3-Embedding-8B", 4096, last, 32768, true, qwen_instruction, "", true},
};

std::string_view bare(std::string_view name) {
    return name.substr(name.rfind('/') + 1);
}

// The commit that a branch or tag stands for; a commit stands for itself.
std::string commit_of(const fs::path& repo, const std::string& revision) {
    constexpr std::uint64_t largest = 4096;
    auto text = read_text_file(repo / "refs" / revision, largest);
    std::string commit = text ? *text : revision;
    while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' '))
        commit.pop_back();
    return commit;
}

bool plain_part(std::string_view part) {
    return !part.empty() && part.find_first_of("/\\") == part.npos && !part.starts_with('.');
}

// "main", or "refs/pr/1": folders below refs.
bool plain_path(std::string_view path) {
    for (std::size_t at = path.find('/'); at != path.npos; at = path.find('/')) {
        if (!plain_part(path.substr(0, at))) return false;
        path.remove_prefix(at + 1);
    }
    return plain_part(path);
}

error not_there(std::string_view name, const fs::path& cache, std::string_view why) {
    return {
        RLX_NOT_FOUND,
        fmt::format(
            "model '{}' is not in the Hugging Face cache {}: {}; nothing is downloaded here: fetch "
            "it with 'huggingface-cli download {}', set HF_HUB_CACHE or HF_HOME, or name its "
            "folder",
            name,
            cache.string(),
            why,
            name.substr(0, name.find('@'))
        )};
}

} // namespace

std::span<const known_embedder> known_embedders() {
    return table;
}

result<fs::path> hub_snapshot(std::string_view name) {
    std::string repo(name.substr(0, name.find('@')));
    const std::string revision =
        repo.size() < name.size() ? std::string(name.substr(repo.size() + 1)) : "main";
    if (repo.find('/') == repo.npos) {
        const auto* known = std::ranges::find_if(table, [&](const known_embedder& k) {
            return bare(k.name) == repo;
        });
        if (known != std::end(table)) repo = known->name;
    }
    const std::size_t slash = repo.find('/');
    const std::string_view last =
        slash == repo.npos ? std::string_view(repo) : std::string_view(repo).substr(slash + 1);
    if (!plain_part(last) || !plain_part(std::string_view(repo).substr(0, slash)) ||
        !plain_path(revision))
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("'{}' is no model name, expected 'organisation/name[@revision]'", name)};
    if (slash != repo.npos) repo.replace(slash, 1, "--");
    const fs::path cache = hf_hub_cache(), folder = cache / ("models--" + repo);
    std::error_code ignored;
    if (!fs::is_directory(folder, ignored)) return not_there(name, cache, "no such model there");
    const fs::path snapshot = folder / "snapshots" / commit_of(folder, revision);
    if (!fs::is_directory(snapshot, ignored))
        return not_there(name, cache, fmt::format("it has no revision '{}'", revision));
    return snapshot;
}

} // namespace rlx
