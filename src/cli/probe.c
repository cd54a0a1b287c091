/*
 * anemone probe: what Apple's framework, or the replica of it, looks like here.
 */
#include "cli/commands.h"

#include "base/json.h"
#include "cli/facts.h"
#include "engine/apple/describe.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    int engine;
    bool json, all;
} values;

static const char *engine_choice(int i)
{
    return i == 0 ? "apple" : NULL;
}

static const an_option options[] = {
    {.section = "Options",
     .name = "engine",
     .metavar = "ENGINE",
     .type = AN_OPTION_CHOICE,
     .choice = engine_choice,
     AN_AT(values, engine),
     .help = "apple: the only engine that has a framework to describe"},
    {.name = "all",
     .type = AN_OPTION_FLAG,
     AN_AT(values, all),
     .help = "list every class and method, not only what is new or differs"},
    {.name = "json",
     .type = AN_OPTION_FLAG,
     AN_AT(values, json),
     .help = "print one object with everything"},
};

static void defaults(void *v)
{
    *(values *)v = (values){0};
}

/* ---- counts ---- */

typedef struct counts {
    int rows[AN_ROW_NO_CLASS + 1];
    int methods[AN_UNPUBLISHED + 1];
    int n_methods, new_classes;
} counts;

static counts count(const an_description *d)
{
    counts c = {0};
    for (int i = 0; i < AN_N_NAMES; i++)
        c.rows[d->rows[i].state]++;
    for (size_t i = 0; i < d->n_classes; i++) {
        const an_described_class *k = &d->classes[i];
        c.new_classes += !k->published;
        c.n_methods += (int)k->n_methods;
        for (size_t m = 0; m < k->n_methods; m++)
            c.methods[k->methods[m].publicity]++;
    }
    return c;
}

/* ---- text ---- */

static void print_machine(const an_description *d)
{
    char memory[32];
    const an_machine *m = &d->machine;
    printf("machine     %s%s%s%s%s, %d processors", m->model,
           m->model[0] ? ", " : "", m->host.processor,
           m->host.processor[0] ? ", " : "", m->processor, m->host.cores);
    if (m->host.performance_cores)
        printf(" (%d fast)", m->host.performance_cores);
    printf(", %s\n",
           an_bytes_text(m->host.memory_bytes, memory, sizeof memory));
    printf("system      %s %s", m->system, m->version);
    if (m->build[0]) printf(" (%s)", m->build);
    printf("\n");
}

static void print_services(const an_services *s)
{
    if (!s->looked) {
        printf("services    none: this system has no IOKit\n");
        return;
    }
    printf("services    %d of IOKit with ANE in their class%s\n", s->n,
           s->n == AN_MAX_SERVICES ? " (more are not listed)" : "");
    for (int i = 0; i < s->n; i++)
        printf("            %s \"%s\"\n", s->list[i].class_name,
               s->list[i].name);
}

static void print_device(const an_description *d)
{
    printf("engine      %s", d->engine == AN_YES  ? "there is one"
                             : d->engine == AN_NO ? "none, says the framework"
                                                  : "the framework is silent");
    if (d->cores) printf(", %d cores", d->cores);
    if (d->architecture[0]) printf(", architecture %s", d->architecture);
    if (d->guest == AN_YES) printf(", this is a virtual machine");
    printf("\n");
}

static void print_counts(const an_description *d, const counts *c)
{
    printf("table       %d classes and selectors that we use: %d hold",
           AN_N_NAMES, c->rows[AN_ROW_HOLDS] + c->rows[AN_ROW_HARMLESS]);
    if (c->rows[AN_ROW_HARMLESS])
        printf(" (%d in other words)", c->rows[AN_ROW_HARMLESS]);
    printf(", %d differ, %d missing\n", c->rows[AN_ROW_DIFFERS],
           c->rows[AN_ROW_MISSING] + c->rows[AN_ROW_NO_CLASS]);
    printf(
        "classes     %zu named _ANE... (%d new), %d methods: %d as published, "
        "%d with other types, %d new\n",
        d->n_classes, c->new_classes, c->n_methods, c->methods[AN_PUBLISHED],
        c->methods[AN_PUBLISHED_OTHER], c->methods[AN_UNPUBLISHED]);
    printf("absent      %zu published classes and methods\n", d->n_absent);
}

