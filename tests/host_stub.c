/*
 * The functions of macOS that base/host_frameworks.c calls, in one library
 * for any system: ANEMONE_HOST=libhost.so. What the machine is comes from the
 * file that HOST_STUB names, read at each call: words like power=battery
 * charge=43 thermal=2 cores=6 blas=old. What it was asked for is appended to
 * that file's name with .log: "qos 25 0", "awake TYPE NAME", "asleep ID",
 * "sgemm free" of a product in a thread that was not limited to itself.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUB __attribute__((visibility("default")))

typedef struct object {
    char text[96]; /* of a string; a power source is told by its name */
    int number;
} object;

STUB int sysctlbyname(const char *name, void *out, size_t *size, void *data,
                      size_t data_size);
STUB int pthread_set_qos_class_self_np(unsigned quality, int relative);
STUB uint32_t notify_register_check(const char *name, int *token);
STUB uint32_t notify_get_state(int token, uint64_t *state);
STUB uint32_t notify_cancel(int token);
STUB object *CFStringCreateWithCString(const void *allocator, const char *text,
                                       uint32_t encoding);
STUB unsigned char CFStringGetCString(const object *o, char *out, long size,
                                      uint32_t encoding);
STUB const object *CFDictionaryGetValue(const object *o, const object *key);
STUB unsigned char CFNumberGetValue(const object *o, long type, int *out);
STUB long CFArrayGetCount(const object *o);
STUB const object *CFArrayGetValueAtIndex(const object *o, long i);
STUB void CFRelease(object *o);
STUB object *IOPSCopyPowerSourcesInfo(void);
STUB object *IOPSCopyPowerSourcesList(const object *info);
STUB const object *IOPSGetProvidingPowerSourceType(const object *info);
STUB const object *IOPSGetPowerSourceDescription(const object *info,
                                                 const object *source);
STUB int IOPMAssertionCreateWithName(const object *type, uint32_t level,
                                     const object *name, uint32_t *id);
STUB int IOPMAssertionRelease(uint32_t id);
STUB int BLASSetThreading(unsigned model);
STUB void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k,
                      float alpha, const float *a, int lda, const float *b,
                      int ldb, float beta, float *c, int ldc);
STUB int host_stub_alive(void); /* objects and registrations */

static int alive;

/* The word after NAME= in the file; false: it has none. */
static bool setting(const char *name, char *out, size_t size)
{
    const char *path = getenv("HOST_STUB");
    FILE *file = path ? fopen(path, "r") : NULL;
    char word[96];
    bool found = false;
    size_t n = strlen(name);
    while (file && !found && fscanf(file, "%95s", word) == 1)
        if (strncmp(word, name, n) == 0 && word[n] == '=') {
            snprintf(out, size, "%s", word + n + 1);
            found = true;
        }
    if (file) fclose(file);
    return found;
}

static bool setting_int(const char *name, int *out)
{
    char text[32];
    if (!setting(name, text, sizeof text)) return false;
    *out = (int)strtol(text, NULL, 10);
    return true;
}

static void note(const char *what, const char *a, const char *b)
{
    char path[1024];
    const char *state = getenv("HOST_STUB");
    if (!state) return;
    snprintf(path, sizeof path, "%s.log", state);
    FILE *file = fopen(path, "a");
    if (!file) return;
    fprintf(file, "%s %s %s\n", what, a, b);
    fclose(file);
}

static object *make(const char *text)
{
    object *o = calloc(1, sizeof *o);
    if (!o) abort();
    snprintf(o->text, sizeof o->text, "%s", text);
    __atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST);
    return o;
}

int host_stub_alive(void)
{
    return __atomic_load_n(&alive, __ATOMIC_SEQ_CST);
}

/* ---- libSystem ---- */

int sysctlbyname(const char *name, void *out, size_t *size, void *data,
                 size_t data_size)
{
    (void)data, (void)data_size;
    char text[96];
    int number;
    if (strcmp(name, "machdep.cpu.brand_string") == 0) {
        if (!setting("generation", text, sizeof text)) return -1;
        *size = (size_t)snprintf(out, *size, "Apple M%s Pro", text) + 1;
    } else if (strcmp(name, "hw.perflevel0.physicalcpu") == 0) {
        if (*size != sizeof number || !setting_int("cores", &number)) return -1;
        memcpy(out, &number, sizeof number);
    } else if (strcmp(name, "hw.memsize") == 0) {
        if (*size != 8 || !setting_int("gigabytes", &number)) return -1;
        uint64_t bytes = (uint64_t)number << 30;
        memcpy(out, &bytes, sizeof bytes);
    } else {
        return -1;
    }
    return 0;
}

