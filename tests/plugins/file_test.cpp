// SPDX-License-Identifier: GPL-3.0-only
// Which files are believed to be plugins: ELF, note, sidecar, manifest.
#include "sandbox.hpp"

#include <cstring>
#include <elf.h>

namespace {

class plugin_file : public ::testing::Test {
protected:
    sandbox box;
};

TEST_F(plugin_file, good_one_gives_its_whole_manifest) {
    const auto file = box.add("toy");
    const auto catalog = box.open();
    ASSERT_EQ(catalog->manifests().size(), 1u);
    const rlx::manifest& m = catalog->manifests()[0];
    EXPECT_EQ(m.id, "org.rlx.test.toy");
    EXPECT_EQ(m.version, "1.2.3");
    EXPECT_EQ(m.library, file);
    EXPECT_EQ(m.sonames, std::vector<std::string>{"libc.so.6"});
    ASSERT_EQ(m.provides.size(), 2u);
    EXPECT_EQ(m.provides[0].task, "lm");
    EXPECT_EQ(m.provides[0].gguf_arches, (std::vector<std::string>{"toy", "toy2"}));
    EXPECT_NE(m.provides[1].json.find("toy command"), std::string::npos);
    EXPECT_EQ(candidate_of(*catalog, file)->status, "ok");
}

TEST_F(plugin_file, without_sidecar_is_fine_because_the_note_decides) {
    const auto file = box.add("toy");
    fs::remove(file.native() + ".rlx.json");
    EXPECT_EQ(box.open()->manifests().size(), 1u);
}

TEST_F(plugin_file, of_garbage_is_refused) {
    write_all(box.root() / "garbage.so", std::string(5000, 'x'));
    write_all(box.root() / "empty.so", "");
    write_all(box.root() / "short.so", "\177ELF");
    const auto catalog = box.open();
    EXPECT_TRUE(refused(*catalog, box.root() / "garbage.so", "is not an ELF file"));
    EXPECT_TRUE(refused(*catalog, box.root() / "empty.so", "too short"));
    EXPECT_TRUE(refused(*catalog, box.root() / "short.so", "too short"));
    EXPECT_TRUE(catalog->manifests().empty());
}

TEST_F(plugin_file, that_disturbs_nobody_else) {
    write_all(box.root() / "a.so", "garbage");
    box.add("toy", "b", box.root());
    write_all(box.root() / "c.so", "garbage");
    EXPECT_EQ(box.open()->manifests().size(), 1u);
}

TEST_F(plugin_file, cut_anywhere_in_what_is_mapped_is_refused) {
    const auto file = box.add("toy");
    const std::string whole = read_all(file);
    Elf64_Ehdr header;
    std::memcpy(&header, whole.data(), sizeof header);
    std::uint64_t mapped = 0;
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        std::memcpy(&segment, whole.data() + header.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type == PT_LOAD)
            mapped = std::max(mapped, segment.p_offset + segment.p_filesz);
    }
    fs::resize_file(file, mapped);
    EXPECT_EQ(box.open()->manifests().size(), 1u);
    fs::resize_file(file, mapped - 1);
    EXPECT_TRUE(refused(*box.open(), file, "truncated"));
    // Then in steps, and every length inside the headers.
    for (std::uint64_t n = mapped - 1; n > 0; n -= n > 1024 ? 509 : 1) {
        fs::resize_file(file, n);
        ASSERT_TRUE(box.open()->manifests().empty()) << n;
    }
}

// Any single byte of the headers may be hostile: an answer or a reason, never a crash.
TEST_F(plugin_file, with_any_header_byte_changed_is_read_safely) {
    const auto file = box.add("toy");
    const std::string whole = read_all(file);
    Elf64_Ehdr header;
    std::memcpy(&header, whole.data(), sizeof header);
    const std::size_t end = header.e_phoff + header.e_phnum * sizeof(Elf64_Phdr);
    std::fstream patch(file, std::ios::in | std::ios::out | std::ios::binary);
    const auto put = [&](std::size_t at, char value) {
        patch.seekp(static_cast<std::streamoff>(at)).put(value).flush();
    };
    for (std::size_t i = 0; i < end; i++) {
        for (const char value : {'\0', '\x7f', '\xff'}) {
            put(i, value);
            const auto catalog = box.open();
            const auto* seen = candidate_of(*catalog, file);
            ASSERT_NE(seen, nullptr);
            ASSERT_EQ(catalog->manifests().size(), seen->status == "ok" ? 1u : 0u);
        }
        put(i, whole[i]);
    }
    EXPECT_EQ(read_all(file), whole);
}

