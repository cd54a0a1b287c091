/*
 * A client as public projects write them: everything by name at run time,
 * retain and release by hand, an autorelease pool around each step. It knows
 * nothing of the replica.
 *
 *     client FOLDER [EVALUATIONS [PROGRAMS]]
 *
 * FOLDER holds model.mil, weights/weight.bin (may lack), x.bin; y.bin is
 * written. With more than one program each is made of a text of its own (a
 * comment at its end), and unloaded and released before the next.
 */
#import <Foundation/Foundation.h>
#import <Foundation/NSDebug.h>

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct __IOSurface *IOSurfaceRef;

enum { QOS = 21 };

/* What the messages below mean; classes come from NSClassFromString. */
@protocol Framework
+ (id)modelWithMILText:(NSData *)text
               weights:(NSDictionary *)weights
          optionsPlist:(NSData *)options;
+ (id)inMemoryModelWithDescriptor:(id)descriptor;
+ (id)objectWithIOSurface:(IOSurfaceRef)surface;
+ (id)requestWithInputs:(NSArray *)inputs
           inputIndices:(NSArray *)inputIndices
                outputs:(NSArray *)outputs
          outputIndices:(NSArray *)outputIndices
          weightsBuffer:(id)weights
              perfStats:(id)stats
         procedureIndex:(NSNumber *)procedure;
- (NSString *)hexStringIdentifier;
- (bool)compileWithQoS:(unsigned)qos
               options:(NSDictionary *)options
                 error:(NSError **)error;
- (bool)loadWithQoS:(unsigned)qos
            options:(NSDictionary *)options
              error:(NSError **)error;
- (bool)evaluateWithQoS:(unsigned)qos
                options:(NSDictionary *)options
                request:(id)request
                  error:(NSError **)error;
- (bool)unloadWithQoS:(unsigned)qos error:(NSError **)error;
- (void)purgeCompiledModel;
- (NSDictionary *)modelAttributes;
@end

static struct {
    IOSurfaceRef (*create)(NSDictionary *properties);
    int (*lock)(IOSurfaceRef surface, unsigned options, unsigned *seed);
    int (*unlock)(IOSurfaceRef surface, unsigned options, unsigned *seed);
    void *(*base)(IOSurfaceRef surface);
    void (*release)(const void *object);
    NSString **keys[6];
} io;

static void find(void *handle, const char *name, void *out)
{
    void *found = dlsym(handle, name);
    if (!found) {
        fprintf(stderr, "client: no %s\n", name);
        exit(1);
    }
    memcpy(out, &found, sizeof found);
}

/* Linked against the frameworks, or through their paths. */
static void open_frameworks(void)
{
    static const char *const names[] = {
        "kIOSurfaceWidth",           "kIOSurfaceHeight",
        "kIOSurfaceBytesPerElement", "kIOSurfaceBytesPerRow",
        "kIOSurfaceAllocSize",       "kIOSurfacePixelFormat"};
    void *surface = dlopen(
        "/System/Library/Frameworks/IOSurface.framework/IOSurface", RTLD_NOW);
    dlopen("/System/Library/PrivateFrameworks/AppleNeuralEngine.framework/"
           "AppleNeuralEngine",
           RTLD_NOW);
    if (!surface) surface = RTLD_DEFAULT;
    find(surface, "IOSurfaceCreate", &io.create);
    find(surface, "IOSurfaceLock", &io.lock);
    find(surface, "IOSurfaceUnlock", &io.unlock);
    find(surface, "IOSurfaceGetBaseAddress", &io.base);
    find(surface, "CFRelease", &io.release);
    for (int i = 0; i < 6; i++)
        find(surface, names[i], &io.keys[i]);
}

static id number(unsigned long n)
{
    return [NSNumber numberWithUnsignedLong:n];
}

static IOSurfaceRef new_surface(size_t bytes)
{
    id values[] = {number(bytes), number(1),     number(1),
                   number(bytes), number(bytes), number(0)};
    NSString *keys[6];
    for (int i = 0; i < 6; i++)
        keys[i] = *io.keys[i];
    return io.create([NSDictionary dictionaryWithObjects:values
                                                 forKeys:keys
                                                   count:6]);
}

