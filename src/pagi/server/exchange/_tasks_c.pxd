# cython: language_level=3
cimport cython

from pagi.server.exchange._stepping_c cimport first_step


cdef class Seat:
    cdef public bint _asyncio_future_blocking
    cdef public object _loop
    cdef public bint cancelled
    cdef public Py_ssize_t weak_references
    cdef public object context
    cdef public object exchange
    cdef public object name
    cdef public bint parked
    cdef public object runner
    cdef public object running
    cdef public object task
    cdef public object waiting_for
    cdef public object wake


cdef class AppRunner:
    cdef int _max_seats
    cdef int _wanted
    cdef Seat _ready
    cdef Seat _stepping
    cdef list _spare
    cdef public object error
    cdef dict _tasks
    cdef public object context
    cdef public object loop

    @cython.locals(seat=Seat)
    cpdef bint start(self, app, exchange, scope) except -1
    cpdef park(self, Seat seat)
    cpdef forget(self, Seat seat)
    @cython.locals(seat=Seat)
    cdef Seat _take_seat(self)
    cdef bint _unchanged(self, Seat seat, task)
    cdef _wake_for(self, Seat seat, tuple begun)
    @cython.locals(seat=Seat)
    cdef _add_seat(self)
