// SPDX-License-Identifier: GPL-3.0-only
// What the builders of all kinds of models ask for.
#pragma once

#include "rlx/checkpoint.hpp"
#include "rlx/devices.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace rlx {

// What is opened, and on what: the part that is the same for every kind of model. model_builder's
// functions of the same names fill it.
struct model_request {
    std::filesystem::path weights, tokenizer;
    open_options open;
    std::string family; // refuse another one; empty = whichever it is
    device_options device;
    fallback_policy fallback = fallback_policy::warn; // nodes the device refuses
    std::uint32_t threads = 0;
    std::string profile;
    std::vector<std::filesystem::path> plugin_dirs;
    plugin_catalog* catalog = nullptr;
};

// `builder` derives from this and adds what its kind of model knows.
template <class builder>
class model_builder {
public:
    // Required: file or directory.
    builder& weights(std::filesystem::path path) {
        request_.weights = std::move(path);
        return self();
    }

    // config.json instead of the one beside the weights.
    builder& config(std::filesystem::path file) {
        request_.open.config = std::move(file);
        return self();
    }

    // tokenizer.json instead of the checkpoint's own.
    builder& tokenizer(std::filesystem::path file) {
        request_.tokenizer = std::move(file);
        return self();
    }

    // Of several GGUF files the one whose name has it.
    builder& prefer(std::string text) {
        request_.open.prefer = std::move(text);
        return self();
    }

    // Or its number in the sorted list.
    builder& gguf_index(std::size_t index) {
        request_.open.gguf_index = index;
        return self();
    }

    // This one of those that claim it.
    builder& family(std::string name) {
        request_.family = std::move(name);
        return self();
    }

    // "cpu", "vulkan:0", "auto".
    builder& device(std::string name) {
        request_.device.name = std::move(name);
        return self();
    }

    // Kernel tier; a missing one is an error.
    builder& tier(std::string name) {
        request_.device.tier = std::move(name);
        return self();
    }

    // In ran_on().devices; slows the model down.
    builder& time_ops(bool on = true) {
        request_.device.time_ops = on;
        return self();
    }

    // Nodes the device refuses; warn by default.
    builder& on_fallback(fallback_policy p) {
        request_.fallback = p;
        return self();
    }

    // 0 = what affinity and quota allow.
    builder& threads(std::uint32_t n) {
        request_.threads = n;
        return self();
    }

    // Compile profile (rlx/profile.hpp): "" = <family>.rlx.toml beside the weights if it is there,
    // "none" = the preset, else a file. What the builder is given otherwise beats it.
    builder& profile(std::string choice) {
        request_.profile = std::move(choice);
        return self();
    }

    // Searched first; may be repeated.
    builder& plugin_dir(std::filesystem::path dir) {
        request_.plugin_dirs.push_back(std::move(dir));
        return self();
    }

    // Use this one; it must outlive the model.
    builder& catalog(plugin_catalog* catalog) {
        request_.catalog = catalog;
        return self();
    }

protected:
    model_request request_;

private:
    builder& self() { return static_cast<builder&>(*this); }
};

} // namespace rlx
