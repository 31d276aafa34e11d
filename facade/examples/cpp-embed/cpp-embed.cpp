// SPDX-License-Identifier: GPL-3.0-only
// cpp-embed: searches the lines of a file by meaning, over the C++ API rlx/embedder.hpp.
#include <rlx/embedder.hpp>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

namespace {

enum exit_code { exit_failed = 1, exit_usage = 2 };

int report(const rlx::error& e) {
    std::cerr << "error: " << e.message << "\n";
    return e.code == RLX_INVALID_ARGUMENT ? exit_usage : exit_failed;
}

struct line {
    std::string text;
    std::vector<float> vector;
};

// All lines at once: the model takes many of them in a step.
rlx::result<std::vector<line>> read_lines(rlx::text_embedder& model, const std::string& path) {
    std::ifstream file(path);
    if (!file) return rlx::error{RLX_NOT_FOUND, "cannot open " + path};
    std::vector<std::string> texts;
    for (std::string text; std::getline(file, text);)
        if (!text.empty()) texts.push_back(std::move(text));
    const rlx::embed_options how{.truncate = true, .role = rlx::text_role::document};
    auto vectors = RLX_TRY(model.embed(std::span<const std::string>(texts), how));
    std::vector<line> out;
    for (std::size_t i = 0; i < texts.size(); ++i)
        out.push_back({std::move(texts[i]), std::move(vectors[i].values)});
    return out;
}

rlx::result<void>
search(rlx::text_embedder& model, const std::vector<line>& lines, std::string_view query) {
    const auto wanted = RLX_TRY(model.embed(query, {.role = rlx::text_role::query}));
    std::vector<std::pair<double, const line*>> found;
    for (const line& l : lines)
        found.emplace_back(rlx::similar(wanted.values, l.vector, model.recipe().similarity), &l);
    const auto best = std::min<std::ptrdiff_t>(3, std::ssize(found));
    const auto better = [](const auto& a, const auto& b) { return a.first > b.first; };
    std::partial_sort(found.begin(), found.begin() + best, found.end(), better);
    for (const auto& [score, l] : std::span(found).first(static_cast<std::size_t>(best)))
        std::cout << score << " " << l->text << "\n";
    return {};
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " MODEL FILE\nOne query per line.\n";
        return exit_usage;
    }
    auto model = rlx::text_embedder::from_dir(argv[1]);
    if (!model) return report(model.error());
    for (const std::string& warning : (*model)->warnings())
        std::cerr << "note: " << warning << "\n";
    const auto lines = read_lines(**model, argv[2]);
    if (!lines) return report(lines.error());
    for (std::string query; std::getline(std::cin, query);)
        if (auto done = search(**model, *lines, query); !done) return report(done.error());
    return std::cout.flush() ? 0 : exit_failed;
}
