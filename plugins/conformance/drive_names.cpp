// SPDX-License-Identifier: GPL-3.0-only
// "rlx.tensor_names/1" and "rlx.cli/1": lists of things with a description each.
#include "driver.hpp"
#include "loan.hpp"

#include "rlx/abi/cli.h"
#include "rlx/abi/tensor_names.h"
#include "rlx/base/wall.hpp"

#include <cstring>
#include <list>
#include <nlohmann/json.hpp>

namespace conformance {
namespace {

using rlx::str;

// What the two have in common: count and describe.
template <class Table>
class list_driver : public driver {
public:
    list_driver(const subject& s, const void* table)
        : subject_(s), t_(static_cast<const Table*>(table)), self_(s.table().self) {}

    std::vector<std::string> names() override {
        std::vector<std::string> out;
        const std::uint32_t n = count();
        for (std::uint32_t i = 0; i < n; i++) {
            rlx_item item{};
            item.size = sizeof item;
            if (rlx_error* e = describe(i, &item))
                throw failed{"describe fails: " + take(e).message};
            out.emplace_back(rlx::view(item.name));
        }
        return out;
    }

    void short_structs() override {
        for (const std::uint32_t size : {0U, 4U, 8U}) {
            rlx_item two[2];
            std::memset(two, 0x5a, sizeof two);
            two[0].size = size;
            if (rlx_error* e = describe(0, two)) take(e);
            const auto* bytes = reinterpret_cast<const unsigned char*>(two);
            for (std::size_t i = std::max<std::size_t>(size, 4); i < sizeof two; i++)
                if (bytes[i] != 0x5a)
                    throw failed{
                        "describe wrote behind the " + std::to_string(size) +
                        " bytes of its result"};
        }
    }

protected:
    std::uint32_t count() {
        return call(name() + " count", [&] { return t_->count(self_); });
    }

    rlx_error* describe(std::uint32_t i, rlx_item* out) {
        return call(name() + " describe", [&] { return t_->describe(self_, i, out); });
    }

    life_result describe_all(const char* kind) {
        const std::uint32_t n = count();
        for (std::uint32_t i = 0; i < n; i++) {
            rlx_item item{};
            item.size = sizeof item;
            if (rlx_error* e = describe(i, &item)) return {take(e), "describe"};
            const std::string called(rlx::view(item.name));
            bool listed = false;
            for (const auto& p : subject_.about().manifest.provides)
                listed = listed || (p.kind == kind && p.name == called);
            if (!listed)
                throw failed{"describe gives '" + called + "', which the manifest does not list"};
        }
        return {};
    }

    void null_describe() {
        rlx_item item{};
        item.size = sizeof item;
        const std::uint32_t n = count();
        must_fail("describe without a result", describe(0, nullptr));
        must_fail("describe of number " + std::to_string(n), describe(n, &item));
        must_fail("describe of number 2^32-1", describe(UINT32_MAX, &item));
    }

    const subject& subject_;
    const Table* t_;
    void* self_;
};

class names_driver final : public list_driver<rlx_tensor_names_v1> {
public:
    using list_driver::list_driver;

    std::string name() const override { return "rlx.tensor_names/1"; }

    std::string missing_members() const override {
        std::string out;
        if (!RLX_HAS(t_, count)) out += " count";
        if (!RLX_HAS(t_, describe)) out += " describe";
        if (!RLX_HAS(t_, rules)) out += " rules";
        return out;
    }

    life_result life() override {
        if (life_result r = describe_all("tensor_names"); !r.ok()) return r;
        const std::uint32_t n = count();
        for (std::uint32_t i = 0; i < n; i++) {
            for (const std::string& arch : arches()) {
                for (const char* format : {"gguf", "safetensors", "no-such-format"}) {
                    if (life_result r = read_rules(i, arch, format); !r.ok()) return r;
                }
            }
        }
        return {};
    }

