# SPDX-License-Identifier: GPL-3.0-only
# rlx_add_plugin(<target> MANIFEST plugin.json SOURCES ...): one dlopen-able plugin with its manifest as an
# ELF note and as a sidecar file. rlx_add_family(<name> SOURCES ... TESTS ...): a family plugin and its launcher.
include_guard(GLOBAL)
