/*
 * _ANEModel: a program as the client connection knows it. A shell until a load
 * fills it; -getUUID is what the connection asks it for.
 */
#import "replica.h"

enum { STATE_MADE = 1 };

@implementation _ANEModel

- (id)initWithURL:(NSURL *)url source:(NSURL *)source key:(NSString *)key
{
    static unsigned long long last;
    self = [super init];
    if (!self) return nil;
    _modelURL = [url retain];
    _sourceURL = [source retain];
    _key = [key copy];
    _uuid = [[NSUUID UUID] retain];
    _state = STATE_MADE;
    _string_id = __sync_add_and_fetch(&last, 1);
    return self;
}

- (id)init
{
    [self release];
    return nil;
}

/* Without a place or a key there is no model. */
+ (id)modelAtURL:(NSURL *)url key:(NSString *)key
{
    if (!url || !key) return nil;
    return [[[self alloc] initWithURL:url source:nil key:key] autorelease];
}

+ (id)modelAtURL:(NSURL *)url
                key:(NSString *)key
    modelAttributes:(NSDictionary *)attributes
{
    _ANEModel *model = [self modelAtURL:url key:key];
    [model setModelAttributes:attributes];
    return model;
}

+ (id)modelAtURL:(NSURL *)url key:(NSString *)key mpsConstants:(id)constants
{
    _ANEModel *model = [self modelAtURL:url key:key];
    if (model) model->_mpsConstants = [constants retain];
    return model;
}

+ (id)modelAtURLWithSourceURL:(NSURL *)url
                    sourceURL:(NSURL *)source
                          key:(NSString *)key
           cacheURLIdentifier:(NSString *)identifier
{
    if (!url || !key) return nil;
    _ANEModel *model = [[[self alloc] initWithURL:url source:source
                                              key:key] autorelease];
    [model setCacheURLIdentifier:identifier];
    return model;
}

- (void)dealloc
{
    [_modelURL release];
    [_sourceURL release];
    [_key release];
    [_cacheURLIdentifier release];
    [_uuid release];
    [_modelAttributes release];
    [_program release];
    [_mapper release];
    [_mpsConstants release];
    [super dealloc];
}

- (NSURL *)modelURL
{
    return _modelURL;
}

- (NSURL *)sourceURL
{
    return _sourceURL;
}

- (NSString *)key
{
    return _key;
}

- (NSString *)cacheURLIdentifier
{
    return _cacheURLIdentifier;
}

- (void)setCacheURLIdentifier:(NSString *)identifier
{
    NSString *copy = [identifier copy];
    [_cacheURLIdentifier release];
    _cacheURLIdentifier = copy;
}

- (NSUUID *)UUID
{
    return _uuid;
}

- (NSUUID *)getUUID
{
    return _uuid;
}

- (NSDictionary *)modelAttributes
{
    return _modelAttributes ? _modelAttributes : [NSDictionary dictionary];
}

- (void)setModelAttributes:(NSDictionary *)attributes
{
    [attributes retain];
    [_modelAttributes release];
    _modelAttributes = attributes;
}

- (_ANEProgramForEvaluation *)program
{
    return _program;
}

- (void)setProgram:(_ANEProgramForEvaluation *)program
{
    [program retain];
    [_program release];
    _program = program;
}

- (id)mapper
{
    return _mapper;
}

- (void)setMapper:(id)mapper
{
    [mapper retain];
    [_mapper release];
    _mapper = mapper;
}

- (id)mpsConstants
{
    return _mpsConstants;
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

- (unsigned long long)state
{
    return _state;
}

- (void)setState:(unsigned long long)state
{
    _state = state;
}

- (unsigned long long)string_id
{
    return _string_id;
}

- (void)setString_id:(unsigned long long)number
{
    _string_id = number;
}

- (char)queueDepth
{
    return _queueDepth;
}

- (void)setQueueDepth:(char)depth
{
    _queueDepth = depth;
}

- (unsigned)perfStatsMask
{
    return _perfStatsMask;
}

- (void)setPerfStatsMask:(unsigned)mask
{
    _perfStatsMask = mask;
}

- (void)updateModelAttributes:(NSDictionary *)attributes
                        state:(unsigned long long)state
{
    [self setModelAttributes:attributes];
    _state = state;
}

- (void)updateModelAttributes:(NSDictionary *)attributes
                        state:(unsigned long long)state
                programHandle:(unsigned long long)handle
     intermediateBufferHandle:(unsigned long long)buffer
                   queueDepth:(char)depth
{
    [self updateModelAttributes:attributes state:state];
    [self setProgram:[_ANEProgramForEvaluation programWithHandle:handle
                                        intermediateBufferHandle:buffer
                                                      queueDepth:depth]];
    _programHandle = handle;
    _intermediateBufferHandle = buffer;
    _queueDepth = depth;
}

- (void)resetOnUnload
{
    [self setProgram:nil];
    [self setMapper:nil];
    [self setModelAttributes:nil];
    _programHandle = 0;
    _intermediateBufferHandle = 0;
    _state = STATE_MADE;
}

/* ---- procedures: a program has one ---- */

- (NSDictionary *)procedureInfoForProcedureIndex:(unsigned)index
{
    NSArray *all = [[_modelAttributes objectForKey:@"ANEFModelDescription"]
        objectForKey:@"ANEFModelProcedures"];
    return index < [all count] ? [all objectAtIndex:index] : nil;
}

- (NSIndexSet *)symbolIndicesForProcedureIndex:(unsigned)index
                                 indexArrayKey:(NSString *)key
{
    NSMutableIndexSet *set = [NSMutableIndexSet indexSet];
    NSArray *symbols =
        [[self procedureInfoForProcedureIndex:index] objectForKey:key];
    for (NSUInteger i = 0; i < [symbols count]; i++)
        [set addIndex:[[symbols objectAtIndex:i] unsignedIntegerValue]];
    return set;
}

- (NSIndexSet *)inputSymbolIndicesForProcedureIndex:(unsigned)index
{
    return
        [self symbolIndicesForProcedureIndex:index
                               indexArrayKey:@"ANEFModelInputSymbolIndexArray"];
}

- (NSIndexSet *)outputSymbolIndicesForProcedureIndex:(unsigned)index
{
    return [self
        symbolIndicesForProcedureIndex:index
                         indexArrayKey:@"ANEFModelOutputSymbolIndexArray"];
}

@end
