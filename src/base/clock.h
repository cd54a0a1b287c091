/* Monotonic time in seconds since an arbitrary start. */
#ifndef AN_BASE_CLOCK_H
#define AN_BASE_CLOCK_H

double an_clock(void);

#endif
