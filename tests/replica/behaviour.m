/*
 * The replica point by point: what a client can tell of each class, in TAP.
 * Cases that need a setting of their own are run by behaviour.sh, by name:
 *
 *     behaviour            all cases of the default settings
 *     behaviour CASE       one case
 */
#import <objc/runtime.h>

#import "replica.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { QOS = 21, IN_BYTES = 8 * 64, OUT_BYTES = 8 * 64 };

/* More of the interface than the replica's own header needs. */
@interface NSObject (Framework)
+ (id)modelWithMILText:(NSData *)text
               weights:(NSDictionary *)weights
          optionsPlist:(NSData *)options;
+ (id)inMemoryModelWithDescriptor:(id)descriptor;
+ (id)requestWithInputs:(NSArray *)inputs
           inputIndices:(NSArray *)inputIndices
                outputs:(NSArray *)outputs
          outputIndices:(NSArray *)outputIndices
         procedureIndex:(NSNumber *)procedure;
+ (id)programLoadErrorForMethod:(NSString *)method code:(long)code;
+ (bool)hasANE;
+ (NSString *)restrictedAccessEntitlement;
+ (unsigned)aneDefaultTaskQoS;
+ (unsigned)driverMaskForANEFMask:(unsigned)mask;
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
- (bool)doEvaluateDirectWithModel:(id)model
                          options:(NSDictionary *)options
                          request:(id)request
                              qos:(unsigned)qos
                            error:(NSError **)error;
- (bool)prepareChainingWithModel:(id)model
                         options:(NSDictionary *)options
                     chainingReq:(id)request
                             qos:(unsigned)qos
                           error:(NSError **)error;
- (bool)mapIOSurfacesWithRequest:(id)request
                  cacheInference:(bool)cache
                           error:(NSError **)error;
- (void)unmapIOSurfacesWithRequest:(id)request;
- (void)setCompletionHandler:(id)block;
- (_ANEPerformanceStats *)perfStats;
- (id)model;
- (id)descriptor;
- (void)purgeCompiledModel;
@end

static int n_cases, n_bad;
static int width = 32; /* of the program's rows, of 64 bytes in any case */

static void check(bool well, const char *what)
{
    printf("%sok %d - %s\n", well ? "" : "not ", ++n_cases, what);
    n_bad += !well;
}

/* ---- a program ---- */

/* out = a - b, or b - a when `swapped`; `note` makes texts differ. */
static NSData *program(const char *first, const char *second, const char *x,
                       const char *y, int note)
{
    char text[1024];
    char t[64];
    snprintf(t, sizeof t, "tensor<fp16, [1, 8, 1, %d]>", width);
    snprintf(text, sizeof text,
             "program(1.3)\n[buildInfo = dict<string, "
             "string>({{\"coremlc-version\", \"3500.32.1\"}})]\n{\n"
             "    func main<ios18>(%s %s, %s %s) {\n"
             "            %s out = sub(x = %s, y = %s)[name = "
             "string(\"out\")];\n        } -> (out);\n}\n// %d\n",
             t, first, t, second, t, x, y, note);
    return [NSData dataWithBytes:text length:strlen(text)];
}

static NSDictionary *none(void)
{
    return [NSDictionary dictionary];
}

static id model_of(NSData *text)
{
    id descriptor = [_ANEInMemoryModelDescriptor modelWithMILText:text
                                                          weights:none()
                                                     optionsPlist:nil];
    return [_ANEInMemoryModel inMemoryModelWithDescriptor:descriptor];
}

static void stage(id model, NSData *text)
{
    NSString *folder = [model localModelPath];
    [[NSFileManager defaultManager] createDirectoryAtPath:folder
                              withIntermediateDirectories:YES
                                               attributes:nil
                                                    error:NULL];
    [text writeToFile:[folder stringByAppendingPathComponent:@"model.mil"]
           atomically:YES];
}

static id staged(int note)
{
    NSData *text = program("a", "b", "a", "b", note);
    id model = model_of(text);
    stage(model, text);
    return model;
}

