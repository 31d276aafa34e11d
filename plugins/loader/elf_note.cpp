// SPDX-License-Identifier: GPL-3.0-only
#include "elf_note.hpp"

#include "files.hpp"
#include "rlx/base/checked.hpp"

#include <cstring>
#include <elf.h>
#include <fmt/format.h>
#include <optional>
#include <vector>

namespace rlx::loader {
namespace {

#if defined(__x86_64__)
constexpr std::uint16_t this_machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::uint16_t this_machine = EM_AARCH64;
#elif defined(__riscv)
constexpr std::uint16_t this_machine = EM_RISCV;
#else
#error "name this machine's ELF number here"
#endif

constexpr std::uint64_t max_note_segment = 4 << 20;

error bad(std::string message) {
    return {RLX_CORRUPT_DATA, std::move(message)};
}

template <class T>
T load(std::string_view bytes, std::uint64_t at) {
    T out;
    std::memcpy(&out, bytes.data() + at, sizeof out);
    return out;
}

bool inside(std::uint64_t offset, std::uint64_t n, std::uint64_t size) {
    const auto end = checked_add(offset, n);
    return end && *end <= size;
}

result<Elf64_Ehdr> read_header(int fd, std::uint64_t file_size) {
    if (file_size < sizeof(Elf64_Ehdr)) return bad("is too short for an ELF file");
    const auto bytes = RLX_TRY(read_at(fd, 0, sizeof(Elf64_Ehdr), "the ELF header"));
    const auto header = load<Elf64_Ehdr>(bytes, 0);
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return bad("is not an ELF file");
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
        return bad("is not a 64-bit little-endian ELF file");
    }
    if (header.e_machine != this_machine) {
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "is for another processor (ELF machine {}, this is {})",
                header.e_machine,
                this_machine
            )};
    }
    if (header.e_type != ET_DYN) return bad("is not a shared library");
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
        header.e_phnum == PN_XNUM) {
        return bad("has no usable program headers");
    }
    return header;
}

result<std::vector<Elf64_Phdr>> read_segments(int fd, std::uint64_t file_size) {
    const auto header = RLX_TRY(read_header(fd, file_size));
    const std::uint64_t n = std::uint64_t{header.e_phnum} * sizeof(Elf64_Phdr);
    if (!inside(header.e_phoff, n, file_size)) {
        return bad(fmt::format("truncated: program headers end past the file's {} bytes", file_size)
        );
    }
    const auto bytes = RLX_TRY(read_at(fd, header.e_phoff, n, "the program headers"));
    std::vector<Elf64_Phdr> out(header.e_phnum);
    std::memcpy(out.data(), bytes.data(), n);
    for (const auto& segment : out) {
        const bool is_read =
            segment.p_type == PT_LOAD || segment.p_type == PT_NOTE || segment.p_type == PT_DYNAMIC;
        if (is_read && !inside(segment.p_offset, segment.p_filesz, file_size)) {
            return bad(fmt::format(
                "truncated: a segment of {} bytes at offset {} ends past the file's {} bytes",
                segment.p_filesz,
                segment.p_offset,
                file_size
            ));
        }
    }
    return out;
}

// Adds the RLX notes of one segment to found.
result<void>
scan_notes(std::string_view notes, std::uint64_t align, std::vector<std::string>& found) {
    std::uint64_t at = 0;
    while (inside(at, sizeof(Elf64_Nhdr), notes.size())) {
        const auto note = load<Elf64_Nhdr>(notes, at);
        const std::uint64_t name = at + sizeof note; // 32-bit sizes: these sums cannot wrap
        const std::uint64_t desc = *checked_align(name + note.n_namesz, align);
        if (!inside(name, note.n_namesz, notes.size()) ||
            !inside(desc, note.n_descsz, notes.size())) {
            return bad("has a note that ends past its segment");
        }
        const std::string_view owner = notes.substr(name, note.n_namesz);
        if (note.n_type == RLX_NOTE_TYPE && owner == std::string_view(RLX_NOTE_OWNER, 4)) {
            if (note.n_descsz > max_manifest_bytes) return bad("has a manifest longer than 1 MiB");
            found.emplace_back(notes.substr(desc, note.n_descsz));
        }
        at = *checked_align(desc + note.n_descsz, align);
    }
    return {};
}

constexpr std::uint64_t max_dynamic = 1 << 20; // bytes of the dynamic section
constexpr std::uint64_t max_strings = 64 << 20;

