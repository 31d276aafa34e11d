// SPDX-License-Identifier: GPL-3.0-only
// sentence-transformers' modules behind the pooling: Dense (a linear layer and an activation) and
// LayerNorm. They run here, once per text, and are small beside the model.
#include "embed_files.hpp"

#include "rlx/base/mmap.hpp"
#include "rlx/formats/dequant.hpp"
#include "rlx/formats/safetensors.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace rlx {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;

constexpr std::string_view activations[] = {"Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid"};

result<std::vector<float>> read_tensor(
    const mapped_file& file,
    const safetensors_header& header,
    std::string_view name,
    std::span<const std::int64_t> dims
) {
    const auto at = std::ranges::find(header.tensors, name, &safetensors_tensor::name);
    const std::string where = file.path().string();
    if (at == header.tensors.end())
        return error{RLX_CORRUPT_DATA, fmt::format("{}: tensor {} is missing", where, name)};
    if (!std::ranges::equal(at->dims, dims))
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "{}: {} is [{}], expected [{}]",
                where,
                name,
                fmt::join(at->dims, ", "),
                fmt::join(dims, ", ")
            )};
    std::uint64_t n = 1;
    for (const std::int64_t d : dims)
        n *= static_cast<std::uint64_t>(d);
    std::vector<float> out(n);
    RLX_CHECK(dequantize(at->dtype, file.data() + at->offset, n, out.data()).within(where));
    return out;
}

double activate(double x, std::string_view name) {
    if (name == "Tanh") return std::tanh(x);
    if (name == "ReLU") return std::max(x, 0.0);
    if (name == "GELU") return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    if (name == "SiLU") return x / (1 + std::exp(-x));
    if (name == "Sigmoid") return 1 / (1 + std::exp(-x));
    return x;
}

struct module_files {
    fs::path config_file;
    json config;
    mapped_file data;
    safetensors_header header;
};

result<module_files> open_module(const fs::path& folder, std::string_view kind) {
    const fs::path file = folder / "config.json", data = folder / "model.safetensors";
    auto found = RLX_TRY(read_json_object(file));
    if (!found)
        return error{
            RLX_NOT_FOUND,
            fmt::format("{}: a {} module without config.json", folder.string(), kind)};
    std::error_code ignored;
    if (!fs::exists(data, ignored))
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: the {} module has no model.safetensors; other files of weights are not "
                "read, save it again as safetensors",
                folder.string(),
                kind
            )};
    mapped_file mapped = RLX_TRY(mapped_file::open(data));
    auto header = RLX_TRY(safetensors_parse(mapped.bytes(), data.string()));
    return module_files{file, std::move(*found), std::move(mapped), std::move(header)};
}

// A number of floats, 0 when it is none.
std::int64_t size_of(const json& config, const char* key) {
    constexpr std::int64_t most = 1 << 20;
    const auto at = config.find(key);
    const bool fine = at != config.end() && at->is_number_integer();
    const std::int64_t n = fine ? at->get<std::int64_t>() : 0;
    return n > most ? 0 : n;
}

error out_of_range(const fs::path& file, std::string_view what) {
    return {RLX_CORRUPT_DATA, fmt::format("{}: {} is out of range", file.string(), what)};
}

// weight [values.size(), out.size()] by values, added to out.
void multiply(std::span<const float> weight, std::span<const float> values, std::span<double> out) {
    for (std::size_t row = 0; row < out.size(); ++row)
        for (std::size_t i = 0; i < values.size(); ++i)
            out[row] += static_cast<double>(weight[row * values.size() + i]) *
                        static_cast<double>(values[i]);
}

std::vector<float> apply_dense(const vector_module& m, std::span<const float> values) {
    std::vector<double> sums(m.bias.begin(), m.bias.end());
    sums.resize(static_cast<std::size_t>(m.out));
    multiply(m.weight, values, sums);
    for (double& sum : sums)
        sum = activate(sum, m.activation);
    if (!m.residual.empty())
        multiply(m.residual, values, sums);
    else if (m.add_input)
        for (std::size_t i = 0; i < sums.size(); ++i)
            sums[i] += static_cast<double>(values[i]);
    std::vector<float> out(sums.size());
    std::ranges::transform(sums, out.begin(), [](double v) { return static_cast<float>(v); });
    return out;
}

} // namespace

result<vector_module> read_dense(const fs::path& folder) {
    const module_files files = RLX_TRY(open_module(folder, "Dense"));
    const json& config = files.config;
    vector_module out;
    out.in = size_of(config, "in_features");
    out.out = size_of(config, "out_features");
    if (out.in < 1 || out.out < 1)
        return out_of_range(files.config_file, "in_features or out_features");
    const json name = config.value("activation_function", json("torch.nn.modules.activation.Tanh"));
    const std::string whole = name.is_string() ? name.get<std::string>() : "";
    out.activation = whole.substr(whole.rfind('.') + 1);
    if (std::ranges::find(activations, out.activation) == std::end(activations))
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: activation '{}', done are {}",
                files.config_file.string(),
                out.activation,
                fmt::join(activations, ", ")
            )};
    const std::int64_t shape[] = {out.out, out.in};
    const auto tensor = [&](const char* key, std::span<const std::int64_t> dims) {
        return read_tensor(files.data, files.header, key, dims);
    };
    out.weight = RLX_TRY(tensor("linear.weight", shape));
    if (config.value("bias", json(true)) != json(false))
        out.bias = RLX_TRY(tensor("linear.bias", std::span(shape).first(1)));
    out.add_input = config.value("use_residual", json(false)) == json(true);
    if (out.add_input && out.in != out.out)
        out.residual = RLX_TRY(tensor("residual.weight", shape));
    return out;
}

result<vector_module> read_layer_norm(const fs::path& folder) {
    const module_files files = RLX_TRY(open_module(folder, "LayerNorm"));
    vector_module out{.what = vector_module::kind::layer_norm};
    out.in = out.out = size_of(files.config, "dimension");
    if (out.in < 1) return out_of_range(files.config_file, "dimension");
    const std::int64_t shape[] = {out.out};
    out.weight = RLX_TRY(read_tensor(files.data, files.header, "norm.weight", shape));
    out.bias = RLX_TRY(read_tensor(files.data, files.header, "norm.bias", shape));
    return out;
}

std::vector<float> apply_module(const vector_module& m, std::vector<float> values) {
    if (m.what == vector_module::kind::dense) return apply_dense(m, values);
    if (m.what == vector_module::kind::normalise) {
        scale_to_unit(values);
        return values;
    }
    layer_norm(values);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = values[i] * m.weight[i] + m.bias[i];
    return values;
}

} // namespace rlx