int pthread_set_qos_class_self_np(unsigned quality, int relative)
{
    char a[16], b[16];
    snprintf(a, sizeof a, "%u", quality);
    snprintf(b, sizeof b, "%d", relative);
    note("qos", a, b);
    return 0;
}

uint32_t notify_register_check(const char *name, int *token)
{
    if (strcmp(name, "com.apple.system.thermalpressurelevel") != 0) return 1;
    __atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST);
    *token = 77;
    return 0;
}

uint32_t notify_get_state(int token, uint64_t *state)
{
    int level;
    if (token != 77 || !setting_int("thermal", &level)) return 2;
    *state = (uint64_t)level;
    return 0;
}

uint32_t notify_cancel(int token)
{
    if (token == 77) __atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
    return token == 77 ? 0 : 2;
}

/* ---- Core Foundation ---- */

object *CFStringCreateWithCString(const void *allocator, const char *text,
                                  uint32_t encoding)
{
    return !allocator && encoding == 0x08000100 ? make(text) : NULL;
}

unsigned char CFStringGetCString(const object *o, char *out, long size,
                                 uint32_t encoding)
{
    if (encoding != 0x08000100 || (long)strlen(o->text) >= size) return 0;
    memcpy(out, o->text, strlen(o->text) + 1);
    return 1;
}

/* A mouse, whose battery is not the machine's, and the machine's own, which
 * counts to 200. */
const object *CFDictionaryGetValue(const object *o, const object *key)
{
    static object mouse = {.text = "Mouse"}, most = {.number = 200}, now;
    static object internal = {.text = "InternalBattery"};
    bool own = strcmp(o->text, "battery") == 0;
    if (strcmp(key->text, "Type") == 0) return own ? &internal : &mouse;
    if (strcmp(key->text, "Max Capacity") == 0) return &most;
    if (strcmp(key->text, "Current Capacity") != 0) return NULL;
    if (!own || !setting_int("charge", &now.number)) return NULL;
    now.number *= 2;
    return &now;
}

unsigned char CFNumberGetValue(const object *o, long type, int *out)
{
    if (type != 9) return 0;
    *out = o->number;
    return 1;
}

long CFArrayGetCount(const object *o)
{
    return o->number;
}

const object *CFArrayGetValueAtIndex(const object *o, long i)
{
    static const object mouse = {.text = "mouse"},
                        battery = {.text = "battery"};
    (void)o;
    return i == 0 ? &mouse : &battery;
}

void CFRelease(object *o)
{
    __atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
    free(o);
}

/* ---- IOKit ---- */

object *IOPSCopyPowerSourcesInfo(void)
{
    char text[32];
    return setting("power", text, sizeof text) ? make(text) : NULL;
}

object *IOPSCopyPowerSourcesList(const object *info)
{
    int charge;
    (void)info;
    object *list = make("list");
    list->number = setting_int("charge", &charge) ? 2 : 1;
    return list;
}

const object *IOPSGetProvidingPowerSourceType(const object *info)
{
    static const object battery = {.text = "Battery Power"};
    static const object mains = {.text = "AC Power"};
    static const object ups = {.text = "UPS Power"};
    if (strcmp(info->text, "ups") == 0) return &ups;
    return strcmp(info->text, "battery") == 0 ? &battery : &mains;
}

const object *IOPSGetPowerSourceDescription(const object *info,
                                            const object *source)
{
    (void)info;
    return source;
}

int IOPMAssertionCreateWithName(const object *type, uint32_t level,
                                const object *name, uint32_t *id)
{
    if (level != 255) return -1;
    note("awake", type->text, name->text);
    *id = 42;
    return 0;
}

int IOPMAssertionRelease(uint32_t id)
{
    note("asleep", id == 42 ? "42" : "another", "");
    return id == 42 ? 0 : -1;
}

/* ---- Accelerate ---- */

static _Thread_local bool limited;

int BLASSetThreading(unsigned model)
{
    char text[8];
    if (setting("blas", text, sizeof text)) return -1; /* old */
    limited = model == 1;
    return 0;
}

void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k,
                 float alpha, const float *a, int lda, const float *b, int ldb,
                 float beta, float *c, int ldc)
{
    if (order != 101) abort();
    if (!limited) note("sgemm", "free", "");
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int l = 0; l < k; l++)
                sum += a[trans_a == 112 ? l * lda + i : i * lda + l] *
                       b[trans_b == 112 ? j * ldb + l : l * ldb + j];
            float *at = &c[i * ldc + j];
            *at = alpha * sum + (beta == 0 ? 0 : beta * *at);
        }
}
