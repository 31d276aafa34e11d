// SPDX-License-Identifier: GPL-3.0-only
#include "golden.hpp"

#include "rlx/formats/safetensors.hpp"

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

namespace rlx::block_test {

namespace {

golden_file read(const std::string& name) {
    golden_file g;
    std::ifstream in(RLX_GOLDENS_DIR "/" + name, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    const auto header = safetensors_parse({data, bytes.size()}, name);
    if (!header) {
        ADD_FAILURE() << header.error().message;
        return g;
    }
    for (const auto& [key, text] : header->metadata)
        g.metadata[key] = text;
    for (const safetensors_tensor& t : header->tensors) {
        array& a = g.tensors[t.name];
        a.dims = t.dims;
        const char* from = bytes.data() + t.offset;
        const std::size_t n = t.n_bytes / 4;
        if (t.dtype == RLX_F32) {
            a.v.resize(n);
            if (n > 0) std::memcpy(a.v.data(), from, t.n_bytes);
        } else {
            a.whole = true;
            a.ids.resize(n);
            if (n > 0) std::memcpy(a.ids.data(), from, t.n_bytes);
        }
    }
    return g;
}

} // namespace

const golden_file& golden(const std::string& name) {
    static std::map<std::string, golden_file> files;
    const auto it = files.find(name);
    return it != files.end() ? it->second : files[name] = read(name);
}

double error_of(const std::vector<float>& got, const std::vector<float>& want) {
    double worst = 0, top = 1e-30;
    if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < want.size(); ++i) {
        if (std::isnan(got[i])) return std::numeric_limits<double>::infinity();
        worst = std::max(worst, std::abs(static_cast<double>(got[i]) - want[i]));
        top = std::max(top, std::abs(static_cast<double>(want[i])));
    }
    return worst / top;
}

} // namespace rlx::block_test