static id ready(int note)
{
    id model = staged(note);
    NSError *error = nil;
    if (![model compileWithQoS:QOS options:none() error:&error] ||
        ![model loadWithQoS:QOS options:none() error:&error])
        printf("# %s\n", [[error description] UTF8String]);
    return model;
}

static id surface_of(size_t bytes)
{
    NSNumber *n = [NSNumber numberWithUnsignedLong:bytes];
    IOSurfaceRef surface = IOSurfaceCreate(
        [NSDictionary dictionaryWithObject:n forKey:@"IOSurfaceAllocSize"]);
    id object = [_ANEIOSurfaceObject objectWithIOSurface:surface];
    [(id)(void *)surface release];
    return object;
}

static id request_of(size_t in, size_t out, int symbol)
{
    NSNumber *zero = [NSNumber numberWithInt:0];
    NSArray *inputs =
        [NSArray arrayWithObjects:surface_of(in), surface_of(in), nil];
    NSArray *symbols =
        [NSArray arrayWithObjects:zero, [NSNumber numberWithInt:symbol], nil];
    return
        [_ANERequest requestWithInputs:inputs
                          inputIndices:symbols
                               outputs:[NSArray arrayWithObject:surface_of(out)]
                         outputIndices:[NSArray arrayWithObject:zero]
                        procedureIndex:zero];
}

static bool is_error(NSError *e, NSString *domain, long code, const char *text)
{
    if ([[e domain] isEqualToString:domain] && [e code] == code &&
        strstr([[e localizedDescription] UTF8String], text))
        return true;
    printf("# came: %s\n", [[e description] UTF8String]);
    return false;
}

static NSString *const ane = @"com.apple.appleneuralengine";
static NSString *const compiler = @"com.apple.appleneuralengine.compiler";

/* ---- classes ---- */

static void strip(const char *types, char *out)
{
    for (; *types; types++)
        if (*types < '0' || *types > '9') *out++ = *types;
    *out = '\0';
}

#define CLASS(name) {#name, NULL},
#define METHOD(name, types) {name, types},
#define STRING(name, types, text) {name, types},
#define NUMBER(name, types, number) {name, types},
#define ERROR(name, types, code, text) {name, types},
static const struct {
    const char *name, *types;
} rows[] = {
#include "engine/apple/published.def"
};

/* All rows are there, with the types that Apple's framework prints. */
static void test_classes(void)
{
    Class c = Nil;
    int classes = 0, methods = 0, bad = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char want[256], came[256];
        if (!rows[i].types) {
            c = objc_getClass(rows[i].name);
            classes += c != Nil;
            bad += c == Nil;
            continue;
        }
        SEL selector = sel_registerName(rows[i].name + 1);
        Method m = *rows[i].name == '+' ? class_getClassMethod(c, selector)
                                        : class_getInstanceMethod(c, selector);
        strip(rows[i].types, want);
        strip(m ? method_getTypeEncoding(m) : "", came);
        methods++;
        if (strcmp(want, came) == 0) continue;
        printf("# %s %s: %s, expected %s\n", class_getName(c), rows[i].name,
               came, want);
        bad++;
    }
    printf("# %d classes, %d methods\n", classes, methods);
    check(bad == 0 && classes > 35 && methods > 700,
          "every class and selector, with its encoding");
}

