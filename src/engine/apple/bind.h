/*
 * The Objective-C runtime and the frameworks, found at run time, and one
 * function per prototype to send messages with. GNU's runtime has no
 * objc_msgSend: there a lookup returns the method, which is then called; bind.c
 * hides the difference. No message is sent to nil or to an object that does
 * not answer: such a send returns nil, 0 or false.
 *
 * Objects are `void *`. Exceptions pass through us and end the process.
 */
#ifndef AN_ENGINE_APPLE_BIND_H
#define AN_ENGINE_APPLE_BIND_H

#include "anemone/status.h"
#include "engine/apple/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void an_code(void); /* a method; cast to its prototype */

typedef struct an_objc {
    void *images[4]; /* of dlopen; never closed */
    int n_images;
    bool replica; /* not Apple's framework */
    char path[512];
    void *classes[AN_N_NAMES], *selectors[AN_N_NAMES];
    bool present[AN_N_NAMES];
    char notes[256]; /* of encodings that differ harmlessly, or "" */
    /* The runtime's own functions. */
    void *(*get_class)(const char *name);
    void *(*register_name)(const char *name);
    void *(*class_of)(void *object);
    bool (*responds)(void *class_, void *selector);
    void *(*class_method)(void *class_, void *selector);
    void *(*instance_method)(void *class_, void *selector);
    const char *(*encoding)(void *method);
    an_code *send;                      /* Apple's */
    an_code *(*lookup)(void *, void *); /* GNU's */
    /* Of Foundation; NULL where there are none. */
    void *(*temporary_folder)(void);
    void (*set_handler)(void (*handler)(void *exception));
    bool (*enter_thread)(void);
    void (*leave_thread)(void);
    /* IOSurface. */
    void *(*surface_create)(void *properties);
    int (*surface_lock)(void *surface, uint32_t options, uint32_t *seed);
    int (*surface_unlock)(void *surface, uint32_t options, uint32_t *seed);
    void *(*surface_base)(void *surface);
    size_t (*surface_bytes)(void *surface);
    void (*cf_release)(const void *object);
    int (*configure)(const char *settings); /* the replica's */
} an_objc;

/* Where the framework would be opened from: Apple's own, a replica in
 * ANEMONE_FRAMEWORKS, or, but on macOS, one beside the program. */
void an_objc_find(char *path, size_t size);
/* Opens the frameworks and fills in all but the table. */
an_status an_objc_open(an_objc *o, an_error *err);
/* Fills in the table; names the first row that lacks or does not fit. */
an_status an_objc_check(an_objc *o, an_error *err);

typedef enum an_row_state {
    AN_ROW_HOLDS,
    AN_ROW_HARMLESS, /* other words, the same calling convention */
    AN_ROW_DIFFERS,  /* in what a caller must know */
    AN_ROW_MISSING,  /* the class has no such method */
    AN_ROW_NO_CLASS,
} an_row_state;
/* How the running system has a row, and its encoding there, or "". */
an_row_state an_objc_row(const an_objc *o, an_name name, const char **types);

/* A function or variable of the frameworks; NULL: there is none. */
void *an_objc_symbol(const an_objc *o, const char *name);
/* Of a class: its metaclass, which has the methods of kind '+'. */
void *an_objc_class_of(const an_objc *o, void *object);
/* The method of a row for this receiver; NULL: nil, or it does not answer. */
an_code *an_objc_method(const an_objc *o, an_name name, void *self);

void *an_pool_push(const an_objc *o);
void an_pool_pop(const an_objc *o, void *pool);

/* ---- one function per prototype; `p` a pointer, `u` an unsigned ---- */

void *an_send(const an_objc *o, an_name name, void *self);
void *an_send_p(const an_objc *o, an_name name, void *self, const void *a);
void *an_send_pp(const an_objc *o, an_name name, void *self, void *a, void *b);
void *an_send_ppp(const an_objc *o, an_name name, void *self, void *a, void *b,
                  void *c);
void *an_send_p7(const an_objc *o, an_name name, void *self,
                 void *const args[7]);
void *an_send_pu(const an_objc *o, an_name name, void *self, const void *a,
                 size_t n);
void *an_send_ppu(const an_objc *o, an_name name, void *self, void *const *a,
                  void *const *b, size_t n);
void *an_send_u(const an_objc *o, an_name name, void *self, size_t n);
void *an_send_number(const an_objc *o, an_name name, void *self, long long n);
void an_send_void(const an_objc *o, an_name name, void *self);
void an_send_void_p(const an_objc *o, an_name name, void *self, void *a);
bool an_send_bool(const an_objc *o, an_name name, void *self);
bool an_send_bool_p(const an_objc *o, an_name name, void *self, void *a);
long long an_send_long(const an_objc *o, an_name name, void *self);
unsigned an_send_int(const an_objc *o, an_name name, void *self);
/* compile, load: qos, options, error */
bool an_send_qos(const an_objc *o, an_name name, void *self, unsigned qos,
                 void *options, void **error);
/* evaluate: qos, options, request, error */
bool an_send_evaluate(const an_objc *o, void *self, unsigned qos, void *options,
                      void *request, void **error);
/* evaluate through the client: model, options, request, qos, error */
bool an_send_direct(const an_objc *o, void *self, void *model, void *options,
                    void *request, unsigned qos, void **error);
bool an_send_unload(const an_objc *o, void *self, unsigned qos, void **error);

#endif
