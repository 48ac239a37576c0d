from pagi.protocol._events_c cimport RequestReceived
from pagi.protocol.http1.states cimport CHUNKED

cpdef long long read_notes(RequestReceived event, dict notes, max_body_size) except -2
cpdef object body_length(RequestReceived event, dict notes)
cpdef bint keeps_alive(RequestReceived event, dict notes) except -1
