# cython: language_level=3
cdef class Seat:
    cdef public bint _asyncio_future_blocking
    cdef public object _loop
    cdef object context
    cdef object exchange
    cdef object name
    cdef bint parked
    cdef AppRunner runner
    cdef object running
    cdef object task
    cdef object waiting_for
    cdef object wake


cdef class AppRunner:
    cdef int _max_seats
    cdef int _wanted
    cdef list _spare
    cdef set _tasks
    cdef public object context
    cdef public object loop

    cpdef start(self, app, exchange, scope)
    cpdef park(self, Seat seat)
    cpdef forget(self, Seat seat)
    cdef Seat _take_seat(self)
    cdef bint _unchanged(self, Seat seat, task)
    cdef _wake_for(self, Seat seat, exchange, context, begun)
    cpdef _dismiss(self, Seat seat)
    cdef _add_seat(self)
