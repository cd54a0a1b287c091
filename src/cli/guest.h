/*
 * A training run's manners on the machine: while it works the machine stays
 * awake; on battery, a run that was told so waits, and lets it sleep.
 */
#ifndef AN_CLI_GUEST_H
#define AN_CLI_GUEST_H

#include "base/host.h"

#include <signal.h>

typedef enum an_on_battery {
    AN_ON_BATTERY_RUN,
    AN_ON_BATTERY_PAUSE,
    AN_ON_BATTERY_COUNT,
} an_on_battery;
const char *an_on_battery_name(an_on_battery what);

typedef struct an_guest {
    an_on_battery on_battery;
    an_host_watch watch;
    an_awake awake;
} an_guest;

void an_guest_begin(an_guest *g, an_on_battery what);
void an_guest_end(an_guest *g);
/* The run is to pause now; *out is why. */
bool an_guest_must_wait(an_guest *g, an_host_state *out);
/* Returns once the machine is off its battery, or soon after *stop was set:
 * the seconds that passed. */
double an_guest_wait(an_guest *g, const volatile sig_atomic_t *stop);

#endif
