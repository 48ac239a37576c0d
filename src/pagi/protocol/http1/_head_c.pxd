cpdef tuple parse_head(
    bytes data,
    Py_ssize_t start,
    Py_ssize_t stream_id,
    Py_ssize_t max_head_size,
    Py_ssize_t max_target_size,
    Py_ssize_t max_header_count,
)
