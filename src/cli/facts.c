/* See facts.h. */
#include "cli/facts.h"

#include <stdio.h>
#include <string.h>

const char *an_bytes_text(uint64_t bytes, char *text, size_t size)
{
    if (bytes < 1000000000)
        snprintf(text, size, "%.0f MB", (double)bytes / 1e6);
    else
        snprintf(text, size, "%.1f GB", (double)bytes / 1e9);
    return text;
}

const char *an_framework_advice(const an_machine *m)
{
    if (strcmp(m->system, "macOS") == 0)
        return "Apple's Neural Engine needs a Mac with Apple silicon and macOS "
               "13 or later.\nEverything but --engine apple works without it: "
               "--engine soft.\n";
    return "Apple's framework is a part of macOS; here a replica of it stands "
           "in, for tests:\n  make replica                 builds it beside "
           "this program (needs gobjc and GNUstep)\n  ANEMONE_FRAMEWORKS=DIR  "
           "      names the folder of one that is elsewhere\nTraining needs "
           "neither: --engine soft works on any machine.\n";
}

json_t *an_text_json(const char *text)
{
    json_t *value = text && *text ? json_string(text) : NULL;
    return value ? value : json_null();
}

json_t *an_count_json(int64_t n)
{
    return n ? json_integer(n) : json_null();
}

json_t *an_answer_json(an_answer a)
{
    return a == AN_UNKNOWN ? json_null() : json_boolean(a == AN_YES);
}

json_t *an_machine_json(const an_machine *m)
{
    json_t *o = json_object();
    json_object_set_new(o, "system", an_text_json(m->system));
    json_object_set_new(o, "version", an_text_json(m->version));
    json_object_set_new(o, "build", an_text_json(m->build));
    json_object_set_new(o, "model", an_text_json(m->model));
    json_object_set_new(o, "chip", an_text_json(m->host.processor));
    json_object_set_new(o, "processor", an_text_json(m->processor));
    json_object_set_new(o, "cores", an_count_json(m->host.cores));
    json_object_set_new(o, "fast_cores",
                        an_count_json(m->host.performance_cores));
    json_object_set_new(o, "memory_bytes",
                        an_count_json((int64_t)m->host.memory_bytes));
    json_object_set_new(o, "power",
                        an_text_json(an_power_name(m->state.power)));
    json_object_set_new(o, "charge",
                        m->state.charge < 0 ? json_null()
                                            : json_integer(m->state.charge));
    json_object_set_new(o, "thermal",
                        an_text_json(an_thermal_name(m->state.thermal)));
    json_object_set_new(o, "virtual_machine", an_answer_json(m->guest));
    json_object_set_new(o, "sandboxed", an_answer_json(m->sandboxed));
    json_object_set_new(o, "root", an_answer_json(m->root));
    json_object_set_new(o, "ssh", an_answer_json(m->remote));
    json_object_set_new(o, "launchd_service", an_answer_json(m->service));
    json_object_set_new(o, "screen", an_answer_json(m->screen));
    return o;
}

an_status an_json_print(json_t *value, an_error *err)
{
    int failed = value ? json_dumpf(value, stdout, JSON_INDENT(1)) : -1;
    json_decref(value);
    if (failed) return an_fail(err, AN_EIO, "cannot write the object");
    putchar('\n');
    return AN_OK;
}
