// SPDX-License-Identifier: GPL-3.0-only
// What can be seen in the file without loading it.
#include "checks.hpp"
#include "elf_file.hpp"

#include "manifest_json.hpp"
#include "rlx/base/wall.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace conformance {
namespace {

elf_file read_elf(const target& t) {
    auto elf = elf_file::read(t.file);
    if (!elf.ok()) throw failed{"the file " + elf.error().message};
    return std::move(*elf);
}

std::string read_text(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string joined(const std::vector<std::string>& list) {
    std::string out;
    for (const auto& s : list)
        out += (out.empty() ? "" : ", ") + s;
    return out;
}

// Ends the process, changes what belongs to all of it, starts others, or loads code past the host's
// rules. Not std::terminate: a compiler may put calls of it into every noexcept function.
constexpr const char* process_control[] = {
    "abort",
    "__assert_fail",
    "__assert_perror_fail",
    "exit",
    "_exit",
    "_Exit",
    "quick_exit",
    "raise",
    "kill",
    "killpg",
    "tgkill",
    "pthread_kill",
    "pthread_exit",
    "signal",
    "sigaction",
    "sigprocmask",
    "pthread_sigmask",
    "siginterrupt",
    "bsd_signal",
    "__sysv_signal",
    "sigaltstack",
    "alarm",
    "setitimer",
    "fork",
    "vfork",
    "_Fork",
    "execve",
    "execv",
    "execvp",
    "execvpe",
    "execl",
    "execlp",
    "execle",
    "fexecve",
    "posix_spawn",
    "posix_spawnp",
    "system",
    "popen",
    "dlopen",
    "dlmopen",
    "atexit",
    "at_quick_exit",
    "on_exit",
    "chdir",
    "fchdir",
    "umask",
    "setlocale",
    "setrlimit",
    "setpriority",
    "setuid",
    "setgid",
    "_ZSt13set_terminatePFvvE",
    "_ZSt15set_new_handlerPFvvE",
    "_ZNSt6locale6globalERKS_"};
constexpr const char* environment[] = {
    "getenv",
    "secure_getenv",
    "__secure_getenv",
    "setenv",
    "putenv",
    "unsetenv",
    "clearenv",
    "environ",
    "__environ",
    "_environ"};
constexpr const char* printing[] = {
    "printf",
    "vprintf",
    "puts",
    "putchar",
    "perror",
    "psignal",
    "stdout",
    "stderr",
    "stdin",
    "__printf_chk",
    "__vprintf_chk",
    "_ZSt4cout",
    "_ZSt4cerr",
    "_ZSt4clog",
    "_ZSt3cin",
    "syslog",
    "err",
    "warn",
    "error"};
// What a C++ runtime linked into the plugin needs for itself: std::terminate, its verbose handler,
// emulated settings of the allocator, iostream's start-up.
constexpr const char* of_static_runtime[] = {
    "abort", "getenv", "secure_getenv", "stderr", "stdout", "stdin", "setlocale"};

template <std::size_t N>
bool contains(const char* const (&list)[N], const std::string& name) {
    return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

// No C++ library is needed, but its unwinder's way to find the tables is: the runtime is inside.
bool has_static_runtime(const elf_file& elf) {
    const bool shared = std::any_of(elf.needed.begin(), elf.needed.end(), [](const std::string& n) {
        return n.starts_with("libstdc++") || n.starts_with("libc++");
    });
    return !shared &&
           std::any_of(elf.imported.begin(), elf.imported.end(), [](const std::string& n) {
               return n == "dl_iterate_phdr" || n == "_dl_find_object";
           });
}

template <std::size_t N>
std::string judge_imports(
    const target& t, const char* const (&list)[N], const char* rule, bool may_open = false
) {
    const elf_file elf = read_elf(t);
    const bool own_runtime = has_static_runtime(elf);
    std::vector<std::string> wrong, excused;
    for (const std::string& name : elf.imported) {
        if (!contains(list, name) || (may_open && name == "dlopen")) continue;
        (own_runtime && contains(of_static_runtime, name) ? excused : wrong).push_back(name);
    }
    if (!wrong.empty()) throw failed{"imports " + joined(wrong) + ": " + rule};
    if (!excused.empty())
        return "not judged, its own C++ runtime may be who needs them: " + joined(excused);
    return own_runtime ? "its own C++ runtime" : "";
}

} // namespace

std::string check_manifest(const target& t) {
    const auto note = read_note(t.file);
    if (!note.ok()) throw failed{note.error().message};
    auto compatible = rlx::loader::check_compatible(t.manifest);
    if (!compatible.ok()) throw failed{compatible.error().message};
    const std::filesystem::path sidecar = t.file.native() + ".rlx.json";
    const std::string unread = lint_manifest(*note);
    if (!std::filesystem::exists(sidecar))
        return "no copy beside the library" + (unread.empty() ? "" : "; " + unread);
    if (!std::filesystem::is_regular_file(sidecar)) // a pipe would be waited for
        throw failed{sidecar.filename().native() + " is not a regular file"};
    if (read_text(sidecar) != *note)
        throw failed{
            "the manifest in the library and its copy " + sidecar.filename().native() + " differ"};
    return unread;
}

std::string check_exports(const target& t) {
    const elf_file elf = read_elf(t);
    if (elf.exported == std::vector<std::string>{RLX_PLUGIN_ENTRY_SYMBOL}) return {};
    std::vector<std::string> list = elf.exported;
    const std::size_t n = list.size();
    list.resize(std::min<std::size_t>(n, 8));
    throw failed{
        "exports " + std::to_string(n) + " symbols (" + joined(list) + (n > 8 ? ", ..." : "") +
        "), expected " RLX_PLUGIN_ENTRY_SYMBOL " alone; link with a version script"};
}

// dlopen is for what the manifest says under "requires": the host has opened it before.
bool opens_libraries(const target& t) {
    const std::vector<std::string> imported = read_elf(t).imported;
    return !t.manifest.sonames.empty() &&
           std::find(imported.begin(), imported.end(), "dlopen") != imported.end();
}

std::string check_imports(const target& t) {
    const std::string remark =
        judge_imports(t, process_control, "a plugin leaves the process alone", opens_libraries(t));
    return opens_libraries(t) ? "opens " + joined(t.manifest.sonames) : remark;
}

std::string check_environment(const target& t) {
    return judge_imports(
        t, environment, "plugins receive options, they do not read the environment"
    );
}

std::string check_printing(const target& t) {
    return judge_imports(t, printing, "plugins log through the host");
}

std::string check_libraries(const target& t) {
    const elf_file elf = read_elf(t);
    for (const auto& name : elf.needed) {
        if (name.starts_with("librlx"))
            throw failed{"links " + name + "; a plugin gets everything from its host"};
        if (name.find('/') != name.npos) throw failed{"links " + name + " by its path"};
    }
    for (const auto& path : elf.search) {
        if (path != "$ORIGIN" && path != "${ORIGIN}")
            throw failed{
                "looks for libraries in '" + path +
                "' (RPATH or RUNPATH), only $ORIGIN is allowed"};
    }
    if (elf.executable_stack) throw failed{"wants an executable stack"};
    if (elf.text_relocations) throw failed{"has text relocations; compile with -fPIC"};
    return joined(elf.needed);
}

} // namespace conformance
