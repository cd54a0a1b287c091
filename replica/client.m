/*
 * _ANEClient: what the framework asks of the daemon, and of the driver. Here
 * the planned faults of compile, load, unload and map strike.
 */
#import "replica.h"

#include <unistd.h>

enum { STATE_COMPILED = 2, STATE_LOADED = 3, STATE_FAILED = 5, DEPTH = 127 };

@implementation _ANEClient

/* Kept for the life of the process, as the real one. */
+ (id)sharedConnection
{
    static _ANEClient *shared;
    @synchronized(self) {
        if (!shared)
            shared = [[self alloc] initWithRestrictedAccessAllowed:false];
    }
    return shared;
}

+ (id)sharedPrivateConnection
{
    static _ANEClient *shared;
    @synchronized(self) {
        if (!shared)
            shared = [[self alloc] initWithRestrictedAccessAllowed:true];
    }
    return shared;
}

- (id)initWithRestrictedAccessAllowed:(bool)allowed
{
    self = [super init];
    if (self) _allowRestrictedAccess = allowed;
    return self;
}

- (id)init
{
    [self release];
    return nil;
}

- (bool)allowRestrictedAccess
{
    return _allowRestrictedAccess;
}

/* The restricted connection has no entitlement to show. */
- (bool)refuses:(NSString *)method error:(NSError **)error
{
    if (!_allowRestrictedAccess &&
        an_settings_get()->value[AN_SET_MACHINE] == 0)
        return false;
    if (!error) return true;
    if (_allowRestrictedAccess)
        *error = an_error_make(
            1, [method stringByAppendingString:
                           @": requires restricted access connection and "
                           @"(com.apple.aned.private.allow) entitlement"]);
    else
        *error = an_error_make(
            22, [method stringByAppendingString:
                            @": Host too old, ANE hardware not available"]);
    return true;
}

/* In the cache a program in memory goes by its identifier, one in a folder by
 * its place and key. */
static NSString *identifier_of(_ANEModel *model, NSDictionary *options)
{
    NSString *hash = [options objectForKey:kANEFInMemoryModelIdentifierKey];
    if (hash) return hash;
    return [NSString
        stringWithFormat:@"%@#%@", [[model modelURL] path], [model key]];
}

static bool is_mil(_ANEModel *model, NSDictionary *options, NSError **error)
{
    an_failure f = {.domain = an_domain_espresso, .code = -1};
    if ([[options objectForKey:kANEFModelTypeKey] isEqual:kANEFModelMILValue])
        return true;
    snprintf(f.text, sizeof f.text,
             "_ANEEspressoIRTranslator : error Cannot load network "
             "'%.400s/model.espresso.net'",
             [[[model modelURL] path] fileSystemRepresentation]);
    an_error_set(error, &f);
    return false;
}

- (bool)compileModel:(_ANEModel *)model
             options:(NSDictionary *)options
                 qos:(unsigned)qos
               error:(NSError **)error
{
    an_failure failure = {0};
    NSString *folder = [[model modelURL] path];
    (void)qos;
    [model getUUID];
    if ([self refuses:@"compileModel:options:qos:error:" error:error])
        return false;
    if (an_fault_strikes(AN_CALL_COMPILE, folder, error)) return false;
    if (!is_mil(model, options, error)) return false;
    bool well = an_device_compile([identifier_of(model, options) UTF8String],
                                  [folder fileSystemRepresentation], &failure);
    if (!well) an_error_set(error, &failure);
    [model setState:well ? STATE_COMPILED : STATE_FAILED];
    return well;
}

- (bool)loadModel:(_ANEModel *)model
          options:(NSDictionary *)options
              qos:(unsigned)qos
            error:(NSError **)error
{
    an_failure failure = {0};
    uint64_t handle = 0;
    char here[4096];
    NSString *folder = [[model modelURL] path];
    NSString *identifier = identifier_of(model, options);
    (void)qos;
    [model getUUID];
    if ([self refuses:@"loadModel:options:qos:error:" error:error])
        return false;
    if (an_fault_strikes(AN_CALL_LOAD, folder, error)) return false;
    if (!is_mil(model, options, error)) return false;
    /* The place of a cached program is relative to the working directory. */
    if (!getcwd(here, sizeof here)) {
        if (error)
            *error = an_error_make(9, @"loadModel:options:qos:error:: file "
                                      @"access failure");
        return false;
    }
    if ([options objectForKey:kANEFInMemoryModelIdentifierKey])
        folder =
            [NSTemporaryDirectory() stringByAppendingPathComponent:identifier];
    bool well =
        an_device_load([identifier UTF8String],
                       [folder fileSystemRepresentation], &handle, &failure);
    if (well)
        [model updateModelAttributes:an_attributes_make(handle)
                               state:STATE_LOADED
                       programHandle:handle
            intermediateBufferHandle:0
                          queueDepth:DEPTH];
    else {
        an_error_set(error, &failure);
        [model setState:STATE_FAILED];
    }
    return well;
}

