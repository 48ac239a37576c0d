# cython: language_level=3
cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <sys/stat.h>
    #include <unistd.h>

    #ifdef __APPLE__
    #define pagi_modified st_mtimespec
    #define pagi_changed st_ctimespec
    #else
    #define pagi_modified st_mtim
    #define pagi_changed st_ctim
    #endif

    /* The descriptor of a file and its status; -1 is an error of the system, -2 no regular file. */
    static inline int pagi_open_regular(const char *path, struct stat *status)
    {
        int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (descriptor < 0)
            return -1;
        if (fstat(descriptor, status) < 0 || !S_ISREG(status->st_mode)) {
            close(descriptor);
            return -2;
        }
        return descriptor;
    }

    static inline int pagi_same_time(const struct timespec *one, const struct timespec *other)
    {
        return one->tv_sec == other->tv_sec && one->tv_nsec == other->tv_nsec;
    }

    /* Whether opening a path would give the file of this status, unchanged. */
    static inline int pagi_is_at(const char *path, const struct stat *status)
    {
        struct stat found;
        return stat(path, &found) == 0
            && found.st_dev == status->st_dev && found.st_ino == status->st_ino
            && found.st_size == status->st_size
            && pagi_same_time(&found.pagi_modified, &status->pagi_modified)
            && pagi_same_time(&found.pagi_changed, &status->pagi_changed);
    }
    """
    struct pagi_stat "stat":
        long long st_size

    int pagi_open_regular(const char *path, pagi_stat *status) nogil
    int pagi_is_at(const char *path, const pagi_stat *status) nogil


cdef class RegularFile:
    cdef pagi_stat _status
    cdef readonly int descriptor
    cdef readonly long long size
    cdef public int users
    cdef public bint kept
    cdef public bint wanted

    cpdef bint is_at(self, path) except -1
    cpdef close(self)
