/* SPDX-License-Identifier: GPL-3.0-only */
/* A plugin in C11 without the SDK: the least that loads. SAMPLE_* turn it into broken ones. */
#include "rlx/abi/abi.h"

#include <string.h>

#ifndef SAMPLE_ID
#define SAMPLE_ID RLX_PLUGIN_ID
#endif

static rlx_str text(const char* s) {
    return (rlx_str){s, strlen(s)};
}

#if defined(SAMPLE_PRIVATE)
uint16_t sample_private(void); /* of the library beside the plugin */
#endif

static const void* get_iface(void* self, rlx_str name, uint16_t min_minor) {
    static const rlx_hdr table = {sizeof(rlx_hdr), 1, 0};
    (void)self;
#if defined(SAMPLE_PRIVATE)
    static rlx_hdr private_table = {sizeof(rlx_hdr), 1, 0};
    private_table.minor = sample_private();
    if (name.n == 14 && memcmp(name.p, "test.private/1", 14) == 0) return &private_table;
#endif
    if (name.n == 10 && memcmp(name.p, "test.old/1", 10) == 0)
        return &table; // whatever is asked for
    return name.n == 11 && memcmp(name.p, "test.base/1", 11) == 0 && min_minor == 0 ? &table : NULL;
}

rlx_error* rlx_plugin_entry_v1(const rlx_host* host, rlx_plugin* out);

rlx_error* rlx_plugin_entry_v1(const rlx_host* host, rlx_plugin* out) {
    out->hdr.major = 1;
    out->hdr.minor = 0;
    out->id = text(SAMPLE_ID);
    out->version = text(RLX_PLUGIN_VERSION);
    out->iface = get_iface;
#if defined(SAMPLE_REFUSES)
    return host->error_new(
        host->ctx, RLX_UNSUPPORTED, text("the moon is in the wrong phase"), NULL
    );
#elif defined(SAMPLE_EMPTY)
    memset(out, 0, sizeof *out);
#endif
    (void)host;
    return NULL;
}
