/*
 * A client in plain C over Apple's C runtime functions (objc_getClass,
 * sel_registerName, objc_msgSend cast to each prototype), as LM-like projects
 * have it. Nothing but dlopen and dlsym; CoreFoundation makes the objects that
 * need not be messages.
 *
 *     plain FOLDER     as client.m, one evaluation
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef void *id;
typedef void *SEL;
enum { QOS = 21, MAX_FILE = 1 << 20, UTF8 = 0x08000100, SINT64 = 4 };

static void *frameworks;
static void (*send_message)(void);
static SEL (*selector)(const char *name);
static id (*class_named)(const char *name);

static void *find(const char *name)
{
    void *found = dlsym(frameworks, name);
    if (found) return found;
    fprintf(stderr, "plain: no %s\n", name);
    exit(1);
}

static void find_function(const char *name, void *out)
{
    void *found = find(name);
    memcpy(out, &found, sizeof found);
}

static id send(id object, const char *name)
{
    return ((id(*)(id, SEL))send_message)(object, selector(name));
}

static id send1(id object, const char *name, id a)
{
    return ((id(*)(id, SEL, id))send_message)(object, selector(name), a);
}

static id text(const char *c)
{
    id (*create)(const void *, const char *, uint32_t);
    find_function("CFStringCreateWithCString", &create);
    return create(NULL, c, UTF8);
}

static id number(int64_t n)
{
    id (*create)(const void *, long, const void *);
    find_function("CFNumberCreate", &create);
    return create(NULL, SINT64, &n);
}

static id data(const void *bytes, long n)
{
    id (*create)(const void *, const void *, long);
    find_function("CFDataCreate", &create);
    return create(NULL, bytes, n);
}

static id dictionary(id *keys, id *values, unsigned long n)
{
    return ((id(*)(id, SEL, id *, id *, unsigned long))send_message)(
        class_named("NSDictionary"),
        selector("dictionaryWithObjects:forKeys:count:"), values, keys, n);
}

static id array(id only)
{
    return send1(class_named("NSArray"), "arrayWithObject:", only);
}

static id new_surface(int64_t bytes)
{
    static const char *const names[] = {
        "kIOSurfaceWidth",           "kIOSurfaceHeight",
        "kIOSurfaceBytesPerElement", "kIOSurfaceBytesPerRow",
        "kIOSurfaceAllocSize",       "kIOSurfacePixelFormat"};
    id keys[6], values[] = {number(bytes), number(1),     number(1),
                            number(bytes), number(bytes), number(0)};
    id (*create)(id);
    find_function("IOSurfaceCreate", &create);
    for (int i = 0; i < 6; i++)
        keys[i] = *(id *)find(names[i]);
    return create(dictionary(keys, values, 6));
}

static void *base_of(id surface)
{
    void *(*base)(id);
    int (*lock)(id, uint32_t, uint32_t *);
    find_function("IOSurfaceLock", &lock);
    find_function("IOSurfaceGetBaseAddress", &base);
    return lock(surface, 0, NULL) == 0 ? base(surface) : NULL;
}

static long read_file(const char *folder, const char *name, char *out)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    long n = (long)fread(out, 1, MAX_FILE, f);
    fclose(f);
    return n;
}

static void write_file(const char *folder, const char *name, const void *bytes,
                       long n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, (size_t)n, f) != (size_t)n) exit(1);
    fclose(f);
}

static int failed(const char *what, id error)
{
    id line = error ? send(error, "localizedDescription") : NULL;
    printf("%s: %s\n", what,
           line ? (const char *)send(line, "UTF8String") : "no error");
    return 1;
}

static char program[MAX_FILE], blob[MAX_FILE], x[MAX_FILE];

/* The folder as the compiler wants it. */
static id new_model(const char *folder)
{
    char weights[1024];
    id model, descriptor;
    long n_text = read_file(folder, "model.mil", program);
    long n_blob = read_file(folder, "weights/weight.bin", blob);
    id inner_keys[] = {text("offset"), text("data")};
    id inner_values[] = {number(0), data(blob, n_blob)};
    id inner = dictionary(inner_keys, inner_values, 2);
    id key = text("@model_path/weights/weight.bin");
    descriptor = ((id(*)(id, SEL, id, id, id))send_message)(
        class_named("_ANEInMemoryModelDescriptor"),
        selector("modelWithMILText:weights:optionsPlist:"),
        data(program, n_text), dictionary(&key, &inner, 1), NULL);
    model = send1(class_named("_ANEInMemoryModel"),
                  "inMemoryModelWithDescriptor:", descriptor);
    if (!model) return NULL;
    const char *path = send(send(model, "localModelPath"), "UTF8String");
    snprintf(weights, sizeof weights, "%s/weights", path);
    mkdir(path, 0755);
    mkdir(weights, 0755);
    write_file(path, "model.mil", program, n_text);
    write_file(path, "weights/weight.bin", blob, n_blob);
    return model;
}