static void test_nil(void)
{
    NSString *names[] = {@"_ANEInMemoryModelDescriptor", @"_ANEInMemoryModel",
                         @"_ANERequest", @"_ANEPerformanceStats"};
    bool well = true;
    for (int i = 0; i < 4; i++) {
        Class c = NSClassFromString(names[i]);
        well = well && [c new] == nil && [[c alloc] init] == nil;
    }
    check(well, "+new and -init answer nil");
    NSData *text = program("a", "b", "a", "b", 0);
    check([_ANEInMemoryModelDescriptor modelWithMILText:nil
                                                weights:none()
                                           optionsPlist:nil] == nil &&
              [_ANEInMemoryModelDescriptor modelWithMILText:text
                                                    weights:nil
                                               optionsPlist:nil] == nil &&
              [_ANEInMemoryModelDescriptor
                  modelWithMILText:text
                           weights:[NSDictionary
                                       dictionaryWithObject:none()
                                                     forKey:@"@model_path/w"]
                      optionsPlist:nil] == nil,
          "no descriptor of no text, no weights, an empty blob");
    bool raised = false;
    NS_DURING
    [_ANEInMemoryModelDescriptor modelWithMILText:(NSData *)@"text"
                                          weights:none()
                                     optionsPlist:nil];
    NS_HANDLER
    raised = [[localException name] isEqualToString:NSInvalidArgumentException];
    NS_ENDHANDLER
    check(raised, "text as a string raises");
}

static void test_answers(void)
{
    check(is_error([_ANEErrors programLoadErrorForMethod:@"m:" code:0x50004],
                   ane, 6, "m:: Program load failure (0x50004)"),
          "_ANEErrors makes the framework's texts");
    check([[NSClassFromString(@"_ANEStrings") restrictedAccessEntitlement]
              isEqualToString:@"com.apple.aned.private.allow"],
          "_ANEStrings");
    check([_ANEQoSMapper aneDefaultTaskQoS] == 21 &&
              [_ANEQoSMapper programPriorityForQoS:9] == 6 &&
              [_ANEPerformanceStats driverMaskForANEFMask:8] == 2,
          "QoS and masks");
    check([NSClassFromString(@"_ANEDeviceInfo") hasANE], "there is an engine");
    NSError *error = nil;
    check(![[_ANEClient sharedConnection] prepareChainingWithModel:nil
                                                           options:none()
                                                       chainingReq:nil
                                                               qos:QOS
                                                             error:&error] &&
              is_error(error, ane, 25, "not implemented by the replica"),
          "what is not implemented says so in an error");
}

static void test_identifier(void)
{
    NSData *text = program("a", "b", "a", "b", 1);
    NSString *id1 = [model_of(text) hexStringIdentifier];
    NSDictionary *inner = [NSDictionary dictionaryWithObject:text
                                                      forKey:@"data"];
    id other = [_ANEInMemoryModelDescriptor
        modelWithMILText:text
                 weights:[NSDictionary
                             dictionaryWithObject:inner
                                           forKey:@"@model_path/weights/w"]
            optionsPlist:nil];
    NSArray *parts = [id1 componentsSeparatedByString:@"_"];
    check([id1 length] == 194 && [parts count] == 3 &&
              [[parts objectAtIndex:1]
                  isEqualToString:@"DF3F619804A92FDB4057192DC43DD748EA778ADC52"
                                  @"BC498CE80524C014B81119"] &&
              [[parts objectAtIndex:2]
                  isEqualToString:@"E3B0C44298FC1C149AFBF4C8996FB92427AE41E464"
                                  @"9B934CA495991B7852B855"],
          "identifier: three hashes, those of no weights and no options");
    check(![[other hexStringIdentifier] isEqualToString:id1],
          "identifier: depends on the weights' bytes");
    /* The saved name of another program, by key-value coding. */
    id real = ready(2), forged = model_of(text);
    [forged setValue:[real hexStringIdentifier] forKey:@"hexStringIdentifier"];
    check([forged loadWithQoS:QOS options:none() error:NULL] &&
              [forged unloadWithQoS:QOS error:NULL],
          "a forged identifier loads the other program");
    [real unloadWithQoS:QOS error:NULL];
}

/* ---- compile and load ---- */

