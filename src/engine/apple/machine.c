/*
 * Sources: sysctl(3) of macOS for the names; sandbox_check of libSandbox (used
 * by WebKit and Chromium); Security's AuthSession.h (SessionGetInfo,
 * sessionHasGraphicAccess is 0x10); IOKitLib.h. All are looked up at run time,
 * so that elsewhere they lack and nothing more.
 */
#include "engine/apple/machine.h"

#include "base/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <sys/types.h>
#include <sys/sysctl.h>
#endif

static an_answer answer(bool yes)
{
    return yes ? AN_YES : AN_NO;
}

/* ---- the machine ---- */

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

static void look_at_process(an_machine *m)
{
    m->root = answer(geteuid() == 0);
    m->remote = answer(is_set("SSH_CONNECTION") || is_set("SSH_TTY"));
}

static void look_at_kernel(an_machine *m)
{
    struct utsname u;
    if (uname(&u) == 0) {
        snprintf(m->system, sizeof m->system, "%.31s", u.sysname);
        snprintf(m->version, sizeof m->version, "%.63s", u.release);
        snprintf(m->processor, sizeof m->processor, "%.31s", u.machine);
    }
    m->host = an_host_get_facts(an_host_here());
    m->state = an_host_get_state(an_host_here());
}

uint64_t an_machine_free_bytes(const char *path)
{
    struct statvfs v;
    if (statvfs(path, &v) != 0) return 0;
    return (uint64_t)v.f_bavail * (uint64_t)v.f_frsize;
}

#if defined(__APPLE__)

static void text_of(const char *name, char *out, size_t size)
{
    size_t n = size - 1;
    if (sysctlbyname(name, out, &n, NULL, 0) != 0) n = 0;
    out[n < size ? n : size - 1] = '\0';
}

static an_answer is_guest(void)
{
    int32_t guest = 0;
    size_t n = sizeof guest;
    bool told = sysctlbyname("kern.hv_vmm_present", &guest, &n, NULL, 0) == 0;
    return told ? answer(guest == 1) : AN_UNKNOWN;
}

static an_answer is_sandboxed(void)
{
    int (*check)(int, const char *, int);
    if (is_set("APP_SANDBOX_CONTAINER_ID")) return AN_YES;
    if (!an_host_find(an_host_here(), "/usr/lib/libSystem.B.dylib",
                      "sandbox_check", &check))
        return AN_UNKNOWN;
    return answer(check((int)getpid(), NULL, 0) == 1);
}

/* Errors leave it unknown: a security session is not what we need. */
static an_answer has_screen(void)
{
    static const char security[] =
        "/System/Library/Frameworks/Security.framework/Security";
    enum { CALLER = -1, GRAPHIC_ACCESS = 0x10 };
    int32_t (*info)(uint32_t, uint32_t *, uint32_t *);
    uint32_t session = 0, attributes = 0;
    if (!an_host_find(an_host_here(), security, "SessionGetInfo", &info) ||
        info((uint32_t)CALLER, &session, &attributes) != 0)
        return AN_UNKNOWN;
    return answer((attributes & GRAPHIC_ACCESS) != 0);
}

static void look_at_mac(an_machine *m)
{
    snprintf(m->system, sizeof m->system, "macOS");
    text_of("kern.osproductversion", m->version, sizeof m->version);
    text_of("kern.osversion", m->build, sizeof m->build);
    text_of("hw.model", m->model, sizeof m->model);
    m->guest = is_guest();
    m->sandboxed = is_sandboxed();
    m->screen = has_screen();
    m->service = answer(getppid() == 1);
}

#else

static void look_at_mac(an_machine *m)
{
    (void)m;
}
#endif

void an_machine_look(an_machine *out)
{
    *out = (an_machine){0};
    look_at_kernel(out);
    look_at_process(out);
    look_at_mac(out);
}

/* ---- services ---- */

typedef struct registry {
    int (*walk)(uint32_t port, const char *plane, uint32_t options,
                uint32_t *iterator);
    uint32_t (*next)(uint32_t iterator);
    int (*class_name)(uint32_t object, char *name);
    int (*name)(uint32_t entry, char *name);
    int (*release)(uint32_t object);
} registry;

static bool bind_registry(registry *r)
{
    static const char iokit[] =
        "/System/Library/Frameworks/IOKit.framework/IOKit";
    an_host host = an_host_here();
    return an_host_find(host, iokit, "IORegistryCreateIterator", &r->walk) &&
           an_host_find(host, iokit, "IOIteratorNext", &r->next) &&
           an_host_find(host, iokit, "IOObjectGetClass", &r->class_name) &&
           an_host_find(host, iokit, "IORegistryEntryGetName", &r->name) &&
           an_host_find(host, iokit, "IOObjectRelease", &r->release);
}

/* "ANE", but not that of "PLANE". */
static bool is_engine(const char *class_name)
{
    const char *at = strstr(class_name, "ANE");
    return at && (at == class_name || at[-1] != 'L');
}

void an_services_look(an_services *out)
{
    enum { RECURSIVELY = 1, MAX_ENTRIES = 100000 };
    registry r;
    uint32_t iterator = 0, entry;
    *out = (an_services){0};
    if (!bind_registry(&r) ||
        r.walk(0, "IOService", RECURSIVELY, &iterator) != 0)
        return;
    out->looked = true;
    for (int i = 0; i < MAX_ENTRIES && (entry = r.next(iterator)) != 0; i++) {
        an_service *s = &out->list[out->n];
        if (out->n < AN_MAX_SERVICES &&
            r.class_name(entry, s->class_name) == 0 &&
            is_engine(s->class_name)) {
            if (r.name(entry, s->name) != 0) s->name[0] = '\0';
            out->n++;
        }
        r.release(entry);
    }
    r.release(iterator);
}
