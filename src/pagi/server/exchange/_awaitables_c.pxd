# cython: language_level=3
cimport cython


cdef class Done:
    pass


@cython.freelist(64)
cdef class Waiter:
    cdef public bint _asyncio_future_blocking
    cdef bint _awaited
    cdef object _callback
    cdef bint _cancelled
    cdef object _context
    cdef bint _done
    cdef object _loop
    cdef object _message

    cpdef wake(self)
    cpdef wake_soon(self)
    cdef _schedule(self)
