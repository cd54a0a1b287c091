/* UTF-8 as Unicode's table 3-7 has it: no surrogates, nothing overlong. */
#ifndef AN_TEXT_UTF8_H
#define AN_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The code point at p, in *length bytes; *length is 0 where none is. */
uint32_t an_utf8_get(const unsigned char *p, size_t left, size_t *length);
/* Writes 1 to 4 bytes; returns how many. */
size_t an_utf8_put(uint32_t code, unsigned char *out);
/* How many bytes at p are valid, up to `left`. */
size_t an_utf8_span(const unsigned char *p, size_t left);
/* Unicode's White_Space. */
int an_utf8_is_space(uint32_t code);

#endif
