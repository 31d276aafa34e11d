// SPDX-License-Identifier: GPL-3.0-only
// The smallest file the loader takes for a plugin: ELF header, two program headers, the note.
// Enough to be found, listed and chosen; dlopen refuses it.
#pragma once

#include "rlx/abi/abi.h"

#include <cstring>
#include <elf.h>
#include <string>
#include <string_view>

inline std::string tiny_elf(std::string_view manifest) {
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr segments[2];
        Elf64_Nhdr note;
        char owner[4];
    } front{};

    std::memcpy(front.header.e_ident, ELFMAG, SELFMAG);
    front.header.e_ident[EI_CLASS] = ELFCLASS64;
    front.header.e_ident[EI_DATA] = ELFDATA2LSB;
    front.header.e_ident[EI_VERSION] = EV_CURRENT;
    front.header.e_type = ET_DYN;
#if defined(__aarch64__)
    front.header.e_machine = EM_AARCH64;
#elif defined(__riscv)
    front.header.e_machine = EM_RISCV;
#else
    front.header.e_machine = EM_X86_64;
#endif
    front.header.e_version = EV_CURRENT;
    front.header.e_phoff = sizeof front.header;
    front.header.e_ehsize = sizeof front.header;
    front.header.e_phentsize = sizeof(Elf64_Phdr);
    front.header.e_phnum = 2;
    front.note = {4, static_cast<Elf64_Word>(manifest.size()), RLX_NOTE_TYPE};
    std::memcpy(front.owner, RLX_NOTE_OWNER, 4);
    std::string padded(manifest);
    padded.resize((padded.size() + 3) / 4 * 4, '\0');
    Elf64_Phdr& load = front.segments[0];
    load.p_type = PT_LOAD;
    load.p_flags = PF_R;
    load.p_filesz = load.p_memsz = sizeof front + padded.size();
    load.p_align = 0x1000;
    Elf64_Phdr& note = front.segments[1];
    note.p_type = PT_NOTE;
    note.p_flags = PF_R;
    note.p_offset = note.p_vaddr = offsetof(decltype(front), note);
    note.p_filesz = note.p_memsz = sizeof front - note.p_offset + padded.size();
    note.p_align = 4;
    return std::string(reinterpret_cast<const char*>(&front), sizeof front) + padded;
}

// A family plugin's manifest, of about the length real ones have.
inline std::string tiny_manifest(int number) {
    const std::string n = std::to_string(100000 + number);
    return "{ \"rlx_manifest\": 1, \"id\": \"org.example.family" + n +
           "\", \"version\": \"1.2.3\", \"license\": \"GPL-3.0-only\",\n"
           "  \"abi\": {\"major\": 1, \"min_minor\": 0, \"built_minor\": 0},\n"
           "  \"platform\": {\"os\": \"linux\", \"arch\": \"\", \"isa\": []},\n"
           "  \"requires\": {\"sonames\": [], \"interfaces\": [\"rlx.graph/1\", \"rlx.weights/1\", "
           "\"rlx.options/1\"]},\n"
           "  \"provides\": [\n"
           "    {\"kind\": \"family\", \"name\": \"family" +
           n +
           "\", \"summary\": \"one of very many families\", \"task\": \"lm\", \"priority\": 100,\n"
           "     \"gguf_arches\": [\"arch" +
           n + "\", \"arch" + n + "moe\"], \"hf_model_types\": [\"type" + n +
           "\"],\n     \"formats\": [\"gguf\", \"safetensors\"],\n"
           "     \"required_meta\": [\"{arch}.context_length\", \"{arch}.embedding_length\", "
           "\"{arch}.block_count\"],\n     \"devices\": [\"cpu\"]},\n"
           "    {\"kind\": \"command\", \"name\": \"family" +
           n +
           "\", \"summary\": \"Generate text with it\", \"flag_groups\": [\"weights\", \"lm\", "
           "\"device\"]} ] }\n";
}
