// SPDX-License-Identifier: GPL-3.0-only
#include "elf_file.hpp"

#include "elf_note.hpp"
#include "files.hpp"

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <fstream>
#include <iterator>

namespace conformance {
namespace {

using rlx::error;
using rlx::result;

// Every read is checked: the file may be anything.
class image {
public:
    explicit image(std::string bytes) : bytes_(std::move(bytes)) {}

    template <class T>
    bool read(std::uint64_t at, T& out) const {
        if (at > bytes_.size() || bytes_.size() - at < sizeof out) return false;
        std::memcpy(&out, bytes_.data() + at, sizeof out);
        return true;
    }

    std::string text(std::uint64_t at) const {
        if (at >= bytes_.size()) return {};
        const auto end = bytes_.find('\0', at);
        return bytes_.substr(at, end == bytes_.npos ? end : end - at);
    }

    std::uint64_t size() const { return bytes_.size(); }

private:
    std::string bytes_;
};

struct dynamic {
    std::vector<Elf64_Phdr> segments;
    std::vector<Elf64_Dyn> entries;

    // File offset of an address.
    std::uint64_t offset(std::uint64_t address) const {
        for (const auto& s : segments) {
            if (s.p_type == PT_LOAD && address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz)
                return address - s.p_vaddr + s.p_offset;
        }
        return UINT64_MAX;
    }

    std::uint64_t find(std::int64_t tag) const {
        for (const auto& d : entries)
            if (d.d_tag == tag) return d.d_un.d_val;
        return 0;
    }
};

result<dynamic> read_dynamic(const image& f) {
    const error bad{RLX_CORRUPT_DATA, "is no readable ELF library"};
    dynamic out;
    Elf64_Ehdr header{};
    if (!f.read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return bad;
    for (std::uint64_t i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr s{};
        if (!f.read(header.e_phoff + i * sizeof s, s)) return bad;
        out.segments.push_back(s);
    }
    for (const auto& s : out.segments) {
        if (s.p_type != PT_DYNAMIC) continue;
        for (std::uint64_t at = 0; at + sizeof(Elf64_Dyn) <= s.p_filesz; at += sizeof(Elf64_Dyn)) {
            Elf64_Dyn d{};
            if (!f.read(s.p_offset + at, d)) return bad;
            if (d.d_tag == DT_NULL) break;
            out.entries.push_back(d);
        }
    }
    return out;
}

// Number of dynamic symbols: the GNU hash table says where its chains end, the old table says it
// outright.
std::uint64_t symbol_count(const image& f, const dynamic& d) {
    std::uint32_t words[4] = {};
    if (const auto old = d.find(DT_HASH); old && f.read(d.offset(old), words)) return words[1];
    const std::uint64_t hash = d.find(DT_GNU_HASH) ? d.offset(d.find(DT_GNU_HASH)) : UINT64_MAX;
    if (!f.read(hash, words)) return 0;
    const std::uint64_t buckets = hash + 16 + std::uint64_t{words[2]} * 8;
    std::uint64_t last = 0;
    for (std::uint64_t i = 0; i < words[0]; i++) {
        std::uint32_t first = 0;
        if (!f.read(buckets + i * 4, first)) return 0;
        last = std::max<std::uint64_t>(last, first);
    }
    if (last < words[1])
        return 0; // nothing exported: the table does not know how many imports there are
    const std::uint64_t chains = buckets + std::uint64_t{words[0]} * 4;
    for (std::uint32_t link = 0; f.read(chains + (last - words[1]) * 4, link); last++)
        if (link & 1) return last + 1;
    return 0;
}

void read_symbols(const image& f, const dynamic& d, elf_file& out) {
    const std::uint64_t symbols = d.offset(d.find(DT_SYMTAB));
    const std::uint64_t names = d.offset(d.find(DT_STRTAB));
    std::uint64_t n = symbol_count(f, d);
    // Without exports the linker puts the names right behind the symbols.
    if (n == 0 && names > symbols) n = (names - symbols) / sizeof(Elf64_Sym);
    for (std::uint64_t i = 1; i < n; i++) {
        Elf64_Sym s{};
        if (!f.read(symbols + i * sizeof s, s)) break;
        if (ELF64_ST_BIND(s.st_info) == STB_LOCAL) continue;
        auto& list = s.st_shndx == SHN_UNDEF ? out.imported : out.exported;
        list.push_back(f.text(names + s.st_name));
    }
    for (auto* list : {&out.imported, &out.exported})
        std::sort(list->begin(), list->end());
}

void read_strings(const image& f, const dynamic& d, elf_file& out) {
    const std::uint64_t names = d.offset(d.find(DT_STRTAB));
    for (const auto& e : d.entries) {
        if (e.d_tag == DT_NEEDED) out.needed.push_back(f.text(names + e.d_un.d_val));
        if (e.d_tag == DT_TEXTREL) out.text_relocations = true;
        if (e.d_tag == DT_FLAGS && (e.d_un.d_val & DF_TEXTREL)) out.text_relocations = true;
        if (e.d_tag != DT_RPATH && e.d_tag != DT_RUNPATH) continue;
        const std::string path = f.text(names + e.d_un.d_val) + ":";
        std::size_t at = 0;
        for (auto end = path.find(':'); end != path.npos; end = path.find(':', at)) {
            out.search.push_back(path.substr(at, end - at));
            at = end + 1;
        }
    }
}

} // namespace

result<elf_file> elf_file::read(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    const image f(std::string(std::istreambuf_iterator<char>(in), {}));
    const dynamic d = RLX_TRY(read_dynamic(f));
    elf_file out;
    for (const auto& s : d.segments)
        if (s.p_type == PT_GNU_STACK && (s.p_flags & PF_X)) out.executable_stack = true;
    read_symbols(f, d, out);
    read_strings(f, d, out);
    return out;
}

result<std::string> read_note(const std::filesystem::path& file) {
    const rlx::loader::owned_fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));

    struct stat st {};

    if (fd.get() < 0 || ::fstat(fd.get(), &st) != 0)
        return error{RLX_NOT_FOUND, std::strerror(errno)};
    if (!S_ISREG(st.st_mode)) return error{RLX_CORRUPT_DATA, "is not a regular file"};
    return rlx::loader::read_manifest_note(fd.get(), static_cast<std::uint64_t>(st.st_size));
}

} // namespace conformance
