# cython: language_level=3
"""What the system is asked for each request: compiled twin.

The interpreter is not released around the calls: on a non-blocking socket they take about a
microsecond, less than letting go of it and taking it again under contention. Only for more than
`LARGE` bytes, which the kernel must copy, is it released.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memset

cdef extern from *:
    """
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <errno.h>

    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    #ifndef MSG_MORE
    #define MSG_MORE 0
    #endif

    #ifdef __linux__
    #include <sys/sendfile.h>

    static ssize_t pagi_sendfile(int out, int descriptor, long long offset, size_t count)
    {
        off_t start = (off_t)offset;
        return sendfile(out, descriptor, &start, count);
    }
    #else /* its arguments differ from system to system */
    static ssize_t pagi_sendfile(int out, int descriptor, long long offset, size_t count)
    {
        errno = ENOSYS;
        return -1;
    }
    #endif

    static int pagi_is_cached(int descriptor, long long offset)
    {
    #ifdef RWF_NOWAIT
        char byte;
        struct iovec piece = {&byte, 1};
        return preadv2(descriptor, &piece, 1, (off_t)offset, RWF_NOWAIT) >= 0 || errno != EAGAIN;
    #else
        return 1;
    #endif
    }
    """
    ssize_t pagi_sendfile(int out, int descriptor, long long offset, size_t count) nogil
    bint pagi_is_cached(int descriptor, long long offset)

cdef extern from "<sys/socket.h>" nogil:
    enum: MSG_MORE
    enum: MSG_NOSIGNAL
    ssize_t recv(int descriptor, void *buffer, size_t size, int flags)
    ssize_t send(int descriptor, const void *buffer, size_t size, int flags)

    struct iovec:
        void *iov_base
        size_t iov_len

    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen

    ssize_t sendmsg(int descriptor, const msghdr *message, int flags)

__all__ = [
    "MAX_PIECES",
    "is_cached",
    "move_file",
    "receive",
    "take_bytes",
    "transmit",
    "transmit_pieces",
]

cdef enum:
    LARGE = 32768
    NEAR = 131072
    PIECES = 16

#: Pieces given to the system in one call; IOV_MAX is 1024 on Linux, and 16 at least anywhere.
MAX_PIECES = PIECES


cpdef bytes take_bytes(bytearray buffer, Py_ssize_t size):
    """Return the first ``size`` bytes of ``buffer``, copied once."""
    return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(buffer), min(size, len(buffer)))


cpdef bytes receive(object sock, int descriptor, bytearray buffer):
    """Return what a non-blocking socket has, at most as much as ``buffer`` holds.

    ``None`` if it has nothing now, empty at the end of the peer's bytes. Raises `OSError`.
    """
    cdef char *start = PyByteArray_AS_STRING(buffer)
    cdef ssize_t size
    while True:
        size = recv(descriptor, start, len(buffer), 0)
        if size >= 0:
            return PyBytes_FromStringAndSize(start, size)
        if errno == EAGAIN:
            return None
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()


cpdef Py_ssize_t transmit(object sock, int descriptor, bytes data, bint more) except -1:
    """Give a non-blocking socket bytes; return how many it took. Raises `OSError`.

    ``more`` says that more follows at once: they may wait for it, to share a segment (Linux).
    """
    cdef const char *start = PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef int flags = MSG_NOSIGNAL | MSG_MORE if more else MSG_NOSIGNAL
    cdef ssize_t sent
    while True:
        if size < LARGE:
            sent = send(descriptor, start, size, flags)
        else:
            with nogil:
                sent = send(descriptor, start, size, flags)
        if sent >= 0:
            return sent
        if errno == EAGAIN:
            return 0
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()


cpdef Py_ssize_t transmit_pieces(object sock, int descriptor, list pieces) except -1:
    """Give a non-blocking socket up to `MAX_PIECES` bytes-like pieces in one call.

    Returns how many bytes it took. Raises `OSError`.
    """
    cdef Py_buffer views[PIECES]
    cdef iovec vectors[PIECES]
    cdef msghdr message
    cdef Py_ssize_t count = min(len(pieces), PIECES), held = 0, size = 0
    cdef ssize_t sent = -1
    memset(&message, 0, sizeof(message))
    try:
        while held < count:
            PyObject_GetBuffer(pieces[held], &views[held], PyBUF_SIMPLE)
            vectors[held].iov_base = views[held].buf
            vectors[held].iov_len = views[held].len
            size += views[held].len
            held += 1
        message.msg_iov = vectors
        message.msg_iovlen = count
        while True:
            if size < LARGE:
                sent = sendmsg(descriptor, &message, MSG_NOSIGNAL)
            else:
                with nogil:
                    sent = sendmsg(descriptor, &message, MSG_NOSIGNAL)
            if sent >= 0:
                return sent
            if errno == EAGAIN:
                return 0
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()
    finally:
        while held:
            held -= 1
            PyBuffer_Release(&views[held])


cpdef bint is_cached(int descriptor, long long offset, Py_ssize_t count):
    """Tell whether a stretch of a file can be read without waiting for a disk.

    Its last page speaks for all; of a long one the first must be there too. Where the system
    cannot tell it is taken to be.
    """
    return pagi_is_cached(descriptor, offset + count - 1) and (
        count <= NEAR or pagi_is_cached(descriptor, offset)
    )


cpdef Py_ssize_t move_file(int out, int descriptor, long long offset, Py_ssize_t count):
    """Give a non-blocking socket bytes of a file.

    Returns:
        how many it took, 0 at the end of the file; -1 if it takes nothing now, if it is lost,
        which the transport will notice, or if the system has no ``sendfile``.
    """
    cdef ssize_t moved
    with nogil:
        moved = pagi_sendfile(out, descriptor, offset, count)
    return moved
