/*
 * From text and blobs to a loaded program, and back. All of it runs on the
 * worker's thread; each call to the framework may be the one that never
 * returns, so what comes after it looks whether the engine is dead.
 */
#include "engine/apple/apple.h"

#include "base/alloc.h"
#include "engine/apple/values.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the descriptor ---- */

/*
 * { "offset": 0, "data": bytes }, as every client gives it. The framework takes
 * the first value for the bytes, whatever its key; where the first is not
 * NSData, a dictionary of the data alone is given. Source: EthanArbuckle's
 * listing of -initWithNetworkText:weights:optionsPlist:isMILModel:.
 */
static void *blob_entry(const an_objc *o, const an_blob *blob)
{
    void *data = an_ns_data(o, blob->data, blob->size);
    void *values[] = {an_ns_number(o, 0), data};
    void *keys[] = {an_ns_string(o, "offset"), an_ns_string(o, "data")};
    if (!data || !values[0] || !keys[0] || !keys[1]) return NULL;
    void *both = an_ns_dictionary(o, values, keys, 2);
    void *first = an_ns_at(o, an_send(o, AN_SEL_ALL_VALUES, both), 0);
    if (an_ns_is(o, first, AN_SEL_DATA)) return both;
    return an_ns_dictionary(o, &data, &keys[1], 1);
}

static an_status fail_model(an_error *err)
{
    return an_fail(err, AN_EENGINE,
                   "the framework took neither text nor weights");
}

static an_status weights(const an_objc *o, const an_blob *blobs, int n,
                         void **out, an_error *err)
{
    void **memory = an_alloc_array(2 * (size_t)n + 1, sizeof *memory);
    if (!memory) return an_fail(err, AN_ENOMEM, "weights: no memory");
    void **keys = memory, **values = memory + n;
    bool well = true;
    for (int i = 0; i < n && well; i++) {
        keys[i] = an_ns_string(o, blobs[i].path);
        values[i] = blob_entry(o, &blobs[i]);
        well = keys[i] && values[i];
    }
    *out = well ? an_ns_dictionary(o, values, keys, (size_t)n) : NULL;
    an_free(memory);
    return *out ? AN_OK : fail_model(err);
}

/* The model, of the pool that is open. */
static an_status new_model(const an_objc *o, const an_loading *l, void **out,
                           an_error *err)
{
    const an_handed *h = &l->handed;
    void *blobs = NULL, *text = an_ns_data(o, h->text, h->size);
    an_status s =
        text ? weights(o, h->blobs, h->n_blobs, &blobs, err) : fail_model(err);
    if (s != AN_OK) return s;
    void *descriptor = an_send_ppp(
        o, AN_SEL_DESCRIPTOR, o->classes[AN_SEL_DESCRIPTOR], text, blobs, NULL);
    if (!descriptor) return fail_model(err);
    *out = an_send_p(o, AN_SEL_MODEL, o->classes[AN_SEL_MODEL], descriptor);
    return *out ? AN_OK : fail_model(err);
}

/* ---- the folder ---- */

static void model_path(const an_objc *o, void *model, char *path, size_t size)
{
    const char *told = an_ns_text(o, an_send(o, AN_SEL_FOLDER, model));
    if (*told) {
        snprintf(path, size, "%s", told);
        return;
    }
    const char *parent = an_ns_text(o, o->temporary_folder());
    size_t n = strlen(parent);
    snprintf(path, size, "%s%s%s", parent, n && parent[n - 1] == '/' ? "" : "/",
             an_ns_text(o, an_send(o, AN_SEL_IDENTIFIER, model)));
}

/* Journal and locks are where the framework puts its folders. */
static an_status open_folders(an_framework *fw, const char *path, an_error *err)
{
    char parent[768];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return an_fail(err, AN_EENGINE,
                       "the framework's folder is \"%.200s\", expected an "
                       "absolute path",
                       path);
    *slash = '\0';
    if (fw->folders.journal[0] && strcmp(parent, fw->folders.parent) == 0)
        return AN_OK;
    if (fw->folders.journal[0]) an_folders_close(&fw->folders);
    return an_folders_open(&fw->folders, parent, err);
}

/* A cached load names its program by a path that begins with the working
 * directory, which so must be there. Source: listing of _ANEClient (iOS 26). */
static void leave_lost_directory(void)
{
    char path[1024];
    if (!getcwd(path, sizeof path) || access(path, X_OK) != 0)
        (void)(chdir("/") + 1);
}

/* ---- compile and load ---- */

static an_status compile_and_load(an_loading *l, void *model, an_error *err)
{
    an_framework *fw = l->out->fw;
    an_status s = AN_OK;
    leave_lost_directory();
    if (l->way == AN_LOAD_COMPILED) s = an_live_compile(fw, model, err);
    return s == AN_OK ? an_live_load(fw, model, err) : s;
}

static an_status make(an_loading *l, an_error *err)
{
    an_loaded *out = l->out;
    an_framework *fw = out->fw;
    const an_objc *o = &fw->objc;
    const an_handed *h = &l->handed;
    an_folder folder;
    char path[768];
    void *model = NULL;
    an_status s = new_model(o, l, &model, err);
    if (s != AN_OK) return s;
    snprintf(out->identifier, sizeof out->identifier, "%s",
             an_ns_text(o, an_send(o, AN_SEL_IDENTIFIER, model)));
    model_path(o, model, path, sizeof path);
    s = open_folders(fw, path, err);
    if (s == AN_OK)
        s = an_folder_open(&fw->folders, path, h->text, h->size, h->blobs,
                           h->n_blobs, &folder, err);
    if (s != AN_OK) return s;
    s = compile_and_load(l, model, err);
    if (an_worker_is_dead(fw->worker)) return s;
    out->object = model;
    if (s == AN_OK) s = an_loaded_read_symbols(out, l->ports, err);
    out->object = s == AN_OK ? an_send(o, AN_SEL_RETAIN, model) : NULL;
    if (s == AN_OK)
        an_live_add(out);
    else
        an_live_discard(out, model);
    an_folder_close(&folder);
    return s;
}

an_status an_loaded_make(void *loading, an_error *err)
{
    an_loading *l = loading;
    const an_objc *o = &l->out->fw->objc;
    void *pool = an_pool_push(o);
    an_status s = make(l, err);
    an_pool_pop(o, pool);
    return s;
}

an_status an_loaded_drop(void *loaded, an_error *err)
{
    (void)err;
    an_loaded *l = loaded;
    const an_objc *o = &l->fw->objc;
    if (!l->object) return AN_OK;
    void *pool = an_pool_push(o);
    an_live_remove(l);
    an_live_discard(l, l->object);
    an_send_void(o, AN_SEL_RELEASE, l->object);
    l->object = NULL;
    an_pool_pop(o, pool);
    return AN_OK;
}

an_loaded *an_loaded_new(an_framework *fw, int n_in, int n_out)
{
    an_loaded *l = an_alloc(sizeof *l);
    if (!l) return NULL;
    l->fw = fw;
    l->n_symbols[AN_INPUT] = n_in;
    l->n_symbols[AN_OUTPUT] = n_out;
    l->symbols[0] =
        an_alloc_array((size_t)(n_in + n_out) + 1, sizeof **l->symbols);
    if (!l->symbols[0]) {
        an_free(l);
        return NULL;
    }
    l->symbols[1] = l->symbols[0] + n_in;
    return l;
}

void an_loaded_free(an_loaded *l)
{
    if (!l) return;
    an_free(l->symbols[0]);
    an_free(l);
}