static void test_compile(void)
{
    NSError *error = nil;
    NSData *text = program("a", "b", "a", "b", 3);
    id model = model_of(text);
    check(![model compileWithQoS:QOS options:none() error:&error] &&
              is_error(error, ane, 9, "file access failure"),
          "compile without a folder: code 9");
    stage(model,
          [@"program(1.3) nonsense" dataUsingEncoding:NSUTF8StringEncoding]);
    error = nil;
    check(![model compileWithQoS:QOS options:none() error:&error] &&
              is_error(error, compiler, 1, "ANECCompile() FAILED") &&
              strstr([[[[error userInfo] objectForKey:NSUnderlyingErrorKey]
                         localizedDescription] UTF8String],
                     "InvalidMILProgram"),
          "compile of a text that is none: InvalidMILProgram");
    stage(model, text);
    check([model compileWithQoS:QOS options:none() error:&error] &&
              [model compiledModelExists] && [model descriptor] == nil &&
              [[model model] state] == 2,
          "compile reads the folder's files and drops the descriptor");
    NSString *net =
        [[model localModelPath] stringByAppendingPathComponent:@"net.plist"];
    check([[NSData dataWithContentsOfFile:net] isEqual:text],
          "net.plist is written");
    error = nil;
    id nil_options = staged(4);
    check(![nil_options compileWithQoS:QOS options:nil error:&error] &&
              is_error(error, @"com.apple.appleneuralengine.espresso", -1,
                       "Cannot load network"),
          "compile with nil options: the type is lost");
    check(![model unloadWithQoS:QOS error:NULL] &&
              access([[model localModelPath] fileSystemRepresentation], F_OK) !=
                  0,
          "unload of what was never loaded: NO, and the folder is gone");
    [model purgeCompiledModel];
    check(![model compiledModelExists], "purge");
    [nil_options unloadWithQoS:QOS error:NULL];
}

static void test_load(void)
{
    id model = staged(5);
    check([model modelAttributes] && [[model modelAttributes] count] == 0 &&
              [model state] == 0,
          "before a load: no attributes, state 0");
    check([model loadWithQoS:QOS options:none() error:NULL] &&
              [model state] == 3 && [model programHandle] != 0 &&
              [model queueDepth] == 127 && [[model model] state] == 3,
          "a load that misses the cache compiles");
    NSDictionary *port =
        [[[[[[model model] modelAttributes] objectForKey:@"NetworkStatusList"]
            objectAtIndex:0] objectForKey:@"LiveInputList"] objectAtIndex:1];
    check([[port objectForKey:@"Name"] isEqualToString:@"b"] &&
              [[port objectForKey:@"RowStride"] intValue] == 64 &&
              [[port objectForKey:@"BatchStride"] intValue] == IN_BYTES &&
              [[port objectForKey:@"Channels"] intValue] == 8,
          "attributes: names and strides, rows of 64 bytes");
    id before = [model model];
    check([model unloadWithQoS:QOS error:NULL] && [model state] == 3 &&
              [model program] != nil && [before state] == 1,
          "after unload the object keeps program and state");
    NSError *error = nil;
    check(![model evaluateWithQoS:QOS
                          options:none()
                          request:request_of(IN_BYTES, OUT_BYTES, 1)
                            error:&error] &&
              is_error(error, ane, 23, "status=0xe"),
          "evaluate after unload: code 23");
    check([model loadWithQoS:QOS options:none() error:NULL] &&
              [model model] != before,
          "a load from the cache needs no files, and makes a new model");
    [model unloadWithQoS:QOS error:NULL];
    NSData *text = program("a", "b", "a", "b", 5);
    id second = model_of(text);
    check([second compiledModelExists] &&
              [second loadWithQoS:QOS options:none() error:NULL] &&
              [second descriptor] != nil &&
              [second unloadWithQoS:QOS error:NULL],
          "an equal descriptor finds it too");
}

/* ---- evaluate ---- */

static unsigned short *halves(id object)
{
    return IOSurfaceGetBaseAddress([object ioSurface]);
}

