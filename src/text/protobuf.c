/* Source: protobuf.dev/programming-guides/encoding. */
#include "text/protobuf.h"

#include <string.h>

static bool read_varint(an_proto *p, uint64_t *out)
{
    uint64_t x = 0;
    for (int shift = 0; shift < 64 && p->at < p->end; shift += 7) {
        unsigned char byte = *p->at++;
        x |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = x;
            return true;
        }
    }
    return false;
}

static bool read_fixed(an_proto *p, size_t n, uint64_t *out)
{
    uint64_t x = 0;
    if ((size_t)(p->end - p->at) < n) return false;
    for (size_t i = n; i-- > 0;)
        x = x << 8 | p->at[i];
    p->at += n;
    *out = x;
    return true;
}

an_status an_proto_next(an_proto *p, an_proto_field *field, bool *found,
                        an_error *err)
{
    uint64_t key, n = 0;
    *found = p->at < p->end;
    if (!*found) return AN_OK;
    *field = (an_proto_field){0};
    bool well = read_varint(p, &key) && key >> 3 > 0 && key >> 3 <= UINT32_MAX;
    if (well) {
        field->number = (uint32_t)(key >> 3);
        field->wire = (int)(key & 7);
        switch (field->wire) {
        case 0:
            well = read_varint(p, &field->value);
            break;
        case 1:
            well = read_fixed(p, 8, &field->value);
            break;
        case 2:
            well = read_varint(p, &n) && n <= (uint64_t)(p->end - p->at);
            if (well) field->bytes = (an_proto){p->at, p->at + n};
            if (well) p->at += n;
            break;
        case 5:
            well = read_fixed(p, 4, &field->value);
            break;
        default:
            well = false;
        }
    }
    return well ? AN_OK
                : an_fail(err, AN_EFORMAT,
                          "protobuf: a field is cut or of no known type");
}

float an_proto_float(const an_proto_field *field)
{
    uint32_t bits = (uint32_t)field->value;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
