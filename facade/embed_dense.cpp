// SPDX-License-Identifier: GPL-3.0-only
// sentence-transformers' Dense module: a linear layer and an activation behind the pooling. It runs
// here, once per text, and is small beside the model.
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

constexpr std::string_view activations[] = {"Identity", "Tanh", "ReLU", "GELU", "Sigmoid"};

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
    if (name == "Sigmoid") return 1 / (1 + std::exp(-x));
    return x;
}

} // namespace

result<dense_layer> read_dense(const fs::path& folder) {
    const fs::path file = folder / "config.json", data = folder / "model.safetensors";
    const auto found = RLX_TRY(read_json_object(file));
    if (!found)
        return error{
            RLX_NOT_FOUND, fmt::format("{}: a Dense module without config.json", folder.string())};
    const json& config = *found;
    dense_layer out;
    out.in = config.value("in_features", json(0)).is_number_integer()
                 ? config.value("in_features", json(0)).get<std::int64_t>()
                 : 0;
    out.out = config.value("out_features", json(0)).is_number_integer()
                  ? config.value("out_features", json(0)).get<std::int64_t>()
                  : 0;
    constexpr std::int64_t most = 1 << 20;
    if (out.in < 1 || out.in > most || out.out < 1 || out.out > most)
        return error{
            RLX_CORRUPT_DATA,
            fmt::format("{}: in_features or out_features is out of range", file.string())};
    const json name = config.value("activation_function", json("torch.nn.modules.activation.Tanh"));
    const std::string whole = name.is_string() ? name.get<std::string>() : "";
    out.activation = whole.substr(whole.rfind('.') + 1);
    if (std::ranges::find(activations, out.activation) == std::end(activations))
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: activation '{}', done are {}",
                file.string(),
                out.activation,
                fmt::join(activations, ", ")
            )};
    std::error_code ignored;
    if (!fs::exists(data, ignored))
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: the Dense module has no model.safetensors; other files of weights are not "
                "read, save it again as safetensors",
                folder.string()
            )};
    const mapped_file mapped = RLX_TRY(mapped_file::open(data));
    const auto header = RLX_TRY(safetensors_parse(mapped.bytes(), data.string()));
    const std::int64_t shape[] = {out.out, out.in};
    out.weight = RLX_TRY(read_tensor(mapped, header, "linear.weight", shape));
    if (config.value("bias", json(true)) != json(false))
        out.bias = RLX_TRY(read_tensor(mapped, header, "linear.bias", std::span(shape).first(1)));
    return out;
}

std::vector<float> apply_dense(const dense_layer& layer, std::span<const float> values) {
    std::vector<float> out(static_cast<std::size_t>(layer.out));
    for (std::size_t row = 0; row < out.size(); ++row) {
        double sum = layer.bias.empty() ? 0 : static_cast<double>(layer.bias[row]);
        const float* weight = layer.weight.data() + row * values.size();
        for (std::size_t i = 0; i < values.size(); ++i)
            sum += static_cast<double>(weight[i]) * static_cast<double>(values[i]);
        out[row] = static_cast<float>(activate(sum, layer.activation));
    }
    return out;
}

} // namespace rlx
