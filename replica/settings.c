/*
 * Reading of settings and counting of calls. State of the process, as the
 * daemon's connection and the driver's are; under one mutex.
 */
#include "settings.h"

#include "chip/chips.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FAULTS = 64, MAX_WORDS = 3, MAX_ITEM = 80 };

/* A key, and its words; the first is the default. */
typedef struct row {
    const char *key;
    const char *words[MAX_WORDS];
} row;

static const row rows[AN_SET_COUNT_OF] = {
    [AN_SET_RULES] = {"rules", {"refuse", "silent", "off"}},
    [AN_SET_ORDER] = {"order", {"alphabetical", "declared"}},
    [AN_SET_SLOT] = {"slot", {"unload", "release"}},
    [AN_SET_COUNT] = {"count", {"handles", "identifiers", "texts"}},
    [AN_SET_DEALLOC] = {"dealloc", {"leak", "unload"}},
    [AN_SET_RELOAD] = {"reload", {"stale", "honoured"}},
    [AN_SET_MISS] = {"miss", {"counts", "free"}},
    [AN_SET_VERIFY] = {"verify", {"off", "on"}},
    [AN_SET_MAP] = {"map", {"works", "fails"}},
    [AN_SET_PERF] = {"perf", {"on", "off"}},
    [AN_SET_MACHINE] = {"machine", {"bare", "virtual", "none"}},
    [AN_SET_REPORT] = {"report", {"none", "exit"}},
};

static const char *const calls[AN_CALL_COUNT] = {
    [AN_CALL_COMPILE] = "compile", [AN_CALL_LOAD] = "load",
    [AN_CALL_EVAL] = "eval",       [AN_CALL_UNLOAD] = "unload",
    [AN_CALL_MAP] = "map",         [AN_CALL_SURFACE] = "surface",
    [AN_CALL_LOCK] = "lock",       [AN_CALL_DESCRIPTOR] = "descriptor",
    [AN_CALL_REQUEST] = "request", [AN_CALL_ATTRIBUTES] = "attributes",
};

static struct {
    pthread_mutex_t mutex;
    bool read, frozen;
    an_settings settings;
    struct {
        an_call call;
        long at;
        an_fault fault;
    } faults[MAX_FAULTS];
    int n_faults;
    long counts[AN_CALL_COUNT];
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* A whole number, decimal or 0x...; false for anything else. */
static bool read_number(const char *text, long *out)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 0);
    if (end == text || *end || errno || number < 0) return false;
    *out = number;
    return true;
}

static bool read_how(const char *how, an_fault *out)
{
    static const char *const words[] = {
        [AN_FAULT_NONE] = "",         [AN_FAULT_ERROR] = "error",
        [AN_FAULT_HANG] = "hang",     [AN_FAULT_THROW] = "throw",
        [AN_FAULT_SILENT] = "silent", [AN_FAULT_SLOW] = "slow",
    };
    for (int i = AN_FAULT_ERROR; i <= AN_FAULT_SLOW; i++)
        if (strcmp(how, words[i]) == 0) {
            *out = (an_fault){(an_fault_kind)i, 0};
            return true;
        }
    *out = (an_fault){AN_FAULT_ERROR, 0};
    return read_number(how, &out->number);
}

/* "compile:3" or "compile:3=hang". */
static bool read_fault(char *item)
{
    char *colon = strchr(item, ':');
    char *how = strchr(item, '=');
    if (!colon || state.n_faults == MAX_FAULTS) return false;
    *colon = '\0';
    if (how) *how++ = '\0';
    an_fault fault = {AN_FAULT_ERROR, 0};
    long at = 0;
    if (!read_number(colon + 1, &at) || at < 1) return false;
    if (how && !read_how(how, &fault)) return false;
    for (int i = 0; i < AN_CALL_COUNT; i++)
        if (strcmp(item, calls[i]) == 0) {
            state.faults[state.n_faults].call = (an_call)i;
            state.faults[state.n_faults].at = at;
            state.faults[state.n_faults].fault = fault;
            state.n_faults++;
            return true;
        }
    return false;
}

