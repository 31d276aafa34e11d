// SPDX-License-Identifier: GPL-3.0-only
// Reads ".rlxg" (rlx/graph/text.hpp). Everything is built through the functions that plugins build
// with, so a text cannot make a graph that a plugin could not.
#include "build.hpp"
#include "custom.hpp"
#include "dtype.hpp"
#include "impl.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/text.hpp"
#include "text.hpp"
#include "views.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <map>

namespace rlx {

namespace ir {

namespace {

// Where the reader is; all reading skips blanks first.
class cursor {
public:
    cursor(std::string_view text, std::string_view name) : text_(text), name_(name) {}

    error fail(std::string_view what) const { return fail_at(at_, what); }

    error fail_at(std::size_t at, std::string_view what) const {
        std::size_t line = 1, column = 1;
        for (std::size_t i = 0; i < at && i < text_.size(); i++)
            text_[i] == '\n' ? (line++, column = 1) : column++;
        return {RLX_CORRUPT_DATA, fmt::format("{}:{}:{}: {}", name_, line, column, what)};
    }

    std::size_t here() {
        blanks();
        return at_;
    }

    bool end_of_text() {
        blanks();
        return at_ >= text_.size();
    }

    bool end_of_line() {
        blanks();
        return at_ >= text_.size() || text_[at_] == '\n';
    }

    // Past the end of this line; an error when something is left on it.
    result<void> next_line() {
        if (!end_of_line()) return fail("expected the end of the line");
        if (at_ < text_.size()) at_++;
        return {};
    }

    bool take(std::string_view token) {
        blanks();
        if (!text_.substr(at_).starts_with(token)) return false;
        at_ += token.size();
        return true;
    }

    result<void> expect(std::string_view token) {
        if (take(token)) return {};
        return fail(fmt::format("expected '{}'", token));
    }

    // Letters, digits and what `more` adds; may be empty.
    std::string_view word(std::string_view more = "_") {
        blanks();
        const std::size_t from = at_;
        while (at_ < text_.size() && (is_alnum(text_[at_]) || more.find(text_[at_]) != more.npos))
            at_++;
        return text_.substr(from, at_ - from);
    }

    // Up to a blank: names of symbols.
    std::string_view bare() {
        blanks();
        const std::size_t from = at_;
        while (at_ < text_.size() && text_[at_] != ' ' && text_[at_] != '\n')
            at_++;
        return text_.substr(from, at_ - from);
    }

    template <class T>
    result<T> number(std::string_view what) {
        blanks();
        T v{};
        const char* from = text_.data() + at_;
        const auto [end, code] = std::from_chars(from, text_.data() + text_.size(), v);
        if (code != std::errc{}) return fail(fmt::format("expected {}", what));
        at_ += static_cast<std::size_t>(end - from);
        return v;
    }

    result<std::string> quoted() {
        RLX_CHECK(expect("'"));
        std::string s;
        for (; at_ < text_.size() && text_[at_] != '\'' && text_[at_] != '\n'; at_++) {
            if (text_[at_] != '\\' || at_ + 1 >= text_.size()) {
                s += text_[at_];
                continue;
            }
            const char c = text_[++at_];
            s += c == 'n' ? '\n' : c;
        }
        if (at_ >= text_.size() || text_[at_] != '\'') return fail("a name without its second '");
        at_++;
        return s;
    }

    std::string_view rest() const { return text_.substr(at_); }

    void skip(std::size_t n) { at_ += n; }

private:
    static bool is_alnum(char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    }

    // Blanks and a comment, not the end of the line.
    void blanks() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r')
        )
            at_++;
        if (at_ < text_.size() && text_[at_] == '#')
            while (at_ < text_.size() && text_[at_] != '\n')
                at_++;
    }

    std::string_view text_, name_;
    std::size_t at_ = 0;
};

struct typed {
    std::uint16_t dtype = 0;
    std::vector<dim> dims;
    std::size_t at = 0;
};

class parser {
public:
    parser(graph_impl& g, weights* w, std::string_view text, std::string_view name)
        : g_(g), m_(g.m), weights_(w), c_(text, name) {}

