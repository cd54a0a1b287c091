/*
 * What an evaluation is asked with: surface objects, requests and performance
 * statistics. Limits of -validate are those of the framework's listing
 * (EthanArbuckle's restore images, iOS 18).
 */
#import "replica.h"

#import <objc/runtime.h>

#include <dlfcn.h>
#include <string.h>

enum {
    MAX_BUFFERS = 255,
    MAX_SYMBOL = 254,
    MAX_PROCEDURE = 128,
    N_STAT_TYPES = 3,
};

@implementation _ANEIOSurfaceObject

- (id)initWithIOSurface:(IOSurfaceRef)surface
            startOffset:(NSNumber *)offset
           shouldRetain:(bool)retains
{
    self = [super init];
    if (!self || !surface) {
        [self release];
        return nil;
    }
    _ioSurface = surface;
    if (retains) [(id)(void *)surface retain];
    _startOffset = [offset retain];
    return self;
}

- (id)init
{
    [self release];
    return nil;
}

+ (id)objectWithIOSurface:(IOSurfaceRef)surface
{
    return [self objectWithIOSurface:surface
                         startOffset:[NSNumber numberWithInt:0]];
}

+ (id)objectWithIOSurface:(IOSurfaceRef)surface startOffset:(NSNumber *)offset
{
    return [[[self alloc] initWithIOSurface:surface
                                startOffset:offset
                               shouldRetain:true] autorelease];
}

+ (id)objectWithIOSurfaceNoRetain:(IOSurfaceRef)surface
                      startOffset:(NSNumber *)offset
{
    return [[[self alloc] initWithIOSurface:surface
                                startOffset:offset
                               shouldRetain:false] autorelease];
}

/* A surface of one element per pixel; the caller releases it. */
static IOSurfaceRef create(int width, int pixel, int height, int element)
{
    NSNumber *values[] = {
        [NSNumber numberWithInt:width], [NSNumber numberWithInt:height],
        [NSNumber numberWithLongLong:(long long)pixel * width],
        [NSNumber numberWithInt:element]};
    NSString *keys[] = {@"IOSurfaceWidth", @"IOSurfaceHeight",
                        @"IOSurfaceBytesPerRow", @"IOSurfaceBytesPerElement"};
    if (width < 1 || pixel < 1 || height < 1 || element < 1) return NULL;
    return IOSurfaceCreate([NSDictionary dictionaryWithObjects:values
                                                       forKeys:keys
                                                         count:4]);
}

+ (IOSurfaceRef)createIOSurfaceWithWidth:(int)width
                              pixel_size:(int)pixel
                                  height:(int)height
{
    return create(width, pixel, height, 1);
}

+ (IOSurfaceRef)createIOSurfaceWithWidth:(int)width
                              pixel_size:(int)pixel
                                  height:(int)height
                         bytesPerElement:(int)element
{
    return create(width, pixel, height, element);
}

- (void)dealloc
{
    [(id)(void *)_ioSurface release];
    [_startOffset release];
    [super dealloc];
}

- (IOSurfaceRef)ioSurface
{
    return _ioSurface;
}

- (NSNumber *)startOffset
{
    return _startOffset;
}

@end

@implementation _ANERequest

/* gcc has no blocks: these two are added under the encoding of a block. A
 * client that has them has their runtime, which copies and releases; a block
 * without it is a global one and stays. */
static void *copy_block(void *block)
{
    void *(*copy)(const void *) = NULL;
    void *at = dlsym(RTLD_DEFAULT, "_Block_copy");
    memcpy(&copy, &at, sizeof at);
    return block && copy ? copy(block) : block;
}

static void release_block(void *block)
{
    void (*release)(const void *) = NULL;
    void *at = dlsym(RTLD_DEFAULT, "_Block_release");
    memcpy(&release, &at, sizeof at);
    if (block && release) release(block);
}

static void set_handler(_ANERequest *self, SEL selector, void *block)
{
    (void)selector;
    void *before = self->_completionHandler;
    self->_completionHandler = copy_block(block);
    release_block(before);
}

static void *get_handler(_ANERequest *self, SEL selector)
{
    (void)selector;
    return self->_completionHandler;
}

+ (void)load
{
    class_addMethod(self, @selector(setCompletionHandler:), (IMP)set_handler,
                    "v24@0:8@?16");
    class_addMethod(self, @selector(completionHandler), (IMP)get_handler,
                    "@?16@0:8");
}

- (id)initWithInputs:(NSArray *)inputs
         inputIndices:(NSArray *)inputIndices
              outputs:(NSArray *)outputs
        outputIndices:(NSArray *)outputIndices
        weightsBuffer:(id)weights
            perfStats:(NSArray *)stats
       procedureIndex:(NSNumber *)procedure
         sharedEvents:(id)events
    transactionHandle:(NSNumber *)transaction
{
    self = [super init];
    if (!self || an_fault_next(AN_CALL_REQUEST).kind != AN_FAULT_NONE) {
        [self release];
        return nil;
    }
    _inputArray = [inputs retain];
    _inputIndexArray = [inputIndices retain];
    _outputArray = [outputs retain];
    _outputIndexArray = [outputIndices retain];
    _weightsBuffer = [weights retain];
    _perfStatsArray = [stats retain];
    _procedureIndex = [procedure copy];
    _sharedEvents = [events retain];
    _transactionHandle = [transaction copy];
    return self;
}

