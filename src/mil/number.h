/*
 * Numbers as text: C99 hexadecimal floats, decimals, integers; each rounded
 * once, to nearest even, to the type that wants it. Independent of the locale.
 */
#ifndef AN_MIL_NUMBER_H
#define AN_MIL_NUMBER_H

#include "anemone/mil.h"

/* Characters of one number, at most. */
#define AN_MAX_NUMBER 1024

/* "0x1.8p-3", "-1.5e-05", "12", "inf", "-inf", "nan" as a value of a float
 * type. False: no such number. Too large ones become infinite. */
bool an_number_real(const char *text, size_t size, an_dtype to, double *out);
/* "-12" as the bits of an integer type; *fits is false when it is a number,
 * but not one of the type. False: no integer. */
bool an_number_int(const char *text, size_t size, an_dtype to, int64_t *out,
                   bool *fits);

/* The nearest value of a float type. */
double an_number_round(double x, an_dtype to);
/* Writes element i of an array of the dtype; x is one of its values. */
void an_number_store_real(void *data, an_dtype dtype, size_t i, double x);
void an_number_store_int(void *data, an_dtype dtype, size_t i, int64_t x);

/* Apple's spelling of a float: "0x1.8p-3", "-0x0p+0", "inf". */
#define AN_NUMBER_TEXT 40
void an_number_print(double x, char text[AN_NUMBER_TEXT]);

#endif