TEST_F(plugin_file, of_another_processor_or_kind_is_refused) {
    const auto file = box.add("toy");
    const std::string whole = read_all(file);
    std::string bytes = whole;
    bytes[offsetof(Elf64_Ehdr, e_machine)] = static_cast<char>(EM_SPARC);
    write_all(file, bytes);
    EXPECT_TRUE(refused(*box.open(), file, "another processor"));
    bytes = whole;
    bytes[EI_CLASS] = ELFCLASS32;
    write_all(file, bytes);
    EXPECT_TRUE(refused(*box.open(), file, "64-bit"));
    bytes = whole;
    bytes[offsetof(Elf64_Ehdr, e_type)] = ET_EXEC;
    write_all(file, bytes);
    EXPECT_TRUE(refused(*box.open(), file, "not a shared library"));
}

TEST_F(plugin_file, that_is_some_other_library_is_refused) {
    fs::copy_file("/proc/self/exe", box.root() / "program.so");
    EXPECT_TRUE(refused(*box.open(), box.root() / "program.so", "not an rlx plugin"));
}

TEST_F(plugin_file, whose_sidecar_differs_is_refused) {
    const auto file = box.add("toy");
    const fs::path sidecar = file.native() + ".rlx.json";
    const std::string text = read_all(sidecar);
    std::string other = text;
    other.replace(other.find("1.2.3"), 5, "9.9.9");
    write_all(sidecar, other);
    EXPECT_TRUE(refused(*box.open(), file, "differ"));
    write_all(sidecar, text + " ");
    EXPECT_TRUE(refused(*box.open(), file, "differ"));
    write_all(sidecar, text);
    EXPECT_EQ(box.open()->manifests().size(), 1u);
}

TEST_F(plugin_file, that_needs_another_abi_is_refused_with_both_numbers) {
    const std::string speaks = std::to_string(RLX_ABI_MAJOR) + "." + std::to_string(RLX_ABI_MINOR);
    const auto file = box.add("toy");
    edit(file, "\"major\": 1", "\"major\": 2");
    EXPECT_TRUE(refused(*box.open(), file, "needs plugin ABI 2.0, this host speaks " + speaks));
    edit(file, "\"major\": 2", "\"major\": 1");
    edit(file, "\"min_minor\": 0", "\"min_minor\": 7");
    EXPECT_TRUE(refused(*box.open(), file, "needs plugin ABI 1.7, this host speaks " + speaks));
}

TEST_F(plugin_file, with_a_bad_manifest_is_refused_naming_the_key) {
    const auto file = box.add("toy");
    const std::string library = read_all(file);
    const std::string sidecar = read_all(file.native() + ".rlx.json");

    const struct {
        const char *from, *to, *why;
    } cases[] = {
        {"\"rlx_manifest\": 1", "\"rlx_manifest\": 2", "format 2 is not known"},
        {"\"id\": \"org.rlx.test.toy\"", "\"id\": \"org.rlx.test/toy\"", "\"id\" must be"},
        {"\"id\": \"org.rlx.test.toy\"", "\"ID\": \"org.rlx.test.toy\"", "no string \"id\""},
        {"\"version\": \"1.2.3\"", "\"version\": 1234567", "no string \"version\""},
        {"\"provides\"", "\"provided\"", "\"provides\" must be an array"},
        {"\"kind\": \"family\"", "\"kinf\": \"family\"", "no string \"kind\""},
        {"\"task\": \"lm\"", "\"tusk\": \"lm\"", "has no \"task\""},
        {"\"priority\": 100", "\"priority\": 1.5", "no whole number \"priority\""},
        {"[\"toy\", \"toy2\"]", "[\"toy\", 123456]", "no array of strings"},
        {"\"libc.so.6\"", "\"../ibc.so\"", "no plain library name"},
        {"\"license\"", "\"lic\\x se\"", "manifest:"},
        {"\"task\": \"lm\"", "\"task\":\"\\t\"", "\"task\" has control characters"},
    };

    for (const auto& c : cases) {
        write_all(file, library);
        write_all(file.native() + ".rlx.json", sidecar);
        // Same length, or the note's size would be wrong.
        std::string to = c.to;
        to.resize(std::strlen(c.from), ' ');
        edit(file, c.from, to);
        EXPECT_TRUE(refused(*box.open(), file, c.why)) << c.to;
    }
}

