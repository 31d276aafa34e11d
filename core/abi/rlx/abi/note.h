// SPDX-License-Identifier: GPL-3.0-only
// RLX_EMBED_MANIFEST("plugin.json"): the manifest as the ELF note that hosts read, for C and C++. Once per plugin, at
// file scope. The path is looked up where the assembler runs and in its -Wa,-I folders. rlx_add_plugin() uses it;
// plugins that are built by hand write it into one source file. What a build passes besides: rlx.pc's
// plugin_cflags and plugin_ldflags.
#pragma once

// GNU as for ELF: owner "RLX" (4 bytes with its NUL), the type RLX_NOTE_TYPE of rlx/abi/abi.h.
#define RLX_EMBED_MANIFEST(path)                                                                   \
    __asm__(".pushsection .note.rlx,\"a\",@note\n"                                                 \
            ".balign 4\n"                                                                          \
            ".long 4, 992f - 991f, 0x584c5201\n"                                                   \
            ".asciz \"RLX\"\n"                                                                     \
            "991: .incbin \"" path "\"\n"                                                          \
            "992: .balign 4\n"                                                                     \
            ".popsection\n")
