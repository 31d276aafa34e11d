/* SPDX-License-Identifier: GPL-3.0-only */
int lint_needed(void);

__attribute__((visibility("default"))) int lint_needed(void) {
    return 1;
}
