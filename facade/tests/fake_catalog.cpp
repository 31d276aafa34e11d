// SPDX-License-Identifier: GPL-3.0-only
#include "fake_catalog.hpp"

#include "rlx/base/wall.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <unistd.h>

namespace rlx::test {

class fake_catalog::fake_plugin final : public plugin {
public:
    fake_plugin(const rlx::manifest& m, fake_lm& lm) : manifest_(m), parts_(lm.parts()) {
        table_.self = &lm;
    }

    const rlx_plugin& table() const override { return table_; }

    const rlx::manifest& describe() const override { return manifest_; }

    result<const void*> iface(std::string_view name, std::uint16_t) const override {
        if (name == "rlx.family/1") return static_cast<const void*>(parts_.family);
        if (name == "rlx.backend/1") return static_cast<const void*>(parts_.backend);
        return error{RLX_VERSION_MISMATCH, "no such interface"};
    }

private:
    const rlx::manifest& manifest_;
    lm_model::parts parts_;
    rlx_plugin table_{};
};

fake_catalog::fake_catalog(fake_lm& lm) : lm_(lm), manifests_(2) {
    family().id = "org.rlx.fake";
    family().version = "1.2.3";
    provided f;
    f.kind = "family";
    f.name = "fake";
    f.task = "lm";
    f.gguf_arches = {"fake"};
    f.json = "{}";
    family().provides.push_back(f);
    backend().id = "org.rlx.fake-cpu";
    backend().library = "/fake/first.so";
    provided b;
    b.kind = "backend";
    b.name = "cpu";
    b.devices = {"cpu", "fpga"};
    b.json = "{}";
    backend().provides.push_back(b);
}

void fake_catalog::add_backend(std::string name, std::int64_t priority) {
    rlx::manifest m = backend();
    m.id = "org.rlx.fake-" + name;
    m.library = "/fake/added-" + name + ".so";
    m.provides[0].name = name;
    m.provides[0].devices = {std::move(name)};
    m.provides[0].priority = priority;
    manifests_.push_back(std::move(m));
}

void fake_catalog::add_names(const std::string& id, std::int64_t priority) {
    provided p;
    p.kind = "tensor_names";
    p.name = "fake";
    p.arches = {"fake"};
    p.priority = priority;
    rlx::manifest m;
    m.id = id;
    m.library = "/fake/" + id + ".so";
    m.provides.push_back(p);
    manifests_.push_back(std::move(m));
}

fake_catalog::~fake_catalog() = default;

result<plugin_catalog::match>
fake_catalog::find_family(std::string_view, std::string_view architecture) const {
    for (const match& m : all("family"))
        if (std::ranges::find(m.entry->gguf_arches, architecture) != m.entry->gguf_arches.end())
            return m;
    return error{RLX_UNSUPPORTED, "no family for this architecture; known: fake"};
}

result<plugin_catalog::match>
fake_catalog::find(std::string_view kind, std::string_view name) const {
    for (const match& m : all(kind))
        if (m.entry->name == name) return m;
    return error{RLX_NOT_FOUND, "nothing of that name"};
}

std::vector<plugin_catalog::match> fake_catalog::all(std::string_view kind) const {
    std::vector<match> out;
    for (const rlx::manifest& m : manifests_)
        for (const provided& p : m.provides)
            if (p.kind == kind) out.push_back({&m, &p});
    return out;
}

result<plugin*> fake_catalog::load(const rlx::manifest& m) {
    loaded_.push_back(&m);
    return &plugins_.emplace_back(m, lm_);
}

namespace {

template <class T>
void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void put_string(std::string& out, std::string_view s) {
    put<std::uint64_t>(out, s.size());
    out += s;
}

} // namespace

gguf_file::gguf_file(const std::vector<std::pair<std::string, gguf_value>>& metadata) {
    static int number = 0;
    path_ = std::filesystem::path(testing::TempDir()) /
            ("rlx_facade_" + std::to_string(getpid()) + "_" + std::to_string(number++) + ".gguf");
    std::string out = "GGUF";
    put<std::uint32_t>(out, 3);
    put<std::uint64_t>(out, 0);
    put<std::uint64_t>(out, metadata.size());
    constexpr std::uint32_t type_of[] = {4, 6, 7, 8}; // u32, f32, bool, string
    for (const auto& [key, value] : metadata) {
        put_string(out, key);
        put<std::uint32_t>(out, type_of[value.index()]);
        if (const auto* u = std::get_if<std::uint32_t>(&value)) put(out, *u);
        if (const auto* f = std::get_if<float>(&value)) put(out, *f);
        if (const auto* b = std::get_if<bool>(&value)) put<std::uint8_t>(out, *b);
        if (const auto* s = std::get_if<std::string>(&value)) put_string(out, *s);
    }
    out.append((32 - out.size() % 32) % 32, '\0');
    std::ofstream(path_, std::ios::binary) << out;
}

gguf_file::~gguf_file() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
}

} // namespace rlx::test