static bool computes(id model, id request, unsigned short want)
{
    NSError *error = nil;
    unsigned short *a = halves([[request inputArray] objectAtIndex:0]);
    unsigned short *b = halves([[request inputArray] objectAtIndex:1]);
    unsigned short *out = halves([[request outputArray] objectAtIndex:0]);
    for (int row = 0; row < 8; row++)
        for (int i = 0; i < 32; i++) {
            a[row * 32 + i] = 0x4200; /* 3 */
            b[row * 32 + i] = 0x3c00; /* 1 */
            out[row * 32 + i] = 0x7777;
        }
    if (![model evaluateWithQoS:QOS
                        options:none()
                        request:request
                          error:&error]) {
        printf("# %s\n", [[error description] UTF8String]);
        return false;
    }
    /* The first `width` elements of each row of 32 are the program's. */
    return out[0] == want && out[width - 1] == want &&
           out[7 * 32 + width - 1] == want &&
           (width == 32 || out[width] == 0x7777);
}

static void test_evaluate(void)
{
    NSError *error = nil;
    id unloaded = model_of(program("a", "b", "a", "b", 6));
    id request = request_of(IN_BYTES, OUT_BYTES, 1);
    check(![unloaded evaluateWithQoS:QOS
                             options:none()
                             request:request
                               error:&error] &&
              error == nil,
          "evaluate before a load: NO without an error");
    id model = ready(6);
    check(computes(model, request, 0x4000), "it computes 3 - 1");
    id bad = [_ANERequest requestWithInputs:[NSArray array]
                               inputIndices:[NSArray array]
                                    outputs:[request outputArray]
                              outputIndices:[request outputIndexArray]
                             procedureIndex:nil];
    check(![model evaluateWithQoS:QOS
                          options:none()
                          request:bad
                            error:&error] &&
              error == nil,
          "a request that does not validate: NO without an error");
    check(![model evaluateWithQoS:QOS
                          options:none()
                          request:request_of(IN_BYTES - 64, OUT_BYTES, 1)
                            error:&error] &&
              is_error(error, ane, 8, "status=0x1d : statusType=0x9"),
          "a surface too small: code 8, status 0x1d");
    error = nil;
    check(![model evaluateWithQoS:QOS
                          options:none()
                          request:request_of(IN_BYTES, OUT_BYTES, 2)
                            error:&error] &&
              is_error(error, ane, 8, "status=0x2"),
          "a wrong symbol: status 0x2");
    NSDictionary *mask =
        [NSDictionary dictionaryWithObject:[NSNumber numberWithInt:15]
                                    forKey:@"kANEFPerformanceStatsMask"];
    check([request perfStats] == nil &&
              [model evaluateWithQoS:QOS
                             options:mask
                             request:request
                               error:NULL] &&
              [[request perfStats] hwExecutionTime] > 0,
          "statistics when the options ask for them");
    check([[_ANEClient sharedConnection] doEvaluateDirectWithModel:[model model]
                                                           options:none()
                                                           request:request
                                                               qos:QOS
                                                             error:NULL],
          "the client connection evaluates too");
    bool raised = false;
    NS_DURING
    [[_ANEClient sharedConnection] doEvaluateDirectWithModel:model
                                                     options:none()
                                                     request:request
                                                         qos:QOS
                                                       error:NULL];
    NS_HANDLER
    raised = true;
    NS_ENDHANDLER
    check(raised, "the connection wants the inner model: no getUUID");
    [model unloadWithQoS:QOS error:NULL];
}

/* Mapping ahead, by the model and by the connection. */
static void test_map(bool works)
{
    NSError *error = nil;
    id model = ready(10), request = request_of(IN_BYTES, OUT_BYTES, 1);
    id client = [_ANEClient sharedConnection];
    bool mapped = [model mapIOSurfacesWithRequest:request
                                   cacheInference:false
                                            error:&error];
    check(mapped == works &&
              (works || is_error(error, ane, 13, "map failure (0x1)")),
          works ? "surfaces are mapped" : "mapping fails: code 13");
    [model unmapIOSurfacesWithRequest:request];
    check([client mapIOSurfacesWithModel:[model model]
                                 request:request
                          cacheInference:false
                                   error:NULL] == works,
          "the connection says the same");
    check(![client mapIOSurfacesWithModel:[model model]
                                  request:request_of(IN_BYTES, OUT_BYTES, 2)
                           cacheInference:false
                                    error:&error] &&
              is_error(error, ane, 13, "map failure"),
          "a wrong symbol is not mapped");
    check(computes(model, request, 0x4000), "it evaluates all the same");
    [model unloadWithQoS:QOS error:NULL];
}

