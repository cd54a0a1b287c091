/*
 * Each function is one message, or a check of class and one.
 */
#include "engine/apple/values.h"

void *an_ns_string(const an_objc *o, const char *text)
{
    return an_send_p(o, AN_SEL_STRING, o->classes[AN_SEL_STRING], text);
}

bool an_ns_is(const an_objc *o, void *object, an_name of_class)
{
    return object &&
           an_send_bool_p(o, AN_SEL_IS_KIND, object, o->classes[of_class]);
}

const char *an_ns_text(const an_objc *o, void *string)
{
    const char *text = NULL;
    if (an_ns_is(o, string, AN_SEL_UTF8))
        text = an_send(o, AN_SEL_UTF8, string);
    return text ? text : "";
}

void *an_ns_number(const an_objc *o, long long value)
{
    return an_send_number(o, AN_SEL_NUMBER, o->classes[AN_SEL_NUMBER], value);
}

long long an_ns_value(const an_objc *o, void *number, long long other)
{
    if (!an_ns_is(o, number, AN_SEL_NUMBER_VALUE)) return other;
    return an_send_long(o, AN_SEL_NUMBER_VALUE, number);
}

void *an_ns_data(const an_objc *o, const void *bytes, size_t size)
{
    return an_send_pu(o, AN_SEL_DATA, o->classes[AN_SEL_DATA], bytes, size);
}

void *an_ns_array(const an_objc *o, void *const *objects, size_t n)
{
    return an_send_pu(o, AN_SEL_ARRAY, o->classes[AN_SEL_ARRAY], objects, n);
}

void *an_ns_dictionary(const an_objc *o, void *const *objects,
                       void *const *keys, size_t n)
{
    return an_send_ppu(o, AN_SEL_DICTIONARY, o->classes[AN_SEL_DICTIONARY],
                       objects, keys, n);
}

void *an_ns_get(const an_objc *o, void *dictionary, const char *key)
{
    if (!an_ns_is(o, dictionary, AN_SEL_VALUE_OF)) return NULL;
    return an_send_p(o, AN_SEL_VALUE_OF, dictionary, an_ns_string(o, key));
}

size_t an_ns_count(const an_objc *o, void *array)
{
    if (!an_ns_is(o, array, AN_SEL_ARRAY_COUNT)) return 0;
    return (size_t)an_send_long(o, AN_SEL_ARRAY_COUNT, array);
}

void *an_ns_at(const an_objc *o, void *array, size_t i)
{
    return i < an_ns_count(o, array) ? an_send_u(o, AN_SEL_ARRAY_AT, array, i)
                                     : NULL;
}
