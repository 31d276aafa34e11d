// SPDX-License-Identifier: GPL-3.0-only
// rlx-embed --rerank QUERY: the texts by how well they answer it, the best first.
#include "embed_bulk.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace rlx::cli {
namespace {

struct candidate_text {
    embed_item item;
    ranked rank;
};

constexpr std::size_t window_texts = 256;

std::string line_of(std::size_t place, const candidate_text& c) {
    json doc{{"rank", place}, {"index", c.item.index}};
    if (!c.item.id.empty()) doc["id"] = json::parse(c.item.id);
    if (c.item.failed) {
        doc.erase("rank");
        doc["error"] = {{"message", c.item.failed->message}};
        return dump(doc) + "\n";
    }
    doc["score"] = c.rank.score;
    doc["tokens"] = c.rank.tokens;
    if (c.rank.dropped > 0) doc["dropped"] = c.rank.dropped;
    doc["text"] = c.item.text;
    return dump(doc) + "\n";
}

} // namespace

result<int> rank_texts(const arguments& a, const embed_job& job, text_reranker& model) {
    rerank_options o;
    o.sigmoid = a.has("sigmoid");
    o.sort = false;
    o.truncate = a.has("truncate");
    o.cancel = &cancel_flag();
    auto source = RLX_TRY(open_texts(a));
    std::vector<candidate_text> all;
    std::size_t failed = 0;
    for (bool more = true; more;) {
        std::vector<std::string> texts;
        const std::size_t first = all.size();
        while (texts.size() < window_texts) {
            auto item = RLX_TRY(source->next());
            more = item.has_value();
            if (!more) break;
            failed += item->failed ? 1 : 0;
            if (!item->failed) texts.push_back(item->text);
            all.push_back({std::move(*item), {}});
        }
        const auto ranks = RLX_TRY(model.rerank(a.text("rerank"), texts, o));
        std::size_t next = 0;
        for (std::size_t i = first; i < all.size(); i++)
            if (!all[i].item.failed) all[i].rank = ranks[next++];
    }
    std::ranges::stable_sort(all, [](const candidate_text& x, const candidate_text& y) {
        if (x.item.failed || y.item.failed) return !x.item.failed && y.item.failed.has_value();
        return x.rank.score > y.rank.score;
    });
    std::string out;
    for (std::size_t i = 0; i < all.size(); i++)
        out += line_of(i, all[i]);
    if (a.text("out", "-") == "-")
        RLX_CHECK(print(out));
    else
        RLX_CHECK(write_file(a.text("out"), out));
    return exit_of_failures(job, failed, all.size(), "texts");
}

} // namespace rlx::cli
