/*
 * What the machine tells, and what it is asked for while an engine is open.
 * Everything is Apple's and found at run time; elsewhere it is absent.
 */
#ifndef AN_ENGINE_APPLE_HOST_H
#define AN_ENGINE_APPLE_HOST_H

#include <stdbool.h>
#include <stddef.h>

/* "m4", of "Apple M4 Pro". False: this is no Mac, or an unknown one. */
bool an_host_chip(char *name, size_t size);
/* The calling thread runs at user-initiated quality of service. */
void an_host_favour_thread(void);
/* No idle sleep until the process ends. */
void an_host_stay_awake(void);

#endif