static bool read_int(const char *text, int *out)
{
    long number;
    if (!read_number(text, &number) || number > 1000000) return false;
    *out = (int)number;
    return true;
}

static bool read_word(const char *key, const char *value)
{
    for (int i = 0; i < AN_SET_COUNT_OF; i++)
        for (int k = 0; k < MAX_WORDS && rows[i].words[k]; k++)
            if (strcmp(key, rows[i].key) == 0 &&
                strcmp(value, rows[i].words[k]) == 0) {
                state.settings.value[i] = k;
                return true;
            }
    return false;
}

/* One item between commas. */
static bool read_item(char *item)
{
    an_settings *s = &state.settings;
    if (strncmp(item, "fault=", 6) == 0) return read_fault(item + 6);
    char *equals = strchr(item, '=');
    char *colon = strchr(item, ':');
    if (colon && (!equals || colon < equals)) return read_fault(item);
    if (!equals) return false;
    *equals = '\0';
    const char *value = equals + 1;
    if (strcmp(item, "numerics") == 0)
        return an_numerics_find(value, &s->numerics, NULL) == AN_OK;
    if (strcmp(item, "compiles") == 0) return read_int(value, &s->compiles);
    if (strcmp(item, "live") == 0) return read_int(value, &s->live);
    if (strcmp(item, "threads") == 0) return read_int(value, &s->threads);
    if (strcmp(item, "chip") != 0) return read_word(item, value);
    const an_chip *chip = an_chip_find(value);
    if (!chip || !chip->cores) return false;
    snprintf(s->chip, sizeof s->chip, "%s", chip->name);
    return true;
}

static bool read_all(const char *text)
{
    bool well = true;
    while (text) {
        char item[MAX_ITEM];
        const char *comma = strchr(text, ',');
        size_t n = comma ? (size_t)(comma - text) : strlen(text);
        bool fits = n < sizeof item;
        snprintf(item, sizeof item, "%.*s", fits ? (int)n : MAX_ITEM - 1, text);
        if (n && (!fits || !read_item(item))) {
            fprintf(stderr, "replica: setting \"%.*s\" is not understood\n",
                    (int)n, text);
            well = false;
        }
        text = comma ? comma + 1 : NULL;
    }
    return well;
}

static void read_once(void)
{
    if (state.read) return;
    state.read = true;
    state.settings = (an_settings){
        .chip = "m4", .numerics = AN_NUMERICS_HW, .compiles = -1, .live = -1};
    read_all(getenv("ANEMONE_REPLICA"));
}

const an_settings *an_settings_get(void)
{
    pthread_mutex_lock(&state.mutex);
    read_once();
    pthread_mutex_unlock(&state.mutex);
    return &state.settings;
}

const char *an_setting_word(an_setting setting)
{
    return rows[setting].words[an_settings_get()->value[setting]];
}

int an_replica_configure(const char *settings)
{
    int result = -1;
    pthread_mutex_lock(&state.mutex);
    read_once();
    const an_settings before = state.settings;
    const int faults = state.n_faults;
    if (read_all(settings)) result = 0;
    if (state.frozen && (faults != state.n_faults ||
                         memcmp(&before, &state.settings, sizeof before))) {
        fprintf(stderr, "replica: too late for \"%s\"\n", settings);
        state.settings = before;
        state.n_faults = faults;
        result = -1;
    }
    pthread_mutex_unlock(&state.mutex);
    return result;
}

void an_settings_freeze(void)
{
    pthread_mutex_lock(&state.mutex);
    read_once();
    state.frozen = true;
    pthread_mutex_unlock(&state.mutex);
}

an_fault an_fault_next(an_call call)
{
    an_fault fault = {AN_FAULT_NONE, 0};
    pthread_mutex_lock(&state.mutex);
    read_once();
    long n = ++state.counts[call];
    for (int i = 0; i < state.n_faults; i++)
        if (state.faults[i].call == call && state.faults[i].at == n)
            fault = state.faults[i].fault;
    pthread_mutex_unlock(&state.mutex);
    return fault;
}