static int failed(const char *what, NSError *error)
{
    if (!error) {
        printf("%s: NO without an error\n", what);
        return 1;
    }
    NSError *under = [[error userInfo] objectForKey:NSUnderlyingErrorKey];
    printf("%s: %s %ld: %s\n", what, [[error domain] UTF8String],
           (long)[error code], [[error localizedDescription] UTF8String]);
    if (under)
        printf("  under: %ld: %s\n", (long)[under code],
               [[under localizedDescription] UTF8String]);
    return 1;
}

/* Descriptor and model; the folder is staged as the compiler wants it. */
static id new_model(NSData *text, NSData *blob)
{
    NSFileManager *files = [NSFileManager defaultManager];
    NSMutableDictionary *weights = [NSMutableDictionary dictionary];
    NSMutableDictionary *inner = [NSMutableDictionary dictionary];
    [inner setObject:number(0) forKey:@"offset"];
    if (blob) {
        [inner setObject:blob forKey:@"data"];
        [weights setObject:inner forKey:@"@model_path/weights/weight.bin"];
    }
    Class D = NSClassFromString(@"_ANEInMemoryModelDescriptor");
    Class M = NSClassFromString(@"_ANEInMemoryModel");
    id descriptor = [(id)D modelWithMILText:text
                                    weights:weights
                               optionsPlist:nil];
    id model = [[(id)M inMemoryModelWithDescriptor:descriptor] retain];
    NSString *folder = [NSTemporaryDirectory()
        stringByAppendingPathComponent:[model hexStringIdentifier]];
    [files createDirectoryAtPath:[folder
                                     stringByAppendingPathComponent:@"weights"]
        withIntermediateDirectories:YES
                         attributes:nil
                              error:NULL];
    [text writeToFile:[folder stringByAppendingPathComponent:@"model.mil"]
           atomically:YES];
    [blob writeToFile:[folder
                          stringByAppendingPathComponent:@"weights/weight.bin"]
           atomically:YES];
    return model;
}

/* BatchStride x Batches of the one port of a side. */
static size_t size_of(id model, NSString *list)
{
    NSDictionary *port =
        [[[[[model modelAttributes] objectForKey:@"NetworkStatusList"]
            objectAtIndex:0] objectForKey:list] objectAtIndex:0];
    return [[port objectForKey:@"BatchStride"] unsignedLongValue] *
           [[port objectForKey:@"Batches"] unsignedLongValue];
}

static void fill(IOSurfaceRef surface, NSData *bytes)
{
    io.lock(surface, 0, NULL);
    [bytes getBytes:io.base(surface)];
    io.unlock(surface, 0, NULL);
}

static int evaluate(id model, NSData *x, int n, NSData **y)
{
    size_t n_in = size_of(model, @"LiveInputList");
    size_t n_out = size_of(model, @"LiveOutputList");
    IOSurfaceRef in = new_surface(n_in), out = new_surface(n_out);
    if (!in || !out) return failed("surface", nil);
    Class S = NSClassFromString(@"_ANEIOSurfaceObject");
    NSArray *zero = [NSArray arrayWithObject:number(0)];
    id request = [[NSClassFromString(@"_ANERequest")
        requestWithInputs:[NSArray
                              arrayWithObject:[(id)S objectWithIOSurface:in]]
             inputIndices:zero
                  outputs:[NSArray
                              arrayWithObject:[(id)S objectWithIOSurface:out]]
            outputIndices:zero
            weightsBuffer:nil
                perfStats:nil
           procedureIndex:number(0)] retain];
    int status = 0;
    if ([x length] <= n_in) fill(in, x);
    for (int i = 0; i < n && !status; i++) {
        NSAutoreleasePool *pool = [NSAutoreleasePool new];
        NSError *error = nil;
        if (![model evaluateWithQoS:QOS
                            options:[NSDictionary dictionary]
                            request:request
                              error:&error])
            status = failed("evaluate", error);
        [pool drain];
    }
    io.lock(out, 1, NULL);
    *y = [NSData dataWithBytes:io.base(out) length:n_out];
    io.unlock(out, 1, NULL);
    [request release];
    io.release(in);
    io.release(out);
    return status;
}

