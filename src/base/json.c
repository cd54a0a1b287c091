/*
 * JSON text goes through jansson only after its size and depth were bounded:
 * jansson recurses per level. Null counts as a missing key, as in the files of
 * other tools.
 */
#include "base/json.h"

#include "base/alloc.h"
#include "base/file.h"

enum { MAX_BYTES = 100000000, MAX_DEPTH = 64 };

/* The deepest nesting of brackets outside of strings; text need be no JSON. */
static int depth_of(const char *text, size_t size)
{
    int depth = 0, deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < size && deepest <= MAX_DEPTH; i++) {
        char c = text[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string && c == '\\')
            i++;
        else if (!in_string && (c == '[' || c == '{'))
            depth++;
        else if (!in_string && (c == ']' || c == '}'))
            depth--;
        if (depth > deepest) deepest = depth;
    }
    return deepest;
}

an_status an_json_parse(const char *text, size_t size, const char *name,
                        json_t **out, an_error *err)
{
    if (size > MAX_BYTES)
        return an_fail(err, AN_EFORMAT, "%s: more than %d bytes of JSON", name,
                       MAX_BYTES);
    if (depth_of(text, size) > MAX_DEPTH)
        return an_fail(err, AN_EFORMAT, "%s: JSON nested more than %d deep",
                       name, MAX_DEPTH);
    json_error_t why = {0};
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!root &&
        (json_error_code(&why) == json_error_out_of_memory || !why.text[0]))
        return an_fail(err, AN_ENOMEM, "%s: out of memory", name);
    if (!root)
        return an_fail(err, AN_EFORMAT, "%s: line %d: %s", name, why.line,
                       why.text);
    *out = root;
    return AN_OK;
}

an_status an_json_load(const char *path, json_t **out, an_error *err)
{
    char *text = NULL;
    size_t size = 0;
    an_status s = an_file_read(path, MAX_BYTES, &text, &size, err);
    if (s != AN_OK) return s;
    s = an_json_parse(text, size, path, out, err);
    an_free(text);
    return s;
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    default:
        return "null";
    }
}

/* NULL when the key is missing or null. */
static const json_t *find(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value && !json_is_null(value) ? value : NULL;
}

static an_status wrong_type(const char *key, const char *expected,
                            const json_t *value, an_error *err)
{
    return an_fail(err, AN_EFORMAT, "\"%s\": expected %s, found %s", key,
                   expected, type_name(value));
}

an_status an_json_int(const json_t *object, const char *key, int64_t min,
                      int64_t max, int64_t *out, an_error *err)
{
    const json_t *value = find(object, key);
    if (!value) return AN_OK;
    if (!json_is_integer(value))
        return wrong_type(key, "an integer", value, err);
    int64_t x = json_integer_value(value);
    if (x < min || x > max)
        return an_fail(err, AN_EFORMAT,
                       "\"%s\": expected %lld to %lld, found %lld", key,
                       (long long)min, (long long)max, (long long)x);
    *out = x;
    return AN_OK;
}

an_status an_json_real(const json_t *object, const char *key, double *out,
                       an_error *err)
{
    const json_t *value = find(object, key);
    if (!value) return AN_OK;
    if (!json_is_number(value)) return wrong_type(key, "a number", value, err);
    *out = json_number_value(value);
    return AN_OK;
}

an_status an_json_bool(const json_t *object, const char *key, bool *out,
                       an_error *err)
{
    const json_t *value = find(object, key);
    if (!value) return AN_OK;
    if (!json_is_boolean(value))
        return wrong_type(key, "true or false", value, err);
    *out = json_is_true(value);
    return AN_OK;
}

an_status an_json_string(const json_t *object, const char *key,
                         const char **out, an_error *err)
{
    const json_t *value = find(object, key);
    if (!value) return AN_OK;
    if (!json_is_string(value)) return wrong_type(key, "a string", value, err);
    *out = json_string_value(value);
    return AN_OK;
}