- (id)init
{
    [self release];
    return nil;
}

+ (id)requestWithInputs:(NSArray *)inputs
           inputIndices:(NSArray *)inputIndices
                outputs:(NSArray *)outputs
          outputIndices:(NSArray *)outputIndices
          weightsBuffer:(id)weights
              perfStats:(NSArray *)stats
         procedureIndex:(NSNumber *)procedure
           sharedEvents:(id)events
      transactionHandle:(NSNumber *)transaction
{
    return [[[self alloc] initWithInputs:inputs
                            inputIndices:inputIndices
                                 outputs:outputs
                           outputIndices:outputIndices
                           weightsBuffer:weights
                               perfStats:stats
                          procedureIndex:procedure
                            sharedEvents:events
                       transactionHandle:transaction] autorelease];
}

+ (id)requestWithInputs:(NSArray *)inputs
           inputIndices:(NSArray *)inputIndices
                outputs:(NSArray *)outputs
          outputIndices:(NSArray *)outputIndices
          weightsBuffer:(id)weights
              perfStats:(NSArray *)stats
         procedureIndex:(NSNumber *)procedure
           sharedEvents:(id)events
{
    return [self requestWithInputs:inputs
                      inputIndices:inputIndices
                           outputs:outputs
                     outputIndices:outputIndices
                     weightsBuffer:weights
                         perfStats:stats
                    procedureIndex:procedure
                      sharedEvents:events
                 transactionHandle:nil];
}

+ (id)requestWithInputs:(NSArray *)inputs
           inputIndices:(NSArray *)inputIndices
                outputs:(NSArray *)outputs
          outputIndices:(NSArray *)outputIndices
          weightsBuffer:(id)weights
              perfStats:(NSArray *)stats
         procedureIndex:(NSNumber *)procedure
{
    return [self requestWithInputs:inputs
                      inputIndices:inputIndices
                           outputs:outputs
                     outputIndices:outputIndices
                     weightsBuffer:weights
                         perfStats:stats
                    procedureIndex:procedure
                      sharedEvents:nil
                 transactionHandle:nil];
}

+ (id)requestWithInputs:(NSArray *)inputs
           inputIndices:(NSArray *)inputIndices
                outputs:(NSArray *)outputs
          outputIndices:(NSArray *)outputIndices
              perfStats:(NSArray *)stats
         procedureIndex:(NSNumber *)procedure
{
    return [self requestWithInputs:inputs
                      inputIndices:inputIndices
                           outputs:outputs
                     outputIndices:outputIndices
                     weightsBuffer:nil
                         perfStats:stats
                    procedureIndex:procedure];
}

+ (id)requestWithInputs:(NSArray *)inputs
           inputIndices:(NSArray *)inputIndices
                outputs:(NSArray *)outputs
          outputIndices:(NSArray *)outputIndices
          weightsBuffer:(id)weights
         procedureIndex:(NSNumber *)procedure
{
    return [self requestWithInputs:inputs
                      inputIndices:inputIndices
                           outputs:outputs
                     outputIndices:outputIndices
                     weightsBuffer:weights
                         perfStats:nil
                    procedureIndex:procedure];
}

+ (id)requestWithInputs:(NSArray *)inputs
           inputIndices:(NSArray *)inputIndices
                outputs:(NSArray *)outputs
          outputIndices:(NSArray *)outputIndices
         procedureIndex:(NSNumber *)procedure
{
    return [self requestWithInputs:inputs
                      inputIndices:inputIndices
                           outputs:outputs
                     outputIndices:outputIndices
                     weightsBuffer:nil
                         perfStats:nil
                    procedureIndex:procedure];
}

- (void)dealloc
{
    [_inputArray release];
    [_inputIndexArray release];
    [_outputArray release];
    [_outputIndexArray release];
    [_weightsBuffer release];
    [_sharedEvents release];
    [_transactionHandle release];
    [_procedureIndex release];
    [_perfStats release];
    [_perfStatsArray release];
    release_block(_completionHandler);
    [super dealloc];
}

- (NSArray *)inputArray
{
    return _inputArray;
}

- (NSArray *)inputIndexArray
{
    return _inputIndexArray;
}

- (NSArray *)outputArray
{
    return _outputArray;
}

- (NSArray *)outputIndexArray
{
    return _outputIndexArray;
}

- (id)weightsBuffer
{
    return _weightsBuffer;
}

- (NSNumber *)procedureIndex
{
    return _procedureIndex;
}

- (NSArray *)perfStatsArray
{
    return _perfStatsArray;
}

- (_ANEPerformanceStats *)perfStats
{
    return _perfStats;
}

- (void)setPerfStats:(_ANEPerformanceStats *)stats
{
    [stats retain];
    [_perfStats release];
    _perfStats = stats;
}

