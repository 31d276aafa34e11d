/* SPDX-License-Identifier: GPL-3.0-only */
/* What is wrong with one sample: its name for sample.cpp, and what has to be in the file itself. */
#undef NDEBUG
#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const char rlx_sample_break[];
void rlx_sample_work(void);

const char rlx_sample_break[] = BREAK;

void rlx_sample_work(void) {
    static volatile int never = 0;
    (void)never;
#if defined(BREAK_imports)
    if (never) abort();
    if (never) killpg(0, SIGKILL);
    if (never) pthread_exit(NULL);
    assert(!never);
#elif defined(BREAK_environment)
    if (never) never = getenv("RLX_SAMPLE") != NULL;
#elif defined(BREAK_printing)
    if (never) puts("never");
#elif defined(BREAK_opens) || defined(BREAK_opens_out_of_memory) || defined(BREAK_opens_unsaid)
    static void* library = NULL;
    if (!library) library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
    char* (*volatile copy)(const char*) = strdup; /* the C library asks for its memory */
    volatile char* text = copy("a library that does not survive this");
    *text = 'A';
    free((char*)text);
#if defined(BREAK_opens_out_of_memory)
    volatile char* own = malloc(64);
    *own = 'A'; /* asks nobody */
    free((char*)own);
#endif
#endif
}

#if defined(BREAK_exports)
__attribute__((visibility("default"))) int rlx_sample_extra(void);

int rlx_sample_extra(void) {
    return 1;
}
#elif defined(BREAK_load_crash)
__attribute__((constructor)) static void before_anything(void) {
    __builtin_trap();
}
#elif defined(BREAK_load_exit)
__attribute__((constructor)) static void before_anything(void) {
    _exit(3);
}
#elif defined(BREAK_load_leave)
__attribute__((constructor)) static void before_anything(void) {
    exit(3);
}
#elif defined(BREAK_load_hang)
__attribute__((constructor)) static void before_anything(void) {
    for (;;)
        pause();
}
#endif
