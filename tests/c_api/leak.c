// SPDX-License-Identifier: GPL-3.0-only
// Forgets an error: what the leak checker must see.
#include <rlx/rlx.h>

int main(void) {
    rlx_model_options options;
    rlx_model_options_init(&options);
    options.weights = rlx_cstr("/nowhere/model.gguf");
    rlx_model* model = NULL;
    rlx_error* error = rlx_model_open(&options, &model);
    const int failed = rlx_error_code(error) != RLX_NOT_FOUND;
    error = NULL;
    return failed || error != NULL;
}