/* The one call that is planned to fail does, and the next does not. */
static void test_map_fault(void)
{
    NSError *error = nil;
    id model = ready(11), request = request_of(IN_BYTES, OUT_BYTES, 1);
    check(![model mapIOSurfacesWithRequest:request
                            cacheInference:false
                                     error:&error] &&
              is_error(error, ane, 13, "map failure") &&
              [model mapIOSurfacesWithRequest:request
                               cacheInference:false
                                        error:NULL],
          "fault=map:1: the first mapping fails, the second does not");
    [model unloadWithQoS:QOS error:NULL];
}

static void test_no_statistics(void)
{
    NSDictionary *mask =
        [NSDictionary dictionaryWithObject:[NSNumber numberWithInt:15]
                                    forKey:@"kANEFPerformanceStatsMask"];
    id model = ready(12), request = request_of(IN_BYTES, OUT_BYTES, 1);
    check([model evaluateWithQoS:QOS options:mask request:request error:NULL] &&
              [request perfStats] == nil,
          "perf=off: no statistics, whatever the options ask");
    [model unloadWithQoS:QOS error:NULL];
}

/* A block as compilers lay it out, of global kind: what a client's compiler
 * makes of ^(BOOL success, NSError *error) { ... }. */
static struct {
    int calls;
    bool well;
    long code;
} handled;

static void on_completion(void *block, bool well, NSError *error)
{
    (void)block;
    handled.calls++;
    handled.well = well;
    handled.code = [error code];
}

static void test_completion(void)
{
    static const struct {
        unsigned long reserved, size;
    } descriptor = {0, 32};
    static struct {
        void *isa;
        int flags, reserved;
        void (*invoke)(void *, bool, NSError *);
        const void *descriptor;
    } block = {NULL, 1 << 28, 0, on_completion, &descriptor};
    id model = ready(13), request = request_of(IN_BYTES, OUT_BYTES, 1);
    [request setCompletionHandler:(id)(void *)&block];
    check(computes(model, request, 0x4000) && handled.calls == 1 &&
              handled.well && handled.code == 0,
          "the completion handler is called once, with YES");
    id small = request_of(IN_BYTES - 64, OUT_BYTES, 1);
    [small setCompletionHandler:(id)(void *)&block];
    check(![model evaluateWithQoS:QOS
                          options:none()
                          request:small
                            error:NULL] &&
              handled.calls == 2 && !handled.well && handled.code == 8,
          "and with NO and the error");
    [request setCompletionHandler:nil];
    check(computes(model, request, 0x4000) && handled.calls == 2,
          "and not when it was taken off");
    [model unloadWithQoS:QOS error:NULL];
}

/* Inputs declared b, a, which breaks a rule: symbols by name, or as declared.
 */
static void test_order(unsigned short want)
{
    NSData *text = program("b", "a", "a", "b", 7);
    id model = model_of(text);
    stage(model, text);
    check([model loadWithQoS:QOS options:none() error:NULL] &&
              computes(model, request_of(IN_BYTES, OUT_BYTES, 1), want),
          "order of the symbols");
    [model unloadWithQoS:QOS error:NULL];
}

static void test_same_object_reload(unsigned short want)
{
    id model = ready(8), request = request_of(IN_BYTES, OUT_BYTES, 1);
    bool first = computes(model, request, 0x4000);
    [model unloadWithQoS:QOS error:NULL];
    stage(model, program("a", "b", "b", "a", 8));
    check(first && [model loadWithQoS:QOS options:none() error:NULL] &&
              computes(model, request, want),
          "files changed between unload and load");
    [model unloadWithQoS:QOS error:NULL];
}