static void print_rows(const an_description *d)
{
    for (int i = 0; i < AN_N_NAMES; i++) {
        const an_name_row *row = &an_names[i];
        const an_described_row *r = &d->rows[i];
        if (r->state == AN_ROW_HOLDS) continue;
        printf("  %c[%s %s] %s", row->kind, row->class_name, row->selector,
               an_row_state_name(r->state));
        if (r->types[0])
            printf(": %s, expected %s\n", r->types, row->types);
        else
            printf(" (%s; known since: %s)\n",
                   row->need == AN_NAME_NEED ? "needed" : "done without",
                   row->since);
    }
}

static void print_methods(const an_description *d, bool all)
{
    for (size_t i = 0; i < d->n_classes; i++) {
        const an_described_class *c = &d->classes[i];
        if (all)
            printf("\n%s%s%s%s\n", c->name, c->parent[0] ? " : " : "",
                   c->parent, c->published ? "" : " (new)");
        for (size_t k = 0; k < c->n_methods; k++) {
            const an_described_method *m = &c->methods[k];
            bool known =
                m->publicity == AN_PUBLISHED || m->publicity == AN_COMMON;
            if (!all && known) continue;
            printf("  %c[%s %s] %s", m->kind, c->name, m->selector, m->types);
            if (!known) printf("  %s", an_publicity_name(m->publicity));
            printf("%s\n", m->used ? "  used" : "");
        }
    }
}

static void print_text(const an_description *d, bool all)
{
    counts c = count(d);
    printf("framework   %s\n", d->path);
    if (d->error.code != AN_OK) {
        printf("            is absent: %s\n", d->error.text);
    } else {
        printf("version     %s\n", d->version[0] ? d->version : "not told");
    }
    print_machine(d);
    if (d->error.code == AN_OK) {
        print_device(d);
        print_counts(d, &c);
    }
    print_services(&d->services);
    if (d->error.code != AN_OK) return;
    if (c.rows[AN_ROW_HOLDS] < AN_N_NAMES) {
        printf("\nOf our table\n");
        print_rows(d);
    }
    if (all || c.methods[AN_UNPUBLISHED] + c.methods[AN_PUBLISHED_OTHER]) {
        printf("\n%s\n", all ? "Classes and methods"
                             : "Methods that are not as published");
        print_methods(d, all);
    }
    if (all && d->n_absent) printf("\nPublished, and absent here\n");
    for (size_t i = 0; all && i < d->n_absent; i++)
        printf("  %s\n", d->absent[i]);
}

/* ---- JSON ---- */

static json_t *framework_object(const an_description *d)
{
    json_t *o = json_object();
    bool open = d->error.code == AN_OK;
    json_object_set_new(o, "path", an_text_json(d->path));
    json_object_set_new(o, "open", json_boolean(open));
    json_object_set_new(o, "error",
                        open ? json_null() : an_text_json(d->error.text));
    json_object_set_new(o, "apple", json_boolean(d->own));
    json_object_set_new(o, "version", an_text_json(d->version));
    json_object_set_new(o, "engine", an_answer_json(d->engine));
    json_object_set_new(o, "virtual_machine", an_answer_json(d->guest));
    json_object_set_new(o, "cores", an_count_json(d->cores));
    json_object_set_new(o, "architecture", an_text_json(d->architecture));
    json_object_set_new(o, "build", an_text_json(d->system_build));
    return o;
}

static json_t *services_array(const an_services *s)
{
    json_t *array = json_array();
    if (!s->looked) {
        json_decref(array);
        return json_null();
    }
    for (int i = 0; i < s->n; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "class", an_text_json(s->list[i].class_name));
        json_object_set_new(o, "name", an_text_json(s->list[i].name));
        json_array_append_new(array, o);
    }
    return array;
}

