// SPDX-License-Identifier: GPL-3.0-only
// A program that is not linked with librlx: loads it, uses it, lets it go, some times over. What is open and runs
// afterwards must not grow. dlopen <librlx.so> <model>
#include <rlx/rlx.h>

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>

static int count(const char* folder) {
    int n = 0;
    DIR* dir = opendir(folder);
    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL) closedir(dir);
    return n;
}

// ISO C has no cast from void* to a function.
#define FIND(pointer, name) (*(void**)&(pointer) = dlsym(library, name))

static int use(const char* path, const char* weights) {
    rlx_error* (*open)(const rlx_model_options*, rlx_model**);
    rlx_error* (*generate)(
        rlx_model*, rlx_str, const rlx_generate_options*, rlx_token_fn, void*, rlx_generate_result*
    );
    void (*close)(rlx_model*);
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
    FIND(open, "rlx_model_open");
    FIND(generate, "rlx_model_generate");
    FIND(close, "rlx_model_close");
    rlx_model_options options;
    rlx_model_options_init(&options);
    options.weights = rlx_cstr(weights);
    options.threads = 2;
    rlx_model* model = NULL;
    if (open(&options, &model) != NULL) return fprintf(stderr, "cannot open %s\n", weights), 1;
    rlx_generate_options how;
    rlx_generate_options_init(&how);
    how.max_tokens = 2;
    if (generate(model, rlx_cstr("Once"), &how, NULL, NULL, NULL) != NULL) return 1;
    close(model);
    return dlclose(library);
}

int main(int argc, char** argv) {
    if (argc != 3 || use(argv[1], argv[2]) != 0) return 1;
    const int files = count("/proc/self/fd"), threads = count("/proc/self/task");
    for (int round = 0; round < 3; round++)
        if (use(argv[1], argv[2]) != 0) return 1;
    printf("files %d to %d, threads %d to %d\n", files, count("/proc/self/fd"), threads, count("/proc/self/task"));
    return count("/proc/self/fd") != files || count("/proc/self/task") != threads;
}
