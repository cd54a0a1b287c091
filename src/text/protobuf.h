/* Protocol Buffers' wire format, read field by field; every length is checked
 * against what is left. */
#ifndef AN_TEXT_PROTOBUF_H
#define AN_TEXT_PROTOBUF_H

#include "anemone/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct an_proto {
    const unsigned char *at, *end;
} an_proto;

typedef struct an_proto_field {
    uint32_t number;
    int wire;       /* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
    uint64_t value; /* of a number, little-endian */
    an_proto bytes;
} an_proto_field;

/* False at the end. AN_EFORMAT for what is cut or no field. */
an_status an_proto_next(an_proto *p, an_proto_field *field, bool *found,
                        an_error *err);
float an_proto_float(const an_proto_field *field);

#endif