- (bool)unloadModel:(_ANEModel *)model
            options:(NSDictionary *)options
                qos:(unsigned)qos
              error:(NSError **)error
{
    (void)options, (void)qos;
    if (an_fault_strikes(AN_CALL_UNLOAD, nil, error)) return false;
    bool well = an_device_unload([model programHandle]);
    if (!well && error)
        *error = an_error_make(23, @"unloadModel:options:qos:error:: Program "
                                   @"Inference error");
    [model resetOnUnload];
    return well;
}

- (bool)doLoadModel:(_ANEModel *)model
            options:(NSDictionary *)options
                qos:(unsigned)qos
              error:(NSError **)error
{
    return [self loadModel:model options:options qos:qos error:error];
}

- (bool)doUnloadModel:(_ANEModel *)model
              options:(NSDictionary *)options
                  qos:(unsigned)qos
                error:(NSError **)error
{
    return [self unloadModel:model options:options qos:qos error:error];
}

- (bool)doEvaluateDirectWithModel:(_ANEModel *)model
                          options:(NSDictionary *)options
                          request:(_ANERequest *)request
                              qos:(unsigned)qos
                            error:(NSError **)error
{
    [model getUUID];
    if ([self refuses:@"doEvaluateDirectWithModel:options:request:qos:error:"
                error:error] ||
        ![request validate])
        return false;
    return [[model program] processRequest:request
                                     model:model
                                       qos:qos
                                    qIndex:[_ANEQoSMapper queueIndexForQoS:qos]
                             modelStringID:[model string_id]
                                   options:options
                               returnValue:NULL
                                     error:error];
}

- (bool)evaluateWithModel:(_ANEModel *)model
                  options:(NSDictionary *)options
                  request:(_ANERequest *)request
                      qos:(unsigned)qos
                    error:(NSError **)error
{
    return [self doEvaluateDirectWithModel:model
                                   options:options
                                   request:request
                                       qos:qos
                                     error:error];
}

- (bool)evaluateRealTimeWithModel:(_ANEModel *)model
                          options:(NSDictionary *)options
                          request:(_ANERequest *)request
                            error:(NSError **)error
{
    return [self doEvaluateDirectWithModel:model
                                   options:options
                                   request:request
                                       qos:0
                                     error:error];
}

/* ---- mapping ahead of time: checked, and otherwise nothing to do ---- */

static bool symbols_fit(NSArray *symbols, uint64_t handle, an_port_side side)
{
    for (NSUInteger i = 0; i < [symbols count]; i++)
        if (!an_device_port(handle, side, [[symbols objectAtIndex:i] intValue]))
            return false;
    return true;
}

- (bool)mapIOSurfacesWithModel:(_ANEModel *)model
                       request:(_ANERequest *)request
                cacheInference:(bool)cache
                         error:(NSError **)error
{
    enum { MAX_MAPPED = 128 };
    uint64_t handle = [model programHandle];
    unsigned long long n = [request ioSurfacesCount];
    (void)cache;
    if (an_fault_strikes(AN_CALL_MAP, nil, error)) return false;
    bool well = an_settings_get()->value[AN_SET_MAP] == 0 && n >= 1 &&
                n <= MAX_MAPPED &&
                symbols_fit([request inputIndexArray], handle, AN_INPUT) &&
                symbols_fit([request outputIndexArray], handle, AN_OUTPUT);
    if (!well && error)
        *error = an_error_make(13, @"mapIOSurfacesWithModel:request:"
                                   @"cacheInference:error:: Program IOSurfaces "
                                   @"map failure (0x1)");
    return well;
}

- (void)unmapIOSurfacesWithModel:(_ANEModel *)model
                         request:(_ANERequest *)request
{
    (void)model, (void)request;
}

/* ---- the cache ---- */

- (bool)compiledModelExistsMatchingHash:(NSString *)hash
{
    return hash && an_device_has([hash UTF8String]);
}

- (bool)compiledModelExistsFor:(_ANEModel *)model
{
    return an_device_has([identifier_of(model, nil) UTF8String]);
}

- (void)purgeCompiledModelMatchingHash:(NSString *)hash
{
    if (hash) an_device_purge([hash UTF8String]);
}

- (void)purgeCompiledModel:(_ANEModel *)model
{
    an_device_purge([identifier_of(model, nil) UTF8String]);
}

@end
