/* The two ways to ask the machine, for host.c. */
#ifndef AN_BASE_HOST_WAYS_H
#define AN_BASE_HOST_WAYS_H

#include "base/host.h"

/* Fill in what they know; the rest stays as it was. */
void an_frameworks_facts(an_host host, an_host_facts *out);
void an_frameworks_state(an_host host, an_host_state *out);
void an_frameworks_favour_thread(an_host host);
bool an_frameworks_stay_awake(an_host host, const char *reason, uint32_t *id);
void an_frameworks_let_sleep(an_host host, uint32_t id);

void an_files_facts(an_host_facts *out);
void an_files_state(an_host host, an_host_state *out);

#endif