static json_t *rows_array(const an_description *d)
{
    json_t *array = json_array();
    for (int i = 0; i < AN_N_NAMES && d->error.code == AN_OK; i++) {
        const an_name_row *row = &an_names[i];
        const char kind[2] = {row->kind, '\0'};
        json_t *o = json_object();
        json_object_set_new(o, "class", json_string(row->class_name));
        json_object_set_new(o, "kind", json_string(kind));
        json_object_set_new(o, "selector", json_string(row->selector));
        json_object_set_new(o, "types", json_string(row->types));
        json_object_set_new(o, "here", an_text_json(d->rows[i].types));
        json_object_set_new(o, "state",
                            json_string(an_row_state_name(d->rows[i].state)));
        json_object_set_new(o, "needed",
                            json_boolean(row->need == AN_NAME_NEED));
        json_object_set_new(o, "since", json_string(row->since));
        json_array_append_new(array, o);
    }
    return array;
}

static json_t *method_object(const an_described_method *m)
{
    const char kind[2] = {m->kind, '\0'};
    json_t *o = json_object();
    json_object_set_new(o, "kind", json_string(kind));
    json_object_set_new(o, "selector", an_text_json(m->selector));
    json_object_set_new(o, "types", an_text_json(m->types));
    json_object_set_new(o, "is", json_string(an_publicity_name(m->publicity)));
    json_object_set_new(o, "used", json_boolean(m->used));
    return o;
}

static json_t *classes_array(const an_description *d)
{
    json_t *array = json_array();
    for (size_t i = 0; i < d->n_classes; i++) {
        const an_described_class *c = &d->classes[i];
        json_t *o = json_object(), *methods = json_array();
        for (size_t k = 0; k < c->n_methods; k++)
            json_array_append_new(methods, method_object(&c->methods[k]));
        json_object_set_new(o, "name", an_text_json(c->name));
        json_object_set_new(o, "parent", an_text_json(c->parent));
        json_object_set_new(o, "is",
                            json_string(an_publicity_name(
                                c->published ? AN_PUBLISHED : AN_UNPUBLISHED)));
        json_object_set_new(o, "methods", methods);
        json_array_append_new(array, o);
    }
    return array;
}

static an_status print_json(const an_description *d, an_error *err)
{
    json_t *o = json_object(), *absent = json_array();
    for (size_t i = 0; i < d->n_absent; i++)
        json_array_append_new(absent, json_string(d->absent[i]));
    json_object_set_new(o, "anemone", json_string(AN_VERSION));
    json_object_set_new(o, "machine", an_machine_json(&d->machine));
    json_object_set_new(o, "framework", framework_object(d));
    json_object_set_new(o, "services", services_array(&d->services));
    json_object_set_new(o, "table", rows_array(d));
    json_object_set_new(o, "classes", classes_array(d));
    json_object_set_new(o, "absent", absent);
    return an_json_print(o, err);
}

/* ---- the command ---- */

static int probe(const an_call *call, const void *v)
{
    const values *o = v;
    an_error err = {0};
    an_description *d = NULL;
    an_status s = an_describe(&d, &err);
    int status = 0;
    if (s == AN_OK && o->json)
        s = print_json(d, &err);
    else if (s == AN_OK)
        print_text(d, o->all);
    if (s == AN_OK && d->error.code != AN_OK) {
        status = 1;
        if (!o->json) printf("\n%s", an_framework_advice(&d->machine));
    }
    an_description_free(d);
    return s == AN_OK ? status : an_call_fail(call, &err);
}

const an_command an_command_probe = {
    .name = "probe",
    .summary = "describe Apple's framework, or the replica, on this machine",
    .about =
        "Opens Apple's private framework (on Linux the replica of it) and "
        "compares its classes, methods and type encodings with those that "
        "Anemone uses and with those that are published. Runs nothing on the "
        "engine. Exit status 1 when there is no framework.",
    .options = options,
    .n_options = AN_COUNT(options),
    .size_bytes = sizeof(values),
    .defaults = defaults,
    .run = probe,
};
