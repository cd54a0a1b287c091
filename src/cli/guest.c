/* Manners on the machine; see guest.h. */
#include "cli/guest.h"

#include "base/clock.h"

#include <time.h>

const char *an_on_battery_name(an_on_battery what)
{
    return what == AN_ON_BATTERY_PAUSE ? "pause" : "run";
}

static void stay_awake(an_guest *g)
{
    g->awake = an_host_stay_awake(g->watch.host, "anemone train");
}

void an_guest_begin(an_guest *g, an_on_battery what)
{
    *g = (an_guest){.on_battery = what, .watch = {.host = an_host_here()}};
    stay_awake(g);
}

void an_guest_end(an_guest *g)
{
    an_host_let_sleep(&g->awake);
}

bool an_guest_must_wait(an_guest *g, an_host_state *out)
{
    if (g->on_battery != AN_ON_BATTERY_PAUSE) return false;
    *out = an_host_look(&g->watch);
    return out->power == AN_POWER_BATTERY;
}

double an_guest_wait(an_guest *g, const volatile sig_atomic_t *stop)
{
    static const struct timespec second = {.tv_sec = 1};
    an_host_state state;
    double start = an_clock();
    an_host_let_sleep(&g->awake);
    while (!*stop && an_guest_must_wait(g, &state))
        nanosleep(&second, NULL); /* a signal ends it */
    stay_awake(g);
    return an_clock() - start;
}
