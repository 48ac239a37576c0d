cpdef tuple serialize_head(int status, fields)

cpdef bytes length_line(long long length)

cpdef bytes assemble_head(int status, bytes lines, bytes wire, bytes framing, bytes body)