- (id)sharedEvents
{
    return _sharedEvents;
}

- (void)setSharedEvents:(id)events
{
    [events retain];
    [_sharedEvents release];
    _sharedEvents = events;
}

- (NSNumber *)transactionHandle
{
    return _transactionHandle;
}

- (void)setTransactionHandle:(NSNumber *)transaction
{
    NSNumber *copy = [transaction copy];
    [_transactionHandle release];
    _transactionHandle = copy;
}

- (void)completeWell:(bool)well error:(NSError *)error
{
    struct block {
        void *isa;
        int flags, reserved;
        void (*invoke)(void *block, bool well, NSError *error);
    } *block = _completionHandler;
    if (block) block->invoke(block, well, error);
}

- (unsigned long long)ioSurfacesCount
{
    return
        [_inputArray count] + [_outputArray count] + (_weightsBuffer ? 1 : 0);
}

static bool side_fits(NSArray *surfaces, NSArray *symbols)
{
    NSUInteger n = [surfaces count];
    if (n == 0 || n > MAX_BUFFERS || n != [symbols count]) return false;
    for (NSUInteger i = 0; i < n; i++)
        if ([[symbols objectAtIndex:i] unsignedLongLongValue] > MAX_SYMBOL)
            return false;
    return true;
}

- (bool)validate
{
    bool seen[N_STAT_TYPES] = {false};
    for (NSUInteger i = 0; i < [_perfStatsArray count]; i++) {
        long long type = [[_perfStatsArray objectAtIndex:i] statType];
        if (type < 0 || type >= N_STAT_TYPES || seen[type]) return false;
        seen[type] = true;
    }
    return side_fits(_inputArray, _inputIndexArray) &&
           side_fits(_outputArray, _outputIndexArray) &&
           [_procedureIndex unsignedLongLongValue] <= MAX_PROCEDURE;
}

@end

@implementation _ANEPerformanceStats

- (id)init
{
    [self release];
    return nil;
}

- (id)initWithHardwareExecution:(unsigned long long)nanoseconds
                perfCounterData:(NSData *)counters
                ANEStatsRawData:(NSData *)raw
{
    self = [super init];
    if (!self) return nil;
    _hwExecutionTime = nanoseconds;
    _perfCounterData = [counters retain];
    _pStatsRawData = [raw retain];
    return self;
}

- (id)initWithHardwareExecution:(unsigned long long)nanoseconds
                perfCounterData:(NSData *)counters
{
    return [self initWithHardwareExecution:nanoseconds
                           perfCounterData:counters
                           ANEStatsRawData:nil];
}

- (id)initWithReconstructedData:(NSData *)counters
            hardwareExecutionNS:(unsigned long long)nanoseconds
{
    return [self initWithHardwareExecution:nanoseconds
                           perfCounterData:counters
                           ANEStatsRawData:nil];
}

+ (id)statsWithHardwareExecutionNS:(unsigned long long)nanoseconds
{
    return [self statsWithReconstructed:nil hardwareExecutionNS:nanoseconds];
}

+ (id)statsWithReconstructed:(NSData *)counters
         hardwareExecutionNS:(unsigned long long)nanoseconds
{
    return [self statsWithReconstructed:counters
                    hardwareExecutionNS:nanoseconds
                        aneStatsRawData:nil];
}

+ (id)statsWithReconstructed:(NSData *)counters
         hardwareExecutionNS:(unsigned long long)nanoseconds
             aneStatsRawData:(NSData *)raw
{
    return [[[self alloc] initWithHardwareExecution:nanoseconds
                                    perfCounterData:counters
                                    ANEStatsRawData:raw] autorelease];
}

/* Bit 0 -> 0, 3 -> 1, 1 -> 2, 2 -> 3; a mask above 15 becomes 0. */
+ (unsigned)driverMaskForANEFMask:(unsigned)mask
{
    if (mask > 15) return 0;
    return (mask & 1) | (mask >> 2 & 2) | (mask << 1 & 12);
}

- (void)dealloc
{
    [_perfCounterData release];
    [_pStatsRawData release];
    [super dealloc];
}

- (unsigned long long)hwExecutionTime
{
    return _hwExecutionTime;
}

- (NSData *)perfCounterData
{
    return _perfCounterData;
}

- (NSData *)pStatsRawData
{
    return _pStatsRawData;
}

@end

@implementation _ANEPerformanceStatsIOSurface

- (id)init
{
    [self release];
    return nil;
}

- (id)initWithIOSurface:(_ANEIOSurfaceObject *)surface statType:(long long)type
{
    self = [super init];
    if (!self) return nil;
    _stats = [surface retain];
    _statType = type;
    return self;
}

+ (id)objectWithIOSurface:(_ANEIOSurfaceObject *)surface
                 statType:(long long)type
{
    return [[[self alloc] initWithIOSurface:surface statType:type] autorelease];
}

- (void)dealloc
{
    [_stats release];
    [super dealloc];
}

- (id)stats
{
    return _stats;
}

- (long long)statType
{
    return _statType;
}

@end