    result<void> run() {
        RLX_CHECK(c_.expect("rlxg"));
        if (RLX_TRY(c_.number<int>("the version, 1")) != 1) return c_.fail("expected version 1");
        RLX_CHECK(c_.next_line());
        while (!c_.end_of_text()) {
            if (!c_.end_of_line()) RLX_CHECK(line());
            RLX_CHECK(c_.next_line());
        }
        return {};
    }

private:
    result<void> line() {
        const std::size_t at = c_.here();
        if (c_.rest().starts_with("%")) return node_line();
        const std::string_view word = c_.word();
        if (word == "symbol") return symbol_line(at);
        if (word == "input") return input_line(at);
        if (word == "weight") return weight_line(at);
        if (word == "constant") return constant_line(at);
        if (word == "state") return state_line(at);
        if (word == "output") return output_line(at);
        return c_.fail_at(
            at, "expected symbol, input, weight, constant, state, output or a node's %results"
        );
    }

    // What building says, with the place in the text.
    template <class T>
    result<T> placed(result<T> r, std::size_t at) const {
        if (r) return r;
        return c_.fail_at(at, r.error().message);
    }

    result<void> symbol_line(std::size_t at) {
        const std::string name(c_.bare());
        const auto lo = RLX_TRY(c_.number<std::int64_t>("the least extent"));
        RLX_CHECK(c_.expect("to"));
        const auto hi = RLX_TRY(c_.number<std::int64_t>("the largest extent"));
        std::int64_t step = 1;
        if (c_.take("step")) step = RLX_TRY(c_.number<std::int64_t>("a step"));
        if (symbols_.count(name))
            return c_.fail_at(at, fmt::format("symbol '{}' given twice", name));
        symbols_[name] = RLX_TRY(placed(m_.dims.add_symbol(name, lo, hi, step), at));
        return {};
    }

    // ---- values ----

    result<std::uint64_t> new_id() {
        const std::size_t at = c_.here();
        RLX_CHECK(c_.expect("%"));
        const auto id = RLX_TRY(c_.number<std::uint64_t>("a value's number"));
        if (id == 0 || ids_.count(id))
            return c_.fail_at(
                at, fmt::format("value %{} is {}", id, id ? "there already" : "no id")
            );
        return id;
    }

    result<rlx_value> known_id() {
        const std::size_t at = c_.here();
        RLX_CHECK(c_.expect("%"));
        const auto id = RLX_TRY(c_.number<std::uint64_t>("a value's number"));
        const auto it = ids_.find(id);
        if (it == ids_.end()) return c_.fail_at(at, fmt::format("value %{} is not there yet", id));
        return it->second;
    }

    result<std::uint16_t> dtype() {
        const std::size_t at = c_.here();
        const std::string_view name = c_.word();
        for (std::uint16_t t = 0; t < 0x110; t++)
            if (layout_of(t).bytes != 0 && dtype_name(t) == name) return t;
        return c_.fail_at(at, fmt::format("unknown type '{}'", name));
    }

    result<typed> type() {
        typed t;
        t.at = c_.here();
        t.dtype = RLX_TRY(dtype());
        t.dims = RLX_TRY(dims());
        return t;
    }

    result<void> input_line(std::size_t at) {
        const auto id = RLX_TRY(new_id());
        const std::string name = RLX_TRY(c_.quoted());
        const typed t = RLX_TRY(type());
        if (m_.find(RLX_VALUE_INPUT, name))
            return c_.fail_at(at, fmt::format("input '{}' given twice", name));
        const auto rank = static_cast<std::uint32_t>(t.dims.size());
        ids_[id] = RLX_TRY(placed(build_input(m_, name, t.dtype, rank, t.dims.data()), at));
        return {};
    }

    result<void> weight_line(std::size_t at) {
        const auto id = RLX_TRY(new_id());
        const std::string name = RLX_TRY(c_.quoted());
        const typed t = RLX_TRY(type());
        if (m_.find(RLX_VALUE_WEIGHT, name))
            return c_.fail_at(at, fmt::format("weight '{}' given twice", name));
        for (dim d : t.dims)
            if (d < 0) return c_.fail_at(t.at, "a weight's dims are numbers");
        ids_[id] = RLX_TRY(placed(weights_ ? stored(name, t) : imagined(name, t), at));
        return {};
    }

