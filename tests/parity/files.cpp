// SPDX-License-Identifier: GPL-3.0-only
#include "files.hpp"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>
#include <stdexcept>

namespace rlx::test {
namespace {

using path = std::filesystem::path;

std::string read_all(const path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    return {std::istreambuf_iterator<char>(in), {}};
}

void write_all(const path& file, std::string_view bytes) {
    std::ofstream out(file, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

template <class Int>
std::size_t count_of(const std::vector<Int>& shape) {
    std::size_t n = 1;
    for (const Int d : shape)
        n *= static_cast<std::size_t>(d);
    return n;
}

// Version 1.0, little endian, C order: what numpy.save writes for our fixtures.
template <class T>
npy<T> read_npy(const path& file, std::string_view descr) {
    const std::string bytes = read_all(file);
    if (bytes.size() < 10 || bytes.compare(0, 8, std::string_view("\x93NUMPY\x01\0", 8)) != 0) {
        throw std::runtime_error(file.string() + ": not an .npy file of version 1.0");
    }
    const std::size_t header_size =
        static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
    const std::string header = bytes.substr(10, header_size);
    if (header.find(descr) == std::string::npos ||
        header.find("'fortran_order': False") == std::string::npos) {
        throw std::runtime_error(file.string() + ": unexpected header " + header);
    }
    npy<T> out;
    const std::size_t open = header.find('(');
    std::size_t at = open + 1;
    while (at < header.size() && header[at] != ')') {
        if (header[at] >= '0' && header[at] <= '9') {
            std::size_t used = 0;
            out.shape.push_back(std::stoul(header.substr(at), &used));
            at += used;
        } else {
            ++at;
        }
    }
    out.data.resize(count_of(out.shape));
    const std::size_t start = 10 + header_size;
    if (bytes.size() - start != out.data.size() * sizeof(T)) {
        throw std::runtime_error(file.string() + ": size does not fit the shape");
    }
    std::memcpy(out.data.data(), bytes.data() + start, bytes.size() - start);
    return out;
}

} // namespace

scratch_dir::scratch_dir() {
    std::string name = (std::filesystem::temp_directory_path() / "rlx-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    path_ = name;
}

scratch_dir::~scratch_dir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

npy<float> read_npy_f32(const path& file) {
    return read_npy<float>(file, "'descr': '<f4'");
}

npy<std::int32_t> read_npy_i32(const path& file) {
    return read_npy<std::int32_t>(file, "'descr': '<i4'");
}

hf_checkpoint hf_checkpoint::read(const path& folder) {
    hf_checkpoint out;
    out.config = nlohmann::json::parse(read_all(folder / "config.json"));
    const std::string bytes = read_all(folder / "model.safetensors");
    std::uint64_t header_size = 0;
    std::memcpy(&header_size, bytes.data(), sizeof header_size);
    const std::size_t start = 8 + header_size;
    const auto header = nlohmann::json::parse(bytes.substr(8, header_size));
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") continue;
        if (entry.at("dtype") != "F32") throw std::runtime_error(name + ": only F32 here");
        tensor t;
        t.shape = entry.at("shape").get<std::vector<std::int64_t>>();
        const auto range = entry.at("data_offsets").get<std::vector<std::size_t>>();
        t.data.resize(count_of(t.shape));
        std::memcpy(t.data.data(), bytes.data() + start + range.at(0), range.at(1) - range.at(0));
        out.tensors.emplace(name, std::move(t));
    }
    return out;
}

void hf_checkpoint::write(const path& folder) const {
    std::filesystem::create_directories(folder);
    write_all(folder / "config.json", config.dump(2));
    nlohmann::json header;
    header["__metadata__"]["format"] = "pt";
    std::string data;
    for (const auto& [name, t] : tensors) {
        const std::size_t begin = data.size();
        data.append(reinterpret_cast<const char*>(t.data.data()), t.data.size() * sizeof(float));
        header[name] = {
            {"dtype", "F32"}, {"shape", t.shape}, {"data_offsets", {begin, data.size()}}};
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t header_size = text.size();
    std::string file(reinterpret_cast<const char*>(&header_size), sizeof header_size);
    write_all(folder / "model.safetensors", file + text + data);
}

} // namespace rlx::test