    void null_arguments() override {
        null_describe();
        const rlx_name_rule* list = nullptr;
        std::uint64_t n = 0, stride = 0;
        must_fail("rules without a list", rules(0, "x", "gguf", nullptr, &n, &stride));
        must_fail("rules without a number", rules(0, "x", "gguf", &list, nullptr, &stride));
        must_fail("rules without a stride", rules(0, "x", "gguf", &list, &n, nullptr));
        must_fail(
            "rules of a set that is not there", rules(count(), "x", "gguf", &list, &n, &stride)
        );
        if (rlx_error* e = rules(0, "", "", &list, &n, &stride))
            take(e); // no names: none, or an error
    }

private:
    std::vector<std::string> arches() const {
        std::vector<std::string> out = {"no-such-architecture"};
        for (const auto& p : subject_.about().manifest.provides) {
            if (p.kind != "tensor_names") continue;
            const auto entry = nlohmann::json::parse(p.json, nullptr, false);
            if (!entry.is_object() || !entry.contains("arches") || !entry["arches"].is_array())
                continue;
            for (const auto& a : entry["arches"])
                if (a.is_string()) out.push_back(a.get<std::string>());
        }
        return out;
    }

    rlx_error* rules(
        std::uint32_t i,
        const std::string& arch,
        const std::string& format,
        const rlx_name_rule** list,
        std::uint64_t* n,
        std::uint64_t* stride
    ) {
        const lent<char> a{std::span(arch)}, f{std::span(format)};
        return call("rlx.tensor_names/1 rules", [&] {
            return t_->rules(
                self_, i, {a.data(), arch.size()}, {f.data(), format.size()}, list, n, stride
            );
        });
    }

    life_result read_rules(std::uint32_t i, const std::string& arch, const char* format) {
        const rlx_name_rule* list = nullptr;
        std::uint64_t n = 0, stride = 0;
        if (rlx_error* e = rules(i, arch, format, &list, &n, &stride)) {
            const returned_error why = take(e);
            if (arch == "no-such-architecture" || std::string_view(format) == "no-such-format")
                return {};
            return {why, "rules"};
        }
        if (n && (!list || stride < sizeof(rlx_name_rule) - sizeof(rlx_str)))
            throw failed{
                "rules gives " + std::to_string(n) + " rules of stride " + std::to_string(stride) +
                (list ? "" : " at NULL")};
        for (std::uint64_t k = 0; k < n; k++) {
            rlx_name_rule r{};
            std::memcpy(
                &r,
                reinterpret_cast<const char*>(list) + k * stride,
                std::min<std::size_t>(stride, sizeof r)
            );
            if (rlx::view(r.hf).empty() || rlx::view(r.gguf).empty() ||
                r.transform > RLX_TX_EXPERTS_TRANSPOSED)
                throw failed{"rule " + std::to_string(k) + " has no names or an unknown transform"};
        }
        return {};
    }
};

class cli_driver final : public list_driver<rlx_cli_v1> {
public:
    using list_driver::list_driver;

    std::string name() const override { return "rlx.cli/1"; }

    std::string missing_members() const override {
        std::string out;
        if (!RLX_HAS(t_, count)) out += " count";
        if (!RLX_HAS(t_, describe)) out += " describe";
        if (!RLX_HAS(t_, run)) out += " run";
        return out;
    }

    // --help has to work; what a command says to no arguments or wrong ones is its affair.
    life_result life() override {
        if (life_result r = describe_all("command"); !r.ok()) return r;
        const std::uint32_t n = count();
        for (std::uint32_t i = 0; i < n; i++) {
            if (life_result r = run(i, {"--help"}, true); !r.ok()) return r;
            if (life_result r = run(i, {}, false); !r.ok()) return r;
            if (life_result r = run(i, {"--no-such-flag", "", "\xff\xfe"}, false); !r.ok())
                return r;
        }
        return {};
    }

