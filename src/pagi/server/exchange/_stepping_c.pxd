# cython: language_level=3
cpdef tuple first_step(loop, task, base, app, exchange, scope)