    result<rlx_value> stored(const std::string& name, const typed& t) {
        const rlx_value v = RLX_TRY(build_weight(m_, g_.source, name, t.dims, 0));
        if (m_.at(v).dtype == t.dtype) return v;
        return error{
            RLX_CORRUPT_DATA, fmt::format("{} is not {}", describe(m_, v), dtype_name(t.dtype))};
    }

    result<rlx_value> imagined(const std::string& name, const typed& t) {
        value v;
        v.kind = RLX_VALUE_WEIGHT;
        v.dtype = t.dtype;
        v.name = name;
        v.dims = t.dims;
        if (!layout_of(t.dtype).packed()) v.strides = RLX_TRY(contiguous_strides(m_.dims, v.dims));
        return m_.push(std::move(v));
    }

    result<void> constant_line(std::size_t at) {
        const auto id = RLX_TRY(new_id());
        const typed t = RLX_TRY(type());
        const std::size_t from = c_.here();
        const std::string_view hex = c_.word();
        std::vector<unsigned char> bytes(hex.size() / 2);
        for (std::size_t i = 0; i < bytes.size(); i++) {
            const char* p = hex.data() + 2 * i;
            const auto [end, code] = std::from_chars(p, p + 2, bytes[i], 16);
            if (code != std::errc{} || end != p + 2)
                return c_.fail_at(from + 2 * i, "expected two hexadecimal digits");
        }
        if (hex.size() % 2 != 0) return c_.fail_at(from, "half a byte");
        ids_[id] =
            RLX_TRY(placed(build_constant(m_, t.dtype, t.dims, {bytes.data(), bytes.size()}), at));
        return {};
    }

    result<void> state_line(std::size_t at) {
        const auto id = RLX_TRY(new_id());
        const std::string name = RLX_TRY(c_.quoted());
        rlx_state_slot slot{};
        slot.size = sizeof slot;
        if (c_.take("kv"))
            slot.kind = RLX_STATE_KV;
        else if (c_.take("tensor"))
            slot.kind = RLX_STATE_TENSOR;
        else
            return c_.fail("expected kv or tensor");
        slot.n_heads = RLX_TRY(c_.number<std::int64_t>("a number of heads"));
        RLX_CHECK(c_.expect("x"));
        slot.k_dim = RLX_TRY(c_.number<std::int64_t>("a width"));
        RLX_CHECK(c_.expect("x"));
        slot.v_dim = RLX_TRY(c_.number<std::int64_t>("a width"));
        if (m_.find(RLX_VALUE_STATE, name))
            return c_.fail_at(at, fmt::format("state '{}' given twice", name));
        ids_[id] = RLX_TRY(placed(build_state(m_, name, slot), at));
        return {};
    }

    result<void> output_line(std::size_t at) {
        const std::string name = RLX_TRY(c_.quoted());
        const rlx_value v = RLX_TRY(known_id());
        return placed(build_output(m_, name, v), at);
    }

    // ---- dims ----

    result<std::vector<dim>> dims() {
        std::vector<dim> list;
        RLX_CHECK(c_.expect("["));
        if (c_.take("]")) return list;
        do {
            if (list.size() >= RLX_MAX_RANK) return c_.fail("more than 8 numbers");
            list.push_back(RLX_TRY(sum()));
        } while (c_.take(","));
        RLX_CHECK(c_.expect("]"));
        return list;
    }

    result<dim> sum() {
        const std::size_t at = c_.here();
        if (++depth_ > 64) return c_.fail("an expression nested more than 64 deep");
        dim plus = 0, minus = 0;
        bool negative = c_.take("-");
        do {
            dim& to = negative ? minus : plus;
            to = RLX_TRY(placed(m_.dims.add(to, RLX_TRY(term())), at));
            negative = c_.take("-");
        } while (negative || c_.take("+"));
        depth_--;
        return minus == 0 ? plus : placed(m_.dims.sub(plus, minus), at);
    }

    result<dim> term() {
        const std::size_t at = c_.here();
        dim d = RLX_TRY(factor());
        while (true) {
            const bool times = c_.take("*");
            if (!times && !c_.take("/")) return d;
            const dim by = RLX_TRY(factor());
            d = RLX_TRY(placed(m_.dims.apply(times ? RLX_DIM_MUL : RLX_DIM_DIV, d, by), at));
        }
    }