    void null_arguments() override {
        null_describe();
        std::int32_t code = 0;
        rlx_cli_call none{};
        none.size = sizeof none;
        must_fail("run without a call", run(0, nullptr, &code));
        must_fail("run without a place for the exit code", run(0, &none, nullptr));
        must_fail("run of command " + std::to_string(count()), run(count(), &none, &code));
        rlx_cli_call wrong = none;
        wrong.argc = 1;
        must_fail("run with an argument at NULL", run(0, &wrong, &code));
        must_fail("run without streams", run(0, &none, &code));
    }

    void short_structs() override {
        list_driver::short_structs();
        for (const std::uint32_t size : {0U, 4U, 8U}) {
            rlx_cli_call c{};
            c.size = size;
            std::int32_t code = 0;
            must_fail("run with a call of " + std::to_string(size) + " bytes", run(0, &c, &code));
        }
    }

    // Of commands that read: reading says that Ctrl-C came.
    std::optional<life_result> cancelled() override {
        std::optional<life_result> out;
        const std::uint32_t n = count();
        for (std::uint32_t i = 0; i < n; i++) {
            cli_args a({});
            set_streams("one line\nanother", true);
            std::int32_t code = -1;
            rlx_error* e = run(i, a.call(), &code);
            if (e) {
                const returned_error why = take(e);
                if (!read_was_cancelled()) continue;
                out = life_result{why, "run"};
            } else if (read_was_cancelled()) {
                throw failed{
                    "run succeeded although reading gave RLX_CANCELLED, expected RLX_CANCELLED"};
            }
            if (out && out->error.code != RLX_CANCELLED) return out;
        }
        return out;
    }

private:
    // The arguments of a call, with the streams of this process.
    class cli_args {
    public:
        explicit cli_args(const std::vector<std::string>& words) {
            std::vector<rlx_str> argv;
            for (const auto& w : words) {
                const auto& text = words_.emplace_back(std::span(w.c_str(), w.size() + 1));
                argv.push_back({text.data(), w.size()});
            }
            argv_.emplace(std::span<const rlx_str>(argv));
            rlx_cli_call c{};
            c.size = sizeof c;
            c.argc = static_cast<std::uint32_t>(argv.size());
            c.argv = argv_->data();
            c.program = str("rlx-run test");
            c.io = reinterpret_cast<rlx_io*>(io_.data());
            call_.emplace(c);
        }

        const rlx_cli_call* call() const { return call_->data(); }

    private:
        std::list<lent<char>> words_;
        std::optional<lent<rlx_str>> argv_;
        loan io_{sizeof(int)}; // an address of its own
        std::optional<lent<rlx_cli_call>> call_;
    };

    rlx_error* run(std::uint32_t i, const rlx_cli_call* c, std::int32_t* code) {
        return call("rlx.cli/1 run", [&] { return t_->run(self_, i, c, code); });
    }

    life_result run(std::uint32_t i, const std::vector<std::string>& words, bool must_work) {
        const cli_args c(words);
        set_streams("one line\nanother without an end", false);
        std::int32_t code = -1;
        if (rlx_error* e = run(i, c.call(), &code)) {
            const returned_error why = take(e);
            if (must_work || host_call_failed() || why.code == RLX_OUT_OF_MEMORY)
                return {why, "run"};
            return {};
        }
        if (code < 0 || code > 255)
            throw failed{"run gives the exit code " + std::to_string(code) + ", expected 0 to 255"};
        if (must_work && code != 0)
            throw failed{"run with --help gives the exit code " + std::to_string(code)};
        if (must_work && bytes_written() == 0)
            throw failed{"run with --help writes nothing to standard output"};
        return {};
    }
};

} // namespace

std::unique_ptr<driver> drive_tensor_names(const subject& s, const void* table) {
    return std::make_unique<names_driver>(s, table);
}

std::unique_ptr<driver> drive_cli(const subject& s, const void* table) {
    return std::make_unique<cli_driver>(s, table);
}

} // namespace conformance
