// SPDX-License-Identifier: GPL-3.0-only
// Finds function bodies by braces. Not a parser: it needs code that clang-format has seen.
#include "lint.hpp"

#include <algorithm>
#include <cctype>

namespace lint {
namespace {

bool is_ident(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

bool has_word(std::string_view text, std::string_view word) {
    for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
        const bool before = at == 0 || !is_ident(text[at - 1]);
        const std::size_t end = at + word.size();
        if (before && (end == text.size() || !is_ident(text[end]))) return true;
    }
    return false;
}

enum class scope { container, body, other };

// The part of a declaration before its parameter list.
std::string_view before_parameters(std::string_view head) {
    return head.substr(0, head.find('('));
}

// What the '{' after this head opens, when it stands in a namespace or class.
scope classify(std::string_view head) {
    const std::string_view front = before_parameters(head);
    const bool has_list = front.size() < head.size();
    if (has_word(head, "namespace") || (!has_list && has_word(head, "extern")))
        return scope::container;
    for (const char* word : {"class", "struct", "union"}) {
        if (has_word(front, word) && !has_list) return scope::container;
    }
    if (has_word(front, "enum") || head.ends_with('=')) return scope::other;
    return has_list || head.ends_with(']') ? scope::body : scope::other;
}

std::string name_of(std::string_view head) {
    std::string_view front = before_parameters(head);
    while (!front.empty() && !is_ident(front.back()))
        front.remove_suffix(1);
    std::size_t begin = front.size();
    while (begin > 0 &&
           (is_ident(front[begin - 1]) || front[begin - 1] == ':' || front[begin - 1] == '~'))
        begin--;
    return std::string(front.substr(begin));
}

class finder {
public:
    explicit finder(std::string_view code) : code_(code) {}

    std::vector<function_span> run() && {
        for (std::size_t i = 0; i < code_.size(); i++) {
            const char c = code_[i];
            if (c == '\n') line_++;
            if (c == '{') open(i);
            if (c == '}') close(i);
            if ((c == ';' && parentheses_ == 0)) head_ = i + 1;
            if (c == '(') parentheses_++;
            if (c == ')' && parentheses_ > 0) parentheses_--;
        }
        return std::move(out_);
    }

private:
    bool in_container() const { return depth_ == containers_; }

    void open(std::size_t at) {
        depth_++;
        if (depth_ - 1 != containers_) return; // inside a body or an initialiser
        std::string_view head = code_.substr(head_, at - head_);
        // member_{value}: clang-format puts a space before every other brace.
        if (!head.empty() && (is_ident(head.back()) || head.back() == '>')) return;
        while (!head.empty() && std::isspace(static_cast<unsigned char>(head.back())))
            head.remove_suffix(1);
        const scope kind = classify(head);
        if (kind == scope::container) {
            containers_++;
            head_ = at + 1;
        } else if (kind == scope::body) {
            current_ = {name_of(head), line_, 0};
            in_body_ = true;
        }
    }

    void close(std::size_t at) {
        if (depth_ == 0) return;
        depth_--;
        const bool ends_container = depth_ < containers_;
        const bool ends_body = depth_ == containers_ && in_body_;
        if (ends_container) containers_--;
        if (ends_body) {
            current_.lines = line_ - current_.first_line + 1;
            out_.push_back(current_);
            in_body_ = false;
        }
        if (ends_container || ends_body) {
            head_ = at + 1;
            parentheses_ = 0;
        }
    }

    std::string_view code_;
    std::vector<function_span> out_;
    function_span current_;
    bool in_body_ = false;
    std::size_t head_ = 0;
    std::size_t line_ = 1;
    std::size_t depth_ = 0;
    std::size_t containers_ = 0;
    std::size_t parentheses_ = 0;
};

} // namespace

std::vector<function_span> functions_of(std::string_view code) {
    return finder(code).run();
}

} // namespace lint