    result<dim> factor() {
        const std::size_t at = c_.here();
        if (c_.rest().empty()) return c_.fail("expected a dim");
        if (c_.rest()[0] >= '0' && c_.rest()[0] <= '9') return c_.number<std::int64_t>("a dim");
        static constexpr std::pair<std::string_view, std::uint32_t> calls[] = {
            {"ceil(", RLX_DIM_CEIL_DIV},
            {"div(", RLX_DIM_DIV},
            {"min(", RLX_DIM_MIN},
            {"max(", RLX_DIM_MAX}};
        for (const auto& [name, op] : calls) {
            if (!c_.take(name)) continue;
            const dim a = RLX_TRY(sum());
            RLX_CHECK(c_.expect(","));
            const dim b = RLX_TRY(sum());
            RLX_CHECK(c_.expect(")"));
            return placed(m_.dims.apply(op, a, b), at);
        }
        // The longest symbol that fits: names are not limited to letters.
        const std::pair<const std::string, dim>* best = nullptr;
        for (const auto& s : symbols_)
            if (c_.rest().starts_with(s.first) && (!best || s.first.size() > best->first.size()))
                best = &s;
        if (!best)
            return c_.fail("expected a dim: a number, a declared symbol, ceil, div, min, max");
        c_.skip(best->first.size());
        return best->second;
    }

    // ---- nodes ----

    struct result_line {
        std::uint64_t id;
        bool state;
        typed type;
    };

    struct arguments {
        std::vector<rlx_value> in;
        attr_list attrs;
    };

    result<void> node_line() {
        const std::size_t at = c_.here();
        std::vector<result_line> outs;
        do {
            result_line r{RLX_TRY(new_id()), false, {}};
            (void)c_.here();
            r.state = c_.rest().starts_with(",") || c_.rest().starts_with("=");
            if (!r.state) r.type = RLX_TRY(type());
            outs.push_back(std::move(r));
        } while (c_.take(","));
        RLX_CHECK(c_.expect("="));
        const std::size_t op_at = c_.here();
        const auto made = RLX_TRY(call(op_at, outs.size()));
        for (std::size_t i = 0; i < outs.size(); i++)
            RLX_CHECK(check_result(outs[i], made[i], at));
        return {};
    }

    result<void> check_result(const result_line& r, rlx_value made, std::size_t at) {
        const value& v = m_.at(made);
        const bool state = v.kind == RLX_VALUE_STATE;
        const bool same =
            r.state == state && (state || (r.type.dtype == v.dtype && r.type.dims == v.dims));
        if (!same)
            return c_.fail_at(
                r.state ? at : r.type.at,
                fmt::format(
                    "the op gives {}",
                    state ? "a state" : dtype_name(v.dtype) + " " + m_.dims.text(v.dims)
                )
            );
        if (ids_.count(r.id))
            return c_.fail_at(at, fmt::format("value %{} is there already", r.id));
        ids_[r.id] = made;
        return {};
    }

    result<std::vector<rlx_value>> call(std::size_t at, std::size_t n_out) {
        if (c_.rest().starts_with("'")) return call_custom(at, n_out);
        const std::string_view name = c_.word();
        const op_desc* op = op_by_name(name);
        if (!op || op->id == RLX_OP_Custom)
            return c_.fail_at(at, fmt::format("unknown op '{}'", name));
        if (n_out != op->n_outputs)
            return c_.fail_at(at, fmt::format("{} has {} results", name, op->n_outputs));
        const arguments args = RLX_TRY(list_of(op));
        m_.origin = RLX_TRY(origin());
        return placed(build_node(m_, op->id, args.in, args.attrs.items), at);
    }

    result<std::vector<rlx_value>> call_custom(std::size_t at, std::size_t n_out) {
        const std::string name = RLX_TRY(c_.quoted());
        const auto version = RLX_TRY(c_.number<std::uint32_t>("the op's version"));
        const arguments args = RLX_TRY(list_of(nullptr));
        m_.origin = RLX_TRY(origin());
        auto op = RLX_TRY(placed(g_.find_op(name, version), at));
        if (n_out != op->desc.n_outputs)
            return c_.fail_at(at, fmt::format("{} has {} results", name, op->desc.n_outputs));
        return placed(build_custom(m_, g_.handle(), std::move(op), args.in, args.attrs.items), at);
    }

