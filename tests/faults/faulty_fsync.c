/* Preloaded before libc: fsync() and fdatasync() that are slow (FSYNC_MILLISECONDS), or fail from call FSYNC_FAILS_FROM on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_long calls;

static long setting(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static int synchronize(const char *name, int file) {
    long milliseconds = setting("FSYNC_MILLISECONDS"), fails_from = setting("FSYNC_FAILS_FROM");
    if (milliseconds)
        usleep(milliseconds * 1000);
    if (fails_from && atomic_fetch_add(&calls, 1) + 1 >= fails_from) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}

int fsync(int file) { return synchronize("fsync", file); }
int fdatasync(int file) { return synchronize("fdatasync", file); }