static int step(id model, const char *name)
{
    id error = NULL;
    bool well = ((bool (*)(id, SEL, unsigned, id, id *))send_message)(
        model, selector(name), QOS, dictionary(NULL, NULL, 0), &error);
    return well ? 0 : failed(name, error);
}

static int evaluate(id model, const char *folder)
{
    id error = NULL, in = new_surface(32 * 64 * 2);
    id out = new_surface(48 * 64 * 2);
    id object = class_named("_ANEIOSurfaceObject"), zero = array(number(0));
    id ins = array(send1(object, "objectWithIOSurface:", in));
    id outs = array(send1(object, "objectWithIOSurface:", out));
    long n = read_file(folder, "x.bin", x);
    memcpy(base_of(in), x, n < 32 * 64 * 2 ? (size_t)n : 32 * 64 * 2);
    id request = ((id(*)(id, SEL, id, id, id, id, id, id, id))send_message)(
        class_named("_ANERequest"),
        selector("requestWithInputs:inputIndices:outputs:outputIndices:"
                 "weightsBuffer:perfStats:procedureIndex:"),
        ins, zero, outs, zero, NULL, NULL, number(0));
    bool well = ((bool (*)(id, SEL, unsigned, id, id, id *))send_message)(
        model, selector("evaluateWithQoS:options:request:error:"), QOS,
        dictionary(NULL, NULL, 0), request, &error);
    if (!well) return failed("evaluate", error);
    write_file(folder, "y.bin", base_of(out), 48 * 64 * 2);
    return 0;
}

int main(int argc, char **argv)
{
    void *(*push)(void);
    void (*pop)(void *);
    if (argc != 2) return 2;
    dlopen("/System/Library/Frameworks/Foundation.framework/Foundation",
           RTLD_NOW | RTLD_GLOBAL);
    frameworks = dlopen("/System/Library/PrivateFrameworks/"
                        "AppleNeuralEngine.framework/AppleNeuralEngine",
                        RTLD_NOW | RTLD_GLOBAL);
    if (!frameworks) return failed("dlopen", NULL);
    find_function("objc_msgSend", &send_message);
    find_function("sel_registerName", &selector);
    find_function("objc_getClass", &class_named);
    find_function("objc_autoreleasePoolPush", &push);
    find_function("objc_autoreleasePoolPop", &pop);
    void *pool = push();
    id error = NULL, model = new_model(argv[1]);
    int status = model ? 0 : failed("model", NULL);
    if (!status) status = step(model, "compileWithQoS:options:error:");
    if (!status) status = step(model, "loadWithQoS:options:error:");
    if (!status) status = evaluate(model, argv[1]);
    if (!status && !((bool (*)(id, SEL, unsigned, id *))send_message)(
                       model, selector("unloadWithQoS:error:"), QOS, &error))
        status = failed("unload", error);
    pop(pool);
    return status;
}
