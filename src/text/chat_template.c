/* Where chat templates come from and go to: the files beside a tokenizer's, as
 * transformers has them. */
#include "text/tokenizer.h"

#include "base/alloc.h"
#include "base/json.h"

#include <string.h>

static an_status no_memory(an_error *err)
{
    return an_fail(err, AN_ENOMEM, "tokenizer: no memory");
}

an_status an_tokenizer_set_template(an_tokenizer *t, const char *text,
                                    size_t size, an_error *err)
{
    an_error why = {0};
    an_chat_form *form = an_arena_alloc(&t->arena, sizeof *form);
    t->chat_template = an_arena_strndup(&t->arena, text, size);
    t->chat_template_size = size;
    if (!form || !t->chat_template) return no_memory(err);
    an_status s = an_chat_form_read(text, size, &t->arena, form, &why);
    if (s == AN_ENOMEM) return no_memory(err);
    t->chat = s == AN_OK ? form : NULL;
    t->chat_why = an_arena_printf(&t->arena, "%s", why.text);
    return t->chat_why ? AN_OK : no_memory(err);
}

/* One template, or several with names, of which "default" counts. */
static an_status take_value(an_tokenizer *t, const json_t *value, an_error *err)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *o = json_array_get(value, i);
        const char *name = json_string_value(json_object_get(o, "name"));
        if (name && strcmp(name, "default") == 0)
            return take_value(t, json_object_get(o, "template"), err);
    }
    return json_is_string(value)
               ? an_tokenizer_set_template(t, json_string_value(value),
                                           json_string_length(value), err)
               : AN_OK;
}

static an_status read_config(an_tokenizer *t, const char *path, an_error *err)
{
    json_t *config = NULL;
    an_status s = an_json_load(path, &config, err);
    if (s == AN_OK)
        s = take_value(t, json_object_get(config, "chat_template"), err);
    json_decref(config);
    return s;
}

static an_status read_jinja(an_tokenizer *t, const char *path, an_error *err)
{
    an_map map;
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    s = an_tokenizer_set_template(t, (const char *)map.data, map.size, err);
    an_map_close(&map);
    return s;
}

an_status an_tokenizer_find_template(an_tokenizer *t, const char *path,
                                     an_error *err)
{
    static const struct {
        const char *name;
        an_status (*read)(an_tokenizer *t, const char *path, an_error *err);
    } files[] = {{"chat_template.jinja", read_jinja},
                 {"tokenizer_config.json", read_config}};
    an_status s = AN_OK;
    for (size_t i = 0; s == AN_OK && !t->chat_template && i < 2; i++) {
        char *beside = NULL;
        s = an_name_beside(path, files[i].name, &beside, err);
        if (s == AN_OK && an_path_exists(beside))
            s = files[i].read(t, beside, err);
        an_free(beside);
    }
    return s;
}

an_status an_tokenizer_save_template(const an_tokenizer *t, const char *path,
                                     an_error *err)
{
    char *beside = NULL;
    if (!t->chat_template) return AN_OK;
    an_status s = an_name_beside(path, "chat_template.jinja", &beside, err);
    if (s == AN_OK)
        s = an_file_write(beside, t->chat_template, t->chat_template_size, err);
    an_free(beside);
    return s;
}