static int run(NSString *folder, NSData *text, int evaluations)
{
    NSError *error = nil;
    NSDictionary *none = [NSDictionary dictionary];
    NSData *y = nil;
    NSData *blob = [NSData
        dataWithContentsOfFile:
            [folder stringByAppendingPathComponent:@"weights/weight.bin"]];
    NSData *x = [NSData
        dataWithContentsOfFile:[folder
                                   stringByAppendingPathComponent:@"x.bin"]];
    id model = new_model(text, blob);
    int status = 0;
    if (!model) return failed("model", nil);
    if (![model compileWithQoS:QOS options:none error:&error])
        status = failed("compile", error);
    else if (![model loadWithQoS:QOS options:none error:&error])
        status = failed("load", error);
    else
        status = evaluate(model, x, evaluations, &y);
    if (y && !status)
        [y writeToFile:[folder stringByAppendingPathComponent:@"y.bin"]
            atomically:YES];
    error = nil;
    if (![model unloadWithQoS:QOS error:&error] && !status)
        status = failed("unload", error);
    [model purgeCompiledModel];
    [model release];
    return status;
}

/* The n-th program's text: the first is the file's, the others differ. */
static NSData *text_of(NSString *folder, int n)
{
    NSMutableData *text = [NSMutableData
        dataWithContentsOfFile:
            [folder stringByAppendingPathComponent:@"model.mil"]];
    if (n > 0) {
        char line[32];
        snprintf(line, sizeof line, "// %d\n", n);
        [text appendBytes:line length:strlen(line)];
    }
    return text;
}

/* Objects of these classes that live on are leaks. */
static int count_leaks(void)
{
    static const char *const names[] = {
        "_ANEInMemoryModelDescriptor", "_ANEInMemoryModel",   "_ANEModel",
        "_ANEProgramForEvaluation",    "_ANERequest",         "IOSurface",
        "_ANEIOSurfaceObject",         "_ANEPerformanceStats"};
    int leaks = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Class c = NSClassFromString([NSString stringWithUTF8String:names[i]]);
        int n = GSDebugAllocationCount(c);
        int all = GSDebugAllocationTotal(c);
        if (n) printf("leak: %d %s of %d\n", n, names[i], all);
        leaks += n;
    }
    return leaks;
}

/* Live objects of all classes. */
static long count_objects(void)
{
    long n = 0;
    Class *classes = GSDebugAllocationClassList();
    for (Class *c = classes; *c; c++)
        n += GSDebugAllocationCount(*c);
    free(classes);
    return n;
}

static int run_all(NSString *folder, int evaluations, int programs)
{
    int status = 0;
    for (int i = 0; i < programs && !status; i++) {
        NSAutoreleasePool *pool = [NSAutoreleasePool new];
        status = run(folder, text_of(folder, i), evaluations);
        if (status && programs > 1) printf("program %d failed\n", i + 1);
        [pool drain];
    }
    return status;
}

int main(int argc, char **argv)
{
    NSAutoreleasePool *outer = [NSAutoreleasePool new];
    int evaluations = argc > 2 ? atoi(argv[2]) : 1;
    int programs = argc > 3 ? atoi(argv[3]) : 1;
    if (argc < 2) {
        fprintf(stderr, "usage: client FOLDER [EVALUATIONS [PROGRAMS]]\n");
        return 2;
    }
    open_frameworks();
    NSString *folder = [NSString stringWithUTF8String:argv[1]];
    int status = 0;
    NS_DURING
    {
        GSDebugAllocationActive(YES);
        status = run_all(folder, 1, 2); /* warm: what is made once is made */
        long before = count_objects();
        if (!status) status = run_all(folder, evaluations, programs);
        long after = count_objects();
        if (!status && count_leaks()) status = 1;
        if (!status && after > before) {
            printf("%ld objects live on\n%s\n", after - before,
                   GSDebugAllocationListAll());
            status = 1;
        }
        if (!status) printf("%ld objects before, %ld after\n", before, after);
    }
    NS_HANDLER
    {
        printf("exception: %s: %s\n", [[localException name] UTF8String],
               [[localException reason] UTF8String]);
        status = 1;
    }
    NS_ENDHANDLER
    [outer drain];
    return status;
}
