/*
 * Foundation's objects and the framework's errors, in C. Objects that are
 * returned belong to the pool that is open.
 */
#ifndef AN_ENGINE_APPLE_VALUES_H
#define AN_ENGINE_APPLE_VALUES_H

#include "engine/apple/bind.h"

void *an_ns_string(const an_objc *o, const char *text);
/* Valid as long as the object; "" for nil or what is no string. */
const char *an_ns_text(const an_objc *o, void *string);
void *an_ns_number(const an_objc *o, long long value);
/* `other` for nil. */
long long an_ns_value(const an_objc *o, void *number, long long other);
void *an_ns_data(const an_objc *o, const void *bytes, size_t size);
void *an_ns_array(const an_objc *o, void *const *objects, size_t n);
void *an_ns_dictionary(const an_objc *o, void *const *objects,
                       void *const *keys, size_t n);
/* nil where the receiver is nil or has none. */
void *an_ns_get(const an_objc *o, void *dictionary, const char *key);
void *an_ns_at(const an_objc *o, void *array, size_t i);
size_t an_ns_count(const an_objc *o, void *array);

/* Is it an object of that class? */
bool an_ns_is(const an_objc *o, void *object, an_name of_class);

/* errors.c: fails with AN_EENGINE: what failed, what is known of the code, the
 * framework's domain, code, text and all of its userInfo, errors beneath
 * included. nil: it answered NO without an error. */
an_status an_ns_fail(const an_objc *o, const char *what, void *error,
                     an_error *err);
/* What is known of a code with that text; NULL: nothing. */
const char *an_ns_meaning(const char *domain, long long code, const char *text);

#endif
