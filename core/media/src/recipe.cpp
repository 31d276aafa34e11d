// SPDX-License-Identifier: GPL-3.0-only
// preprocessor_config.json. A key that would change pixels and is not understood is an error.
#include "preprocess.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

namespace rlx::media {
namespace {

using nlohmann::json;

constexpr std::uint64_t max_json_bytes = 1 << 20;
constexpr double half = 0.5;
constexpr std::array<double, 3> standard{half, half, half};
constexpr std::array<double, 3> clip_mean{0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> clip_std{0.26862954, 0.26130258, 0.27577711};

// What a processor does where its file is silent (transformers 5.23,
// models/*/image_processing_*.py).
struct processor_defaults {
    std::string_view name; // without ImageProcessor
    int resample;          // PIL's number
    std::optional<int> shortest_edge;
    std::optional<extent> size;
    std::optional<extent> crop;
    std::array<double, 3> mean, std;
    bool one_number_is_square; // size: 224
    bool crops;
};

constexpr extent square_224{224, 224}, square_256{256, 256};
constexpr std::array processors{
    processor_defaults{"Bit", 3, 224, {}, square_224, clip_mean, clip_std, false, true},
    processor_defaults{"CLIP", 3, 224, {}, square_224, clip_mean, clip_std, false, true},
    processor_defaults{"DeiT", 3, {}, square_256, square_224, standard, standard, true, true},
    processor_defaults{"Siglip", 3, {}, square_224, {}, standard, standard, false, false},
    processor_defaults{"ViT", 2, {}, square_224, {}, standard, standard, true, false},
};

struct processor_name {
    const processor_defaults* defaults = nullptr;
    bool pil = false;
};

processor_name find_processor(std::string_view name) {
    processor_name out;
    out.pil = name.ends_with("Pil");
    for (const std::string_view tail : {"Pil", "Fast"})
        if (name.ends_with(tail)) {
            name.remove_suffix(tail.size());
            break;
        }
    for (const std::string_view tail : {"ImageProcessor", "FeatureExtractor"})
        if (name.ends_with(tail)) {
            name.remove_suffix(tail.size());
            for (const auto& p : processors)
                if (p.name == name) out.defaults = &p;
            break;
        }
    return out;
}

std::string known_processors() {
    std::string out;
    for (const auto& p : processors)
        out += (out.empty() ? "" : ", ") + std::string(p.name) + "ImageProcessor";
    return out;
}

class recipe_reader {
public:
    recipe_reader(const json& file, const processor_defaults& defaults)
        : file_(file), defaults_(defaults) {}

    result<void> read(preprocess_recipe& out) {
        RLX_CHECK(check_steps());
        if (RLX_TRY(flag("do_resize", true))) {
            RLX_CHECK(read_size(out));
            out.resample = RLX_TRY(resample(out.backend));
        }
        if (RLX_TRY(flag("do_center_crop", defaults_.crops))) out.crop = RLX_TRY(crop());
        if (RLX_TRY(flag("do_rescale", true))) out.rescale_factor = RLX_TRY(rescale_factor());
        if (RLX_TRY(flag("do_normalize", true))) {
            out.mean = RLX_TRY(three("image_mean", defaults_.mean));
            out.std = RLX_TRY(three("image_std", defaults_.std));
            if (std::find(out.std->begin(), out.std->end(), 0.0) != out.std->end())
                return error{RLX_CORRUPT_DATA, "image_std holds a 0"};
        }
        if (RLX_TRY(flag("do_pad", false))) out.pad = RLX_TRY(pad_size());
        return {};
    }

private:
    // null is the same as absent, as in transformers.
    const json* find(std::string_view key) const {
        const auto it = file_.find(key);
        return it == file_.end() || it->is_null() ? nullptr : &*it;
    }

    // Steps nobody here knows must be off. The picture is RGB already; labels and batches are not
    // ours.
    result<void> check_steps() const {
        constexpr std::array<std::string_view, 8> known{
            "do_resize",
            "do_center_crop",
            "do_rescale",
            "do_normalize",
            "do_pad",
            "do_convert_rgb",
            "do_reduce_labels",
            "do_convert_annotations"};
        for (const auto& [key, value] : file_.items()) {
            if (!key.starts_with("do_") ||
                std::find(known.begin(), known.end(), key) != known.end())
                continue;
            if (value.is_null() || (value.is_boolean() && !value.get<bool>())) continue;
            return error{RLX_UNSUPPORTED, "the step " + key + " is not supported"};
        }
        return {};
    }

    result<bool> flag(std::string_view key, bool otherwise) const {
        const json* v = find(key);
        if (!v) return otherwise;
        if (!v->is_boolean())
            return error{RLX_CORRUPT_DATA, message(key, " is neither true nor false")};
        return v->get<bool>();
    }

    static result<int> side(const json& v, std::string_view key) {
        if (!v.is_number_integer() || v.get<double>() < 1 ||
            v.get<double>() > image_limits{}.max_side)
            return error{RLX_CORRUPT_DATA, message(key, ": ", v.dump(), " is no number of pixels")};
        return v.get<int>();
    }

    static result<extent> height_width(const json& v, std::string_view key) {
        if (!v.is_object() || v.size() != 2 || !v.contains("height") || !v.contains("width"))
            return error{
                RLX_UNSUPPORTED,
                message(key, ": ", v.dump(), " is not supported; expected height and width")};
        return extent{RLX_TRY(side(v["height"], key)), RLX_TRY(side(v["width"], key))};
    }

    result<void> read_size(preprocess_recipe& out) const {
        const json* v = find("size");
        if (!v) {
            out.shortest_edge = defaults_.shortest_edge;
            out.size = defaults_.size;
        } else if (v->is_number() && defaults_.one_number_is_square) {
            const int n = RLX_TRY(side(*v, "size"));
            out.size = extent{n, n};
        } else if (v->is_number()) {
            out.shortest_edge = RLX_TRY(side(*v, "size"));
        } else if (v->is_object() && v->size() == 1 && v->contains("shortest_edge")) {
            out.shortest_edge = RLX_TRY(side((*v)["shortest_edge"], "size"));
        } else if (v->is_object() && v->contains("height")) {
            out.size = RLX_TRY(height_width(*v, "size"));
        } else {
            return error{
                RLX_UNSUPPORTED,
                "size: " + v->dump() +
                    " is not supported; expected shortest_edge, or height and width"};
        }
        return {};
    }

    result<image_kernel> resample(processor_backend backend) const {
        const json* v = find("resample");
        const std::int64_t number = !v                       ? defaults_.resample
                                    : v->is_number_integer() ? v->get<std::int64_t>()
                                                             : -1;
        const bool pil = backend == processor_backend::pil;
        switch (number) {
        case 0: return pil ? image_kernel::pil_nearest : image_kernel::torch_nearest;
        case 1: return pil ? image_kernel::pil_lanczos : image_kernel::torch_lanczos;
        case 2: return pil ? image_kernel::pil_bilinear : image_kernel::torch_bilinear;
        case 3: return pil ? image_kernel::pil_bicubic : image_kernel::torch_bicubic;
        default:
            return error{
                RLX_UNSUPPORTED,
                "resample: " + v->dump() +
                    " is not supported; expected 0 (nearest), 1 (lanczos), 2 (bilinear) or 3 "
                    "(bicubic)"};
        }
    }

    result<extent> crop() const {
        const json* v = find("crop_size");
        if (!v && defaults_.crop) return *defaults_.crop;
        if (!v) return error{RLX_MISSING_METADATA, "do_center_crop is set, crop_size is missing"};
        if (!v->is_number()) return height_width(*v, "crop_size");
        const int n = RLX_TRY(side(*v, "crop_size"));
        return extent{n, n};
    }

    result<extent> pad_size() const {
        const json* v = find("pad_size");
        if (!v)
            return error{
                RLX_UNSUPPORTED,
                "do_pad without pad_size (to the largest of a batch) is not supported"};
        return height_width(*v, "pad_size");
    }

    result<double> rescale_factor() const {
        const json* v = find("rescale_factor");
        if (!v) return 1.0 / 255;
        const double f = v->is_number() ? v->get<double>() : 0;
        if (!std::isfinite(f) || f == 0)
            return error{RLX_CORRUPT_DATA, "rescale_factor: " + v->dump() + " is no usable number"};
        return f;
    }

    result<std::array<double, 3>>
    three(std::string_view key, const std::array<double, 3>& otherwise) const {
        const json* v = find(key);
        if (!v) return otherwise;
        std::array<double, 3> out{};
        if (v->is_number()) {
            out.fill(v->get<double>());
        } else if (v->is_array() && v->size() == 3 && std::all_of(v->begin(), v->end(), [](const json& n) {
                       return n.is_number();
                   })) {
            for (std::size_t i = 0; i < 3; i++)
                out[i] = (*v)[i].get<double>();
        } else {
            return error{RLX_CORRUPT_DATA, message(key, ": ", v->dump(), " is not three numbers")};
        }
        return out;
    }

    const json& file_;
    const processor_defaults& defaults_;
};

result<std::string> processor_type(const json& file) {
    for (const char* key : {"image_processor_type", "feature_extractor_type"})
        if (const auto it = file.find(key); it != file.end() && it->is_string())
            return it->get<std::string>();
    return error{RLX_MISSING_METADATA, "there is no image_processor_type"};
}

// What transformers 4 took for a choice between its slow (PIL) and fast classes.
result<std::optional<processor_backend>> backend_of(const json& file) {
    const auto it = file.find("use_fast");
    if (it == file.end() || it->is_null()) return std::optional<processor_backend>();
    if (!it->is_boolean()) return error{RLX_CORRUPT_DATA, "use_fast is neither true nor false"};
    return std::optional(it->get<bool>() ? processor_backend::torchvision : processor_backend::pil);
}

result<preprocess_recipe> parse(std::string_view text, std::optional<processor_backend> backend) {
    if (text.size() > max_json_bytes)
        return error{
            RLX_CORRUPT_DATA,
            message(text.size(), " bytes; at most ", max_json_bytes, " are read")};
    // Deep nesting is dropped before it becomes deep recursion, and then refused.
    bool deep = false;
    const auto shallow = [&](int depth, json::parse_event_t, json&) {
        deep |= depth > 16;
        return depth <= 16;
    };
    const json file = json::parse(text, shallow, false);
    if (deep) return error{RLX_CORRUPT_DATA, "values are nested more than 16 deep"};
    if (!file.is_object()) return error{RLX_CORRUPT_DATA, "it is not a JSON object"};
    preprocess_recipe out;
    out.processor = RLX_TRY(processor_type(file));
    const processor_name found = find_processor(out.processor);
    if (!found.defaults)
        return error{
            RLX_UNSUPPORTED,
            "image_processor_type \"" + out.processor + "\" is not supported; known are " +
                known_processors()};
    if (!backend) backend = RLX_TRY(backend_of(file));
    out.backend =
        backend.value_or(found.pil ? processor_backend::pil : processor_backend::torchvision);
    RLX_CHECK(recipe_reader(file, *found.defaults).read(out));
    return out;
}

} // namespace

result<preprocess_recipe> parse_preprocess(
    std::string_view json, std::string_view name, std::optional<processor_backend> backend
) {
    return parse(json, backend).within(name);
}

} // namespace rlx::media
