/*
 * The machine that we are a guest on: what it has, how it fares, and keeping
 * it awake. It is asked in one of two ways, both compiled everywhere: through
 * the functions of macOS, found at run time, or through the files that Linux
 * has under /sys/class. What is not told is said to be unknown.
 */
#ifndef AN_BASE_HOST_H
#define AN_BASE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum an_host_way { AN_HOST_FRAMEWORKS, AN_HOST_FILES } an_host_way;

typedef struct an_host {
    an_host_way way;
    /* FILES: the folder with power_supply/ and thermal/. FRAMEWORKS: a library
     * in the place of all of Apple's; NULL: Apple's. Borrowed. */
    const char *place;
} an_host;

/* This machine. For tests ANEMONE_HOST names a folder in the place of
 * /sys/class, or a library in the place of Apple's. */
an_host an_host_here(void);

/* Puts a pointer to a function of the library `image` of macOS into *out, a
 * pointer to a pointer to such a function, or NULL. False: it is not there, or
 * the machine is not asked this way. Libraries stay open: they are the
 * system's. */
bool an_host_find(an_host host, const char *image, const char *name, void *out);

typedef struct an_host_facts {
    char processor[128]; /* "Apple M4 Pro"; "": not told */
    char chip[8];        /* "m4", of an Apple M; "" of all else */
    int cores;
    int performance_cores; /* 0: not told */
    uint64_t memory_bytes; /* 0: not told */
    size_t page_bytes;
} an_host_facts;
an_host_facts an_host_get_facts(an_host host);

typedef enum an_power {
    AN_POWER_UNKNOWN,
    AN_POWER_MAINS,
    AN_POWER_BATTERY, /* or a UPS that has lost its mains */
} an_power;

/* The system's own four steps; from SERIOUS on it slows the machine down. */
typedef enum an_thermal {
    AN_THERMAL_UNKNOWN,
    AN_THERMAL_NOMINAL,
    AN_THERMAL_FAIR,
    AN_THERMAL_SERIOUS,
    AN_THERMAL_CRITICAL,
} an_thermal;

/* "mains", "serious"; NULL: unknown. */
const char *an_power_name(an_power power);
const char *an_thermal_name(an_thermal thermal);

typedef struct an_host_state {
    an_power power;
    int charge; /* percent; -1: unknown, or no battery */
    an_thermal thermal;
} an_host_state;
an_host_state an_host_get_state(an_host host);

/* The state for who asks often: asked anew after two seconds. Zeroed but for
 * the host. */
typedef struct an_host_watch {
    an_host host;
    an_host_state state;
    double asked; /* an_clock; 0: never */
} an_host_watch;
an_host_state an_host_look(an_host_watch *watch);

/* The calling thread runs at user-initiated quality of service, where there is
 * such a thing (macOS). */
void an_host_favour_thread(an_host host);

/* While it is held the machine does not fall asleep for want of a user; the
 * display does. Not held where there is no such thing (Linux). */
typedef struct an_awake {
    an_host host;
    bool held;
    uint32_t id;
} an_awake;
/* `reason` is what the system shows to who asks why. */
an_awake an_host_stay_awake(an_host host, const char *reason);
void an_host_let_sleep(an_awake *awake);

#endif
