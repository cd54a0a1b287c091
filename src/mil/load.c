/* Programs as files: a text, or a compiled model's folder with one. */
#include "mil/load.h"

#include "base/alloc.h"
#include "base/file.h"

#include <string.h>

an_status an_mil_find(const char *path, char **out, an_error *err)
{
    static const char text[] = "/model.mil";
    size_t size = strlen(path);
    char *found = an_alloc(size + sizeof text);
    if (!found) return an_fail(err, AN_ENOMEM, "%s: no memory", path);
    memcpy(found, path, size + 1);
    if (an_path_is_folder(path)) {
        while (size > 1 && found[size - 1] == '/')
            size--;
        memcpy(found + size, text, sizeof text);
    }
    *out = found;
    return AN_OK;
}

an_status an_mil_load(const char *path, an_module **out, an_error *err)
{
    an_map map;
    char *file = NULL;
    an_status s = an_mil_find(path, &file, err);
    if (s != AN_OK) return s;
    s = an_map_open(file, &map, err);
    if (s == AN_OK) {
        s = an_mil_parse((const char *)map.data, map.size, file, out, err);
        an_map_close(&map);
    }
    an_free(file);
    return s;
}