/* ---- limits ---- */

/* Programs that can be loaded; `unload` and `keep` say what becomes of each. */
static int count_loads(int most, bool unload, bool keep, int notes)
{
    int n = 0;
    NSMutableArray *kept = [NSMutableArray array];
    for (bool well = true; well && n < most; n += well) {
        NSAutoreleasePool *pool = [NSAutoreleasePool new];
        NSError *error = nil;
        id model = staged(100 + n % notes);
        well = [model loadWithQoS:QOS options:none() error:&error];
        if (!well) is_error(error, ane, 6, "Program load failure (0x50004)");
        if (unload) [model unloadWithQoS:QOS error:NULL];
        if (well && keep) [kept addObject:model];
        [pool drain];
    }
    return n;
}

/* Half a row wide: no chip takes it, so rules are off. */
static void test_rows(void)
{
    width = 16;
    id model = ready(9);
    check(computes(model, request_of(IN_BYTES, OUT_BYTES, 1), 0x4000),
          "rows start at multiples of 64 bytes, the rest is left alone");
    [model unloadWithQoS:QOS error:NULL];
}

static void test_rules(void)
{
    NSError *error = nil;
    width = 16;
    id model = staged(9);
    check(![model compileWithQoS:QOS options:none() error:&error] &&
              is_error(error, compiler, 1, "ANECCompile() FAILED"),
          "a program that breaks a rule does not compile");
    [model unloadWithQoS:QOS error:NULL];
}

static int run_case(const char *name)
{
    if (strcmp(name, "declared") == 0)
        test_order(0xc000);
    else if (strcmp(name, "alphabetical") == 0)
        test_order(0x4000);
    else if (strcmp(name, "rows") == 0)
        test_rows();
    else if (strcmp(name, "rules") == 0)
        test_rules();
    else if (strcmp(name, "honoured") == 0)
        test_same_object_reload(0xc000);
    else if (strcmp(name, "kept") == 0)
        check(count_loads(12, false, true, 99) == 10, "live limit: 10 kept");
    else if (strcmp(name, "leaked") == 0)
        check(count_loads(12, false, false, 99) == 10,
              "released without unload: the slot stays taken");
    else if (strcmp(name, "unloads") == 0)
        check(count_loads(12, false, false, 99) == 12,
              "dealloc=unload: a release gives the slot back");
    else if (strcmp(name, "freed") == 0)
        check(count_loads(12, true, true, 99) == 12,
              "unload gives the slot back");
    else if (strcmp(name, "parked") == 0)
        check(count_loads(12, true, true, 99) == 10,
              "slot=release: unloaded and kept, the slot stays taken");
    else if (strcmp(name, "released") == 0)
        check(count_loads(12, true, false, 99) == 12,
              "slot=release: unloaded and released, it is free");
    else if (strcmp(name, "unmapped") == 0)
        test_map(false);
    else if (strcmp(name, "map") == 0)
        test_map_fault();
    else if (strcmp(name, "perf") == 0)
        test_no_statistics();
    else if (strcmp(name, "texts") == 0)
        check(count_loads(30, false, true, 10) == 30,
              "count=texts: equal texts share a slot");
    else
        check(false, name);
    return n_bad != 0;
}

int main(int argc, char **argv)
{
    static void (*const tests[])(void) = {
        test_classes, test_nil,  test_answers, test_identifier,
        test_compile, test_load, test_evaluate};
    NSAutoreleasePool *outer = [NSAutoreleasePool new];
    int status = 0;
    if (argc > 1)
        status = run_case(argv[1]);
    else {
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
            NSAutoreleasePool *pool = [NSAutoreleasePool new];
            tests[i]();
            [pool drain];
        }
        test_same_object_reload(0x4000);
        test_map(true);
        test_completion();
        printf("1..%d\n", n_cases);
        status = n_bad != 0;
    }
    [outer drain];
    return status;
}
