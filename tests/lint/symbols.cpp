// SPDX-License-Identifier: GPL-3.0-only
// What a shared library exports and needs, read from its own tables.
#include "lint.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <iterator>

namespace lint {
namespace {

// Our own build's output: trusted to be well-formed.
class elf_file {
public:
    explicit elf_file(const fs::path& file) {
        std::ifstream in(file, std::ios::binary);
        bytes_.assign(std::istreambuf_iterator<char>(in), {});
        if (bytes_.size() < sizeof(Elf64_Ehdr)) return;
        const auto header = at<Elf64_Ehdr>(0);
        for (int i = 0; i < header.e_shnum; i++)
            sections_.push_back(at<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr)));
    }

    bool ok() const { return !sections_.empty(); }

    std::vector<std::string> exported() const {
        std::vector<std::string> out;
        each<Elf64_Sym>(SHT_DYNSYM, [&](const Elf64_Sym& s, const Elf64_Shdr& names) {
            const bool global = ELF64_ST_BIND(s.st_info) != STB_LOCAL;
            if (global && s.st_shndx != SHN_UNDEF) out.emplace_back(text(names, s.st_name));
        });
        std::sort(out.begin(), out.end());
        return out;
    }

    std::vector<std::string> dynamic(Elf64_Sxword tag) const {
        std::vector<std::string> out;
        each<Elf64_Dyn>(SHT_DYNAMIC, [&](const Elf64_Dyn& d, const Elf64_Shdr& names) {
            if (d.d_tag == tag) out.emplace_back(text(names, d.d_un.d_val));
        });
        return out;
    }

private:
    template <class T>
    T at(std::uint64_t offset) const {
        T out;
        std::memcpy(&out, bytes_.data() + offset, sizeof out);
        return out;
    }

    const char* text(const Elf64_Shdr& names, std::uint64_t offset) const {
        return bytes_.data() + names.sh_offset + offset;
    }

    template <class T, class Fn>
    void each(std::uint32_t type, Fn&& fn) const {
        for (const auto& s : sections_) {
            if (s.sh_type != type) continue;
            for (std::uint64_t i = 0; i + sizeof(T) <= s.sh_size; i += sizeof(T))
                fn(at<T>(s.sh_offset + i), sections_[s.sh_link]);
        }
    }

    std::string bytes_;
    std::vector<Elf64_Shdr> sections_;
};

// Names in namespace rlx, their vtables and type information, C names of ours.
bool is_ours(std::string_view name) {
    constexpr std::array prefixes{
        "_ZN3rlx",
        "_ZNK3rlx",
        "_ZTVN3rlx",
        "_ZTIN3rlx",
        "_ZTSN3rlx",
        "_ZTTN3rlx",
        "_ZThn",
        "_ZGVN3rlx",
        "rlx_",
        "RLX_"};
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const char* p) {
        return name.starts_with(p);
    });
}

void check_search_path(const elf_file& elf, const std::string& where, findings& out) {
    for (const auto tag : {DT_RPATH, DT_RUNPATH}) {
        for (const auto& path : elf.dynamic(tag)) {
            std::string_view rest = path;
            while (!rest.empty()) {
                const auto end = std::min(rest.find(':'), rest.size());
                if (!rest.substr(0, end).starts_with("$ORIGIN")) {
                    out.push_back(
                        {"search-path",
                         where,
                         "looks for libraries in " + path + ", only $ORIGIN is allowed"}
                    );
                }
                rest.remove_prefix(std::min(end + 1, rest.size()));
            }
        }
    }
}

} // namespace

findings check_library(const fs::path& file, std::string_view kind) {
    const std::string where = file.filename().native();
    const elf_file elf(file);
    if (!elf.ok()) return {{"symbols", where, "cannot be read as an ELF file"}};
    findings out;
    check_search_path(elf, where, out);
    const auto names = elf.exported();
    if (kind == "plugin") {
        if (names != std::vector<std::string>{"rlx_plugin_entry_v1"}) {
            std::string list;
            for (const auto& name : names)
                list += " " + name;
            out.push_back(
                {"symbols", where, "must export rlx_plugin_entry_v1 alone, exports:" + list}
            );
        }
        for (const auto& needed : elf.dynamic(DT_NEEDED)) {
            if (needed.starts_with("librlx")) {
                out.push_back({"needed", where, "a plugin must not link " + needed});
            }
        }
        return out;
    }
    for (const auto& name : names) {
        if (!is_ours(name)) out.push_back({"symbols", where, "exports the foreign name " + name});
    }
    return out;
}

} // namespace lint
