// SPDX-License-Identifier: GPL-3.0-only
// The manifest as an ELF note, for builds without rlx_add_plugin (which does this itself).
#include <rlx/abi/note.h>

RLX_EMBED_MANIFEST("plugin.json");
