/*
 * Registers what published.def lists and no source implements, when the library
 * is loaded. Such a method answers nil, NO or 0, and where its last argument
 * is an error, sets one that says so.
 */
#import "replica.h"

#import <objc/runtime.h>

#include <stdio.h>
#include <string.h>

enum { CODE_NOT_SUPPORTED = 25 };

/* A row of a class begins with "+" or "-"; a row of kind CLASS names the class
 * of those that follow. */
typedef enum row_kind {
    ROW_CLASS,
    ROW_METHOD,
    ROW_STRING,
    ROW_NUMBER,
    ROW_ERROR,
} row_kind;

typedef struct row {
    row_kind kind;
    const char *name, *types;
    long number;
    const char *text;
} row;

#define CLASS(name) {ROW_CLASS, #name, NULL, 0, NULL},
#define METHOD(name, types) {ROW_METHOD, name, types, 0, NULL},
#define STRING(name, types, text) {ROW_STRING, name, types, 0, text},
#define NUMBER(name, types, number) {ROW_NUMBER, name, types, number, NULL},
#define ERROR(name, types, code, text) {ROW_ERROR, name, types, code, text},
static const row rows[] = {
#include "engine/apple/published.def"
};
enum { N_ROWS = sizeof rows / sizeof *rows };

/* The row of a class method that has an answer; selectors of such rows are
 * unique. */
static const row *answer_of(SEL selector)
{
    const char *name = sel_getName(selector);
    for (int i = 0; i < N_ROWS; i++)
        if (rows[i].kind > ROW_METHOD && strcmp(rows[i].name + 1, name) == 0)
            return &rows[i];
    return NULL;
}

static id answer_string(id self, SEL selector)
{
    (void)self;
    const row *r = answer_of(selector);
    return r ? [NSString stringWithUTF8String:r->text] : nil;
}

static unsigned long long answer_number(id self, SEL selector)
{
    (void)self;
    const row *r = answer_of(selector);
    return r ? (unsigned long long)r->number : 0;
}

/* `code` is there when the row's text has a place for it. */
static id answer_error(id self, SEL selector, id method, long code)
{
    char text[256];
    const row *r = answer_of(selector);
    const char *place = r ? strchr(r->text, '%') : NULL;
    (void)self;
    if (!r) return nil;
    if (place) {
        char shown[32];
        snprintf(shown, sizeof shown, place[2] == 'X' ? "%lX" : "%lx", code);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(place - r->text), r->text,
                 shown, place + 3);
    } else
        snprintf(text, sizeof text, "%s", r->text);
    return an_error_make(r->number,
                         [NSString stringWithFormat:@"%@: %s", method, text]);
}

/* ---- methods without an implementation, by where their error stands ---- */

static unsigned long long refuse(SEL selector, NSError **error)
{
    if (error)
        *error = an_error_make(
            CODE_NOT_SUPPORTED,
            [NSString stringWithFormat:@"%s: not implemented by the replica",
                                       sel_getName(selector)]);
    return 0;
}

static unsigned long long refuse_plain(id self, SEL s)
{
    (void)self, (void)s;
    return 0;
}

/* An -init that answers nil gives up its receiver. */
static id refuse_init(id self, SEL s)
{
    (void)s;
    [self release];
    return nil;
}

static unsigned long long refuse_1(id self, SEL s, long a, NSError **error)
{
    (void)self, (void)a;
    return refuse(s, error);
}

static unsigned long long refuse_2(id self, SEL s, long a, long b,
                                   NSError **error)
{
    (void)self, (void)a, (void)b;
    return refuse(s, error);
}

static unsigned long long refuse_3(id self, SEL s, long a, long b, long c,
                                   NSError **error)
{
    (void)self, (void)a, (void)b, (void)c;
    return refuse(s, error);
}

static unsigned long long refuse_4(id self, SEL s, long a, long b, long c,
                                   long d, NSError **error)
{
    (void)self, (void)a, (void)b, (void)c, (void)d;
    return refuse(s, error);
}

static unsigned long long refuse_6(id self, SEL s, long a, long b, long c,
                                   long d, long e, long f, NSError **error)
{
    (void)self, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
    return refuse(s, error);
}

static unsigned long long refuse_7(id self, SEL s, long a, long b, long c,
                                   long d, long e, long f, long g,
                                   NSError **error)
{
    (void)self, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g;
    return refuse(s, error);
}

/* Arguments before the error, if the last one is an error, else -1. All
 * arguments are integers or pointers: one register or one stack word each. */
static int arguments_before_error(const row *r)
{
    const char *last = strstr(r->types, "^@");
    int n = 0;
    for (const char *c = r->name; *c; c++)
        n += *c == ':';
    return last && strpbrk(last + 2, "@BIQqc^") == NULL ? n - 1 : -1;
}

static IMP implementation_of(const row *r)
{
    static const IMP refusals[] = {
        (IMP)refuse_plain, (IMP)refuse_1, (IMP)refuse_2, (IMP)refuse_3,
        (IMP)refuse_4,     NULL,          (IMP)refuse_6, (IMP)refuse_7};
    switch (r->kind) {
    case ROW_STRING:
        return (IMP)answer_string;
    case ROW_NUMBER:
        return (IMP)answer_number;
    case ROW_ERROR:
        return (IMP)answer_error;
    default:
        break;
    }
    int n = arguments_before_error(r);
    if (strncmp(r->name, "-init", 5) == 0) return (IMP)refuse_init;
    bool known = n > 0 && n < (int)(sizeof refusals / sizeof *refusals);
    return known && refusals[n] ? refusals[n] : (IMP)refuse_plain;
}

static Class class_named(const char *name)
{
    Class c = objc_getClass(name);
    if (c) return c;
    c = objc_allocateClassPair([NSObject class], name, 0);
    if (c) objc_registerClassPair(c);
    return c;
}

/* Of systems that verify files (macOS 27). */
static id per_file_hashes(id self, SEL selector)
{
    (void)selector;
    return an_descriptor_hashes(self);
}

/* class_addMethod leaves a method alone that the class itself has. */
void an_rest_register(void)
{
    Class c = Nil;
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    for (int i = 0; i < N_ROWS; i++) {
        const row *r = &rows[i];
        if (r->kind == ROW_CLASS)
            c = class_named(r->name);
        else
            class_addMethod(*r->name == '+' ? object_getClass((id)c) : c,
                            sel_registerName(r->name + 1), implementation_of(r),
                            r->types);
    }
    if (an_settings_get()->value[AN_SET_VERIFY] != 0)
        class_addMethod([_ANEInMemoryModelDescriptor class],
                        @selector(perFileHashes), (IMP)per_file_hashes,
                        "@16@0:8");
    [pool drain];
}
