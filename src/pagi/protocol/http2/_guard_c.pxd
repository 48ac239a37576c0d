cimport cython


cdef class FrameGuard:
    cdef set _open
    cdef dict _closed
    cdef dict _closed_before
    cdef Py_ssize_t _max_closed
    cdef double _max_resets
    cdef double _max_idle_frames
    cdef double _resets
    cdef double _idle_frames
    cdef double _time
    cdef bint _judged
    cdef Py_ssize_t _skip
    cdef bytes _part
    cdef public bint accepting
    cdef public int error
    cdef public str detail
    cdef public bint in_headers
    cdef public long long last_stream_id

    cpdef upgraded(self)
    @cython.locals(passed=cython.double, share=cython.double)
    cpdef refill(self, double now)
    cpdef sent(self, Py_ssize_t size)
    cpdef closed(self, long long stream_id, bint by_us)
    cpdef bint charge_reset(self)
    @cython.locals(
        data=bytes, size=Py_ssize_t, position=Py_ssize_t, before=Py_ssize_t, rest=Py_ssize_t,
        length=Py_ssize_t, kind=cython.int, flags=cython.int, wanted=Py_ssize_t,
        stream_id=cython.longlong, offset=Py_ssize_t,
    )
    cpdef Py_ssize_t check(self, bytes data) except -1
    cdef _judge(self, int kind, int flags, Py_ssize_t length, long long stream_id)
    cdef _check_closed(self, long long stream_id, bint headers)
    cdef _check_dependency(self, bytes parent, long long stream_id)
    cdef _charge_frame(self)
    cdef _fail(self, int code, detail)