std::string note(std::string_view owner, std::uint32_t type, std::string_view text) {
    const Elf64_Nhdr header{
        static_cast<Elf64_Word>(owner.size()), static_cast<Elf64_Word>(text.size()), type};
    std::string out(reinterpret_cast<const char*>(&header), sizeof header);
    out.append(owner).resize((out.size() + 3) / 4 * 4);
    out.append(text).resize((out.size() + 3) / 4 * 4);
    return out;
}

const std::string_view rlx_owner("RLX", 4);

// The library with these bytes as its only note segment.
std::string with_notes(std::string bytes, const std::string& notes) {
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    const std::size_t at = (bytes.size() + 7) / 8 * 8;
    bytes.resize(at);
    bytes.append(notes);
    bool placed = false;
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        char* where = bytes.data() + header.e_phoff + i * sizeof segment;
        std::memcpy(&segment, where, sizeof segment);
        if (segment.p_type != PT_NOTE) continue;
        segment.p_type = placed ? PT_NULL : PT_NOTE;
        segment.p_offset = at;
        segment.p_filesz = notes.size();
        segment.p_align = 4;
        std::memcpy(where, &segment, sizeof segment);
        placed = true;
    }
    EXPECT_TRUE(placed);
    return bytes;
}

TEST_F(plugin_file, with_other_peoples_notes_around_its_own_is_fine) {
    const auto file = box.add("toy");
    const std::string manifest = read_all(file.native() + ".rlx.json");
    const std::string other =
        note("GNU\0x", RLX_NOTE_TYPE, "abc") + note(rlx_owner, 7, "not this") + note("", 0, "");
    const std::string ours = note(rlx_owner, RLX_NOTE_TYPE, manifest);
    write_all(file, with_notes(read_all(file), other + ours + other));
    EXPECT_EQ(box.open()->manifests().size(), 1u);
}

TEST_F(plugin_file, with_hostile_notes_is_refused) {
    const auto file = box.add("toy");
    const std::string whole = read_all(file);
    const std::string manifest = read_all(file.native() + ".rlx.json");
    const std::string good = note(rlx_owner, RLX_NOTE_TYPE, manifest);
    const auto sized = [&](std::uint32_t owner, std::uint32_t text) {
        std::string bytes = good;
        std::memcpy(bytes.data(), &owner, sizeof owner);
        std::memcpy(bytes.data() + 4, &text, sizeof text);
        return bytes;
    };
    const auto n = static_cast<std::uint32_t>(manifest.size());

    const struct {
        std::string notes;
        const char* why;
    } cases[] = {
        {good + good, "carries 2 rlx manifests"},
        {sized(4, n + 8), "ends past its segment"},
        {sized(4, 0xffffffff), "ends past its segment"},
        {sized(0xffffffff, n), "ends past its segment"},
        {sized(0xfffffffe, 0xfffffffe), "ends past its segment"},
        {sized(3, n), "no rlx manifest"},
        {note(rlx_owner, RLX_NOTE_TYPE, ""), "manifest"},
        {note(rlx_owner, RLX_NOTE_TYPE, std::string((1 << 20) + 1, ' ')), "longer than 1 MiB"},
        {note("x", 0, std::string(5 << 20, ' ')), "longer than 4 MiB"},
        {"", "no rlx manifest"},
        {good.substr(0, 7), "no rlx manifest"},
    };

    for (const auto& c : cases) {
        write_all(file, with_notes(whole, c.notes));
        EXPECT_TRUE(refused(*box.open(), file, c.why)) << c.notes.size();
    }
}

TEST_F(plugin_file, whose_manifest_nests_deep_does_not_overflow_the_stack) {
    const auto file = box.add("toy");
    const std::string text = std::string(1 << 19, '[') + std::string(1 << 19, ']');
    write_all(file, with_notes(read_all(file), note(rlx_owner, RLX_NOTE_TYPE, text)));
    write_all(file.native() + ".rlx.json", text);
    EXPECT_TRUE(refused(*box.open(), file, "nests deeper"));
}

} // namespace
