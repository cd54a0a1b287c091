/*
 * What the machine and its system tell of themselves. On macOS by sysctl, by
 * functions of libSystem found at run time, and by IOKit; elsewhere by POSIX.
 * What the trainer needs of them too is base/host.h's.
 * What is not told is "", 0 or AN_UNKNOWN.
 */
#ifndef AN_ENGINE_APPLE_MACHINE_H
#define AN_ENGINE_APPLE_MACHINE_H

#include "base/host.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum an_answer { AN_UNKNOWN, AN_NO, AN_YES } an_answer;

typedef struct an_machine {
    char system[32];     /* "macOS", "Linux" */
    char version[64];    /* "26.3"; the kernel's elsewhere */
    char build[32];      /* "25D125" */
    char model[64];      /* "Mac16,10" */
    char processor[32];  /* "arm64" */
    an_host_facts host;  /* processor, cores, memory */
    an_host_state state; /* power, heat */
    an_answer guest;     /* of a hypervisor */
    an_answer sandboxed; /* an app's sandbox, not that of a service */
    an_answer root;
    an_answer remote;  /* of SSH */
    an_answer service; /* started by launchd, not from a session */
    an_answer screen;  /* a session that may draw */
} an_machine;

void an_machine_look(an_machine *out);

/* Free bytes for this user on the file system of a path; 0: not told. */
uint64_t an_machine_free_bytes(const char *path);

/* An entry of IOKit's registry. */
typedef struct an_service {
    char class_name[128], name[128];
} an_service;

enum { AN_MAX_SERVICES = 64 };

typedef struct an_services {
    bool looked; /* false: there is no IOKit */
    int n;
    an_service list[AN_MAX_SERVICES];
} an_services;

/* Every entry of the service plane whose class has "ANE" in its name. */
void an_services_look(an_services *out);

#endif
