# cython: language_level=3
cimport cython

cdef dict _KINDS, _REASONS
cdef list _BOUNDS
cdef Py_ssize_t _BUCKETS, _DURATION, _MICROSECONDS, _NO_STATUS, _OTHER_REASON
cdef Py_ssize_t _REASON, _REJECTED, _SENT, _STATUS, _STATUSES

cdef Py_ssize_t _place(Py_ssize_t status)


@cython.final
cdef class Counters:
    cdef long long[::1] _cells
    cdef long long[::1] _requests
    cdef object _access_log

    @cython.locals(
        cells=cython.longlong[::1], kind=Py_ssize_t, series=Py_ssize_t, micros=cython.longlong,
        bucket=Py_ssize_t, bound=cython.longlong, number=Py_ssize_t
    )
    cpdef log(self, client, dict scope, status, long long sent, double seconds, reason)
    cpdef log_rejected(self, client, int status, detail, reason=*)