    result<std::string> origin() {
        if (!c_.take("@")) return std::string();
        return c_.quoted();
    }

    // "(%1, _, key=value)"; op is null for a plugin's.
    result<arguments> list_of(const op_desc* op) {
        arguments args;
        RLX_CHECK(c_.expect("("));
        if (c_.take(")")) return args;
        do {
            const std::size_t at = c_.here();
            if (c_.rest().starts_with("%")) {
                if (!args.attrs.items.empty()) return c_.fail("inputs come before attributes");
                args.in.push_back(RLX_TRY(known_id()));
            } else if (c_.rest().starts_with("_")) {
                c_.skip(1);
                args.in.push_back(0);
            } else {
                RLX_CHECK(attribute(op, at, args.attrs));
            }
        } while (c_.take(","));
        RLX_CHECK(c_.expect(")"));
        return args;
    }

    result<void> attribute(const op_desc* op, std::size_t at, attr_list& to) {
        rlx_attr a{};
        a.required = 1;
        std::vector<std::int64_t> list;
        if (op) {
            const std::string_view name = c_.word();
            const auto it =
                std::find_if(op->attrs.begin(), op->attrs.end(), [&](const attr_desc& d) {
                    return d.name == name;
                });
            if (it == op->attrs.end())
                return c_.fail_at(at, fmt::format("{} has no attribute '{}'", op->name, name));
            a.key = it->key;
            a.kind = it->kind;
            RLX_CHECK(c_.expect("="));
        } else {
            RLX_CHECK(c_.expect("0x"));
            std::uint16_t key = 0;
            const std::string_view hex = c_.word();
            const auto [end, code] = std::from_chars(hex.data(), hex.data() + hex.size(), key, 16);
            if (code != std::errc{} || end != hex.data() + hex.size())
                return c_.fail_at(at, "expected an attribute's number, 0x8000 to 0xffff");
            a.key = key;
            RLX_CHECK(c_.expect("="));
            a.kind = kind_of_text();
        }
        RLX_CHECK(attribute_value(op, a, list));
        to.put(a);
        return {};
    }

    // A plugin's attribute says by its looks what it is: [..] a list, with a point, an exponent or
    // a word a real number, else a whole one.
    std::uint16_t kind_of_text() {
        (void)c_.here();
        if (c_.rest().starts_with("[")) return RLX_ATTR_LIST;
        const std::string_view v = c_.rest().substr(0, c_.rest().find_first_of(",) \n"));
        return v.find_first_of(".einf") == v.npos ? RLX_ATTR_I64 : RLX_ATTR_F64;
    }

    result<void> attribute_value(const op_desc* op, rlx_attr& a, std::vector<std::int64_t>& list) {
        const bool dims_inside = op && holds_dims(op->id, a.key);
        if (a.kind == RLX_ATTR_F64) {
            a.f = RLX_TRY(c_.number<double>("a number"));
        } else if (a.kind == RLX_ATTR_I64 && a.key == RLX_ATTR_dtype) {
            a.i = RLX_TRY(dtype());
        } else if (a.kind == RLX_ATTR_I64) {
            a.i = dims_inside ? RLX_TRY(sum()) : RLX_TRY(c_.number<std::int64_t>("a whole number"));
        } else if (dims_inside) {
            list = RLX_TRY(dims());
        } else {
            RLX_CHECK(c_.expect("["));
            while (!c_.take("]")) {
                if (!list.empty()) RLX_CHECK(c_.expect(","));
                list.push_back(RLX_TRY(c_.number<std::int64_t>("a whole number")));
            }
        }
        a.list = list.data();
        a.n = list.size();
        return {};
    }

    graph_impl& g_;
    module& m_;
    weights* weights_;
    cursor c_;
    int depth_ = 0;
    std::map<std::string, dim> symbols_;
    std::map<std::uint64_t, rlx_value> ids_; // by number in the text
};

} // namespace

} // namespace ir

result<std::unique_ptr<graph>>
graph_parse(std::string_view text, std::string_view name, weights* w, custom_op_finder find_op) {
    auto g = graph::create(w, std::move(find_op));
    RLX_CHECK(ir::parser(ir::impl(g->handle()), w, text, name).run());
    ir::impl(g->handle()).m.origin.clear();
    return g;
}

} // namespace rlx
