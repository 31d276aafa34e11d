/* SPDX-License-Identifier: GPL-3.0-only */
/* A library that a plugin ships beside itself; with another number, somebody else's of the same name. */
#include <stdint.h>

uint16_t sample_private(void);

uint16_t sample_private(void) {
    return SAMPLE_NUMBER;
}
