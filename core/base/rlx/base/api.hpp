// SPDX-License-Identifier: GPL-3.0-only
// RLX_API marks what librlx-core.so and librlx.so export; everything else is hidden.
#pragma once

#define RLX_API __attribute__((visibility("default")))
