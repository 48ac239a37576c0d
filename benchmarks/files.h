/* Reading a whole file, which every program here does with what it has to send or to expect. */
#ifndef BENCHMARKS_FILES_H
#define BENCHMARKS_FILES_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static char *load_file(const char *path, size_t *size)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0 || fstat(descriptor, &status) < 0)
        fail(path);
    char *data = malloc((size_t)status.st_size + 1);
    *size = 0;
    for (ssize_t count; (count = read(descriptor, data + *size, 1 << 20)) > 0;)
        *size += (size_t)count;
    close(descriptor);
    return data;
}

#endif