result<std::vector<Elf64_Dyn>> read_dynamic(int fd, const std::vector<Elf64_Phdr>& segments) {
    std::vector<Elf64_Dyn> out;
    for (const auto& segment : segments) {
        if (segment.p_type != PT_DYNAMIC) continue;
        if (segment.p_filesz > max_dynamic) return bad("has a dynamic section longer than 1 MiB");
        const auto bytes =
            RLX_TRY(read_at(fd, segment.p_offset, segment.p_filesz, "the dynamic section"));
        for (std::uint64_t at = 0; inside(at, sizeof(Elf64_Dyn), bytes.size());
             at += sizeof(Elf64_Dyn)) {
            const auto entry = load<Elf64_Dyn>(bytes, at);
            if (entry.d_tag == DT_NULL) break;
            out.push_back(entry);
        }
    }
    return out;
}

// The table of names of the dynamic section.
result<std::string> read_names(
    int fd,
    std::uint64_t file_size,
    const std::vector<Elf64_Phdr>& segments,
    const std::vector<Elf64_Dyn>& entries
) {
    std::uint64_t address = 0, n = 0;
    for (const auto& entry : entries) {
        if (entry.d_tag == DT_STRTAB) address = entry.d_un.d_ptr;
        if (entry.d_tag == DT_STRSZ) n = entry.d_un.d_val;
    }
    for (const auto& segment : segments) {
        if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
            address - segment.p_vaddr >= segment.p_filesz)
            continue;
        const auto offset = checked_add(segment.p_offset, address - segment.p_vaddr);
        if (!offset || n > max_strings || !inside(*offset, n, file_size)) break;
        return read_at(fd, *offset, n, "the names of the libraries it needs");
    }
    return bad("has no readable table of names");
}

// A text of the table; one that does not end in it is empty.
std::string name_at(const std::string& names, std::uint64_t at) {
    const auto end = at < names.size() ? names.find('\0', at) : names.npos;
    return end == names.npos ? std::string() : names.substr(at, end - at);
}

// Entries other than DT_NEEDED that make the system's loader load a library.
std::string_view extra_library(std::int64_t tag) {
    switch (tag) {
    case DT_AUXILIARY: return "DT_AUXILIARY";
    case DT_FILTER: return "DT_FILTER";
    case DT_AUDIT: return "DT_AUDIT";
    case DT_DEPAUDIT: return "DT_DEPAUDIT";
    default: return {};
    }
}

} // namespace

result<library_needs> read_library_needs(int fd, std::uint64_t file_size) {
    const auto segments = RLX_TRY(read_segments(fd, file_size));
    const auto entries = RLX_TRY(read_dynamic(fd, segments));
    library_needs out;
    if (entries.empty()) return out;
    const std::string names = RLX_TRY(read_names(fd, file_size, segments, entries));
    for (const auto& entry : entries) {
        const bool is_path = entry.d_tag == DT_RPATH || entry.d_tag == DT_RUNPATH;
        if (const auto tag = extra_library(entry.d_tag); !tag.empty())
            out.extra.push_back(fmt::format("{} {}", tag, name_at(names, entry.d_un.d_val)));
        if (entry.d_tag == DT_NEEDED) out.needed.push_back(name_at(names, entry.d_un.d_val));
        if (!is_path) continue;
        const std::string path = name_at(names, entry.d_un.d_val) + ":";
        for (std::size_t at = 0, end; (end = path.find(':', at)) != path.npos; at = end + 1)
            out.search.push_back(path.substr(at, end - at));
    }
    return out;
}

result<std::string> read_manifest_note(int fd, std::uint64_t file_size) {
    std::vector<std::string> found;
    for (const auto& segment : RLX_TRY(read_segments(fd, file_size))) {
        if (segment.p_type != PT_NOTE) continue;
        if (segment.p_filesz > max_note_segment) return bad("has a note segment longer than 4 MiB");
        const auto notes =
            RLX_TRY(read_at(fd, segment.p_offset, segment.p_filesz, "a note segment"));
        RLX_CHECK(scan_notes(notes, segment.p_align == 8 ? 8 : 4, found));
    }
    if (found.empty()) return bad("carries no rlx manifest; it is not an rlx plugin");
    if (found.size() > 1)
        return bad(fmt::format("carries {} rlx manifests, expected 1", found.size()));
    return std::move(found.front());
}

} // namespace rlx::loader
