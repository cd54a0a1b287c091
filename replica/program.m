/*
 * _ANEProgramForEvaluation: a loaded program as the process holds it, and the
 * way of a request to the device. Its life is what keeps a slot of the driver
 * when `slot=release` is set.
 */
#import "replica.h"

#include "base/alloc.h"

@implementation _ANEProgramForEvaluation

+ (id)programWithHandle:(unsigned long long)handle
    intermediateBufferHandle:(unsigned long long)buffer
                  queueDepth:(char)depth
{
    _ANEProgramForEvaluation *p = [self alloc];
    p->_programHandle = handle;
    p->_intermediateBufferHandle = buffer;
    p->_queueDepth = depth;
    return [p autorelease];
}

- (id)init
{
    [self release];
    return nil;
}

- (void)dealloc
{
    an_device_release(_programHandle);
    [super dealloc];
}

- (unsigned long long)programHandle
{
    return _programHandle;
}

- (void)setProgramHandle:(unsigned long long)handle
{
    _programHandle = handle;
}

- (unsigned long long)intermediateBufferHandle
{
    return _intermediateBufferHandle;
}

- (void)setIntermediateBufferHandle:(unsigned long long)handle
{
    _intermediateBufferHandle = handle;
}

- (char)queueDepth
{
    return _queueDepth;
}

- (long long)currentAsyncRequestsInFlight
{
    return _currentAsyncRequestsInFlight;
}

- (void)setCurrentAsyncRequestsInFlight:(long long)n
{
    _currentAsyncRequestsInFlight = n;
}

/* The bytes of one surface object, from its start offset on. */
static an_bind bind_of(_ANEIOSurfaceObject *object, NSNumber *symbol,
                       an_port_side side)
{
    IOSurfaceRef surface = [object ioSurface];
    size_t offset = (size_t)[[object startOffset] unsignedLongLongValue];
    size_t size = IOSurfaceGetAllocSize(surface);
    char *base = IOSurfaceGetBaseAddress(surface);
    if (offset > size) offset = size;
    return (an_bind){side, [symbol intValue], base + offset, size - offset};
}

/* One entry per surface; NULL without memory. The caller frees. */
static an_bind *binds_of(_ANERequest *request, int *n)
{
    NSUInteger n_in = [[request inputArray] count];
    NSUInteger n_out = [[request outputArray] count];
    an_bind *binds = an_alloc_array(n_in + n_out + 1, sizeof *binds);
    if (!binds) return NULL;
    for (NSUInteger i = 0; i < n_in; i++)
        binds[i] =
            bind_of([[request inputArray] objectAtIndex:i],
                    [[request inputIndexArray] objectAtIndex:i], AN_INPUT);
    for (NSUInteger i = 0; i < n_out; i++)
        binds[n_in + i] =
            bind_of([[request outputArray] objectAtIndex:i],
                    [[request outputIndexArray] objectAtIndex:i], AN_OUTPUT);
    *n = (int)(n_in + n_out);
    return binds;
}

/* Nanoseconds of the evaluation, when the options ask for statistics. */
static void report(_ANERequest *request, NSDictionary *options, double seconds)
{
    unsigned mask =
        [[options objectForKey:kANEFPerformanceStatsMaskKey] unsignedIntValue];
    bool wanted = mask > 0 && mask <= 15;
    if (!wanted || an_settings_get()->value[AN_SET_PERF] != 0) return;
    [request setPerfStats:[_ANEPerformanceStats
                              statsWithHardwareExecutionNS:
                                  (unsigned long long)(seconds * 1e9)]];
}

- (bool)processRequest:(_ANERequest *)request
                 model:(id)model
                   qos:(unsigned)qos
                qIndex:(unsigned long long)index
         modelStringID:(unsigned long long)string
               options:(NSDictionary *)options
           returnValue:(unsigned *)value
                 error:(NSError **)error
{
    int n = 0;
    double seconds = 0;
    an_failure failure = {0};
    NSError *came = nil;
    (void)model, (void)qos, (void)index, (void)string;
    bool well = !an_fault_strikes(AN_CALL_EVAL, nil, &came);
    if (well) {
        an_bind *binds = binds_of(request, &n);
        well = binds &&
               an_device_evaluate(_programHandle, binds, n, &seconds, &failure);
        an_free(binds);
        if (!well) an_error_set(&came, &failure);
    }
    if (well) report(request, options, seconds);
    if (value) *value = well ? 0 : 1;
    if (error && came) *error = came;
    [request completeWell:well error:came];
    return well;
}

- (bool)processRequest:(_ANERequest *)request
                 model:(id)model
                   qos:(unsigned)qos
                qIndex:(unsigned long long)index
         modelStringID:(unsigned long long)string
               options:(NSDictionary *)options
                 error:(NSError **)error
{
    return [self processRequest:request
                          model:model
                            qos:qos
                         qIndex:index
                  modelStringID:string
                        options:options
                    returnValue:NULL
                          error:error];
}

@end
