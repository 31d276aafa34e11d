// SPDX-License-Identifier: GPL-3.0-only
// consumer DIR: loads the plugin in DIR through the installed librlx, and lists what else is installed.
#include <rlx/loader/loader.hpp>

#include <cstdio>

int main(int argc, char** argv) {
    rlx::search_options options;
    if (argc > 1) options.plugin_dirs = {argv[1]};
    auto catalog = rlx::plugin_catalog::open(options);
    if (!catalog) return std::printf("%s\n", catalog.error().message.c_str()), 1;
    for (const auto& m : (*catalog)->manifests())
        std::printf("found %s\n", m.id.c_str());
    auto family = (*catalog)->find_family("gguf", "consumer");
    if (!family) return std::printf("%s\n", family.error().message.c_str()), 1;
    auto loaded = (*catalog)->load(*family->owner);
    if (!loaded) return std::printf("%s\n", loaded.error().message.c_str()), 1;
    std::printf("loaded %s %s\n", family->owner->id.c_str(), family->owner->version.c_str());
    return (*loaded)->iface("rlx.family/1") ? 0 : 1;
}
