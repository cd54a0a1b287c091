/*
 * _ANEInMemoryModel: the path that clients take. It saves files into the
 * folder that the client made, has the client connection compile and load
 * under its identifier, and evaluates in the process.
 *
 * Kept from the framework's listing on purpose: after an unload the object
 * still has its program and state, and a release does not unload.
 */
#import "replica.h"

#include <unistd.h>

enum { STATE_LOADED = 3 };

@implementation _ANEInMemoryModel

- (id)initWithDesctiptor:(_ANEInMemoryModelDescriptor *)descriptor
{
    self = [super init];
    if (!self || !descriptor) {
        [self release];
        return nil;
    }
    _descriptor = [descriptor retain];
    _hexStringIdentifier = [[descriptor hexStringIdentifier] copy];
    _isMILModel = [descriptor isMILModel];
    if ([[descriptor optionsPlist] length])
        _compilerOptionsFileName = @"compiler_options.plist";
    return self;
}

- (id)init
{
    [self release];
    return nil;
}

+ (id)inMemoryModelWithDescriptor:(_ANEInMemoryModelDescriptor *)descriptor
{
    return [[[self alloc] initWithDesctiptor:descriptor] autorelease];
}

- (void)dealloc
{
    [_descriptor release];
    [_hexStringIdentifier release];
    [_compilerOptionsFileName release];
    [_modelURL release];
    [_model release];
    [_program release];
    [_modelAttributes release];
    [_hashes release];
    [super dealloc];
}

/* ---- files ---- */

- (NSString *)localModelPath
{
    return [NSTemporaryDirectory()
        stringByAppendingPathComponent:_hexStringIdentifier];
}

/* Each blob goes to a file named by its inner key, as in the framework. */
static bool save_blobs(NSDictionary *weights, NSString *folder)
{
    NSEnumerator *blobs = [weights objectEnumerator];
    NSDictionary *blob;
    bool well = true;
    while (well && (blob = [blobs nextObject]) != nil) {
        NSEnumerator *keys = [blob keyEnumerator];
        NSString *key;
        while ((key = [keys nextObject]) != nil) {
            NSData *data = [blob objectForKey:key];
            if (![data isKindOfClass:[NSData class]]) continue;
            well = [data writeToFile:[folder stringByAppendingPathComponent:key]
                          atomically:YES];
        }
    }
    return well;
}

- (NSURL *)saveModelFiles
{
    NSString *folder = [self localModelPath];
    NSString *net = [folder stringByAppendingPathComponent:@"net.plist"];
    if (_modelURL) return _modelURL;
    if (!_descriptor ||
        ![[_descriptor networkText] writeToFile:net atomically:YES] ||
        !save_blobs([_descriptor weights], folder))
        return nil;
    if (_compilerOptionsFileName &&
        ![[_descriptor optionsPlist]
            writeToFile:
                [folder stringByAppendingPathComponent:_compilerOptionsFileName]
             atomically:YES])
        return nil;
    _modelURL = [[NSURL fileURLWithPath:folder] retain];
    [self setDescriptor:nil];
    return _modelURL;
}

static NSError *mismatch(NSString *name, NSString *folder)
{
    return an_error_make(
        9, [NSString
               stringWithFormat:@"verifyBundleAtPath: hash mismatch for %@ in "
                                @"bundle %@ (TOCTOU?)",
                                name, folder]);
}

/* The system with verification on: the files that the client staged must be
 * the descriptor's bytes, no link is followed, and blobs that are all written
 * under one name have not the hash of that name. */
- (bool)staged:(NSError **)error
{
    NSString *folder = [self localModelPath];
    NSFileManager *files = [NSFileManager defaultManager];
    NSDictionary *weights = [_descriptor weights];
    NSEnumerator *paths = [weights keyEnumerator];
    NSString *path;
    bool well = true;
    if (an_settings_get()->value[AN_SET_VERIFY] == 0 || !_descriptor)
        return true;
    while (well && (path = [paths nextObject]) != nil) {
        NSString *name = path;
        if ([path hasPrefix:@"@model_path/"])
            name = [path substringFromIndex:12];
        NSString *file = [folder stringByAppendingPathComponent:name];
        NSDictionary *facts = [files fileAttributesAtPath:file traverseLink:NO];
        well = [[facts fileType] isEqualToString:NSFileTypeRegular] &&
               [[[weights objectForKey:path] allValues]
                   containsObject:[NSData dataWithContentsOfFile:file]];
        if (!well && error) *error = mismatch(name, folder);
    }
    if (well && [weights count] > [an_descriptor_hashes(_descriptor) count]) {
        if (error) *error = mismatch(@"data", folder);
        well = false;
    }
    return well;
}

- (bool)folderIsThere:(NSError **)error
{
    BOOL folder = NO;
    [[NSFileManager defaultManager] fileExistsAtPath:[self localModelPath]
                                         isDirectory:&folder];
    if (!folder && error)
        *error = an_error_make(9, @"compileModel:options:qos:error:: file "
                                  @"access failure");
    return folder;
}

/* ---- compile, load, evaluate, unload ---- */

- (NSDictionary *)compilerOptionsWithOptions:(NSDictionary *)options
                       isCompiledModelCached:(bool)cached
{
    NSMutableDictionary *all = [[options mutableCopy] autorelease];
    [all setObject:_isMILModel ? kANEFModelMILValue : kANEFModelANECIRValue
            forKey:kANEFModelTypeKey];
    [all setObject:_hexStringIdentifier forKey:kANEFInMemoryModelIdentifierKey];
    [all setObject:[NSNumber numberWithBool:cached]
            forKey:kANEFInMemoryModelIsCachedKey];
    if (_compilerOptionsFileName)
        [all setObject:_compilerOptionsFileName
                forKey:kANEFCompilerOptionsFilenameKey];
    return all;
}

- (bool)compileWithQoS:(unsigned)qos
               options:(NSDictionary *)options
                 error:(NSError **)error
{
    if (![self folderIsThere:error] || ![self staged:error]) return false;
    NSURL *url = [self saveModelFiles];
    if (!url) return false; /* no error, as the framework */
    [self setModel:[_ANEModel modelAtURL:url key:@""]];
    return [[self sharedConnection]
        compileModel:_model
             options:[self compilerOptionsWithOptions:options
                                isCompiledModelCached:false]
                 qos:qos
               error:error];
}

- (void)takeLoaded
{
    [self setProgram:[_model program]];
    [self setModelAttributes:[_model modelAttributes]];
    _programHandle = [_model programHandle];
    _intermediateBufferHandle = [_model intermediateBufferHandle];
    _queueDepth = [_model queueDepth];
    _perfStatsMask = 0;
    _state = STATE_LOADED;
}

- (bool)loadWithQoS:(unsigned)qos
            options:(NSDictionary *)options
              error:(NSError **)error
{
    bool cached = [self compiledModelExists];
    NSURL *url = nil;
    if (cached)
        url = [NSURL fileURLWithPath:_hexStringIdentifier];
    else if ([self folderIsThere:error] && [self staged:error])
        url = [self saveModelFiles];
    if (!url) return false;
    [self setModel:[_ANEModel modelAtURL:url key:@""]];
    bool well = [[self sharedConnection]
        loadModel:_model
          options:[self compilerOptionsWithOptions:options
                             isCompiledModelCached:cached]
              qos:qos
            error:error];
    if (well) [self takeLoaded];
    return well;
}

- (bool)evaluateWithQoS:(unsigned)qos
                options:(NSDictionary *)options
                request:(_ANERequest *)request
                  error:(NSError **)error
{
    if (!_program || ![request validate]) return false;
    return [_program processRequest:request
                              model:_model
                                qos:qos
                             qIndex:[_ANEQoSMapper queueIndexForQoS:qos]
                      modelStringID:_string_id
                            options:options
                        returnValue:NULL
                              error:error];
}

- (bool)unloadWithQoS:(unsigned)qos error:(NSError **)error
{
    bool well = [_model programHandle] &&
                [[self sharedConnection] unloadModel:_model
                                             options:[NSDictionary dictionary]
                                                 qos:qos
                                               error:error];
    [[NSFileManager defaultManager] removeFileAtPath:[self localModelPath]
                                             handler:nil];
    return well;
}

- (bool)mapIOSurfacesWithRequest:(_ANERequest *)request
                  cacheInference:(bool)cache
                           error:(NSError **)error
{
    return [[self sharedConnection] mapIOSurfacesWithModel:_model
                                                   request:request
                                            cacheInference:cache
                                                     error:error];
}

- (void)unmapIOSurfacesWithRequest:(_ANERequest *)request
{
    [[self sharedConnection] unmapIOSurfacesWithModel:_model request:request];
}

- (bool)compiledModelExists
{
    return [[self sharedConnection]
        compiledModelExistsMatchingHash:_hexStringIdentifier];
}

- (void)purgeCompiledModel
{
    [[self sharedConnection]
        purgeCompiledModelMatchingHash:_hexStringIdentifier];
}

/* ---- properties ---- */

- (_ANEClient *)sharedConnection
{
    return [_ANEClient sharedConnection];
}

- (_ANEInMemoryModelDescriptor *)descriptor
{
    return _descriptor;
}

- (void)setDescriptor:(_ANEInMemoryModelDescriptor *)descriptor
{
    [descriptor retain];
    [_descriptor release];
    _descriptor = descriptor;
}

- (NSString *)hexStringIdentifier
{
    return _hexStringIdentifier;
}

- (bool)isMILModel
{
    return _isMILModel;
}

- (NSURL *)modelURL
{
    return _modelURL;
}

- (void)setModelURL:(NSURL *)url
{
    [url retain];
    [_modelURL release];
    _modelURL = url;
}

- (_ANEModel *)model
{
    return _model;
}

- (void)setModel:(_ANEModel *)model
{
    [model retain];
    [_model release];
    _model = model;
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

- (NSString *)compilerOptionsFileName
{
    return _compilerOptionsFileName;
}

- (void)setCompilerOptionsFileName:(NSString *)name
{
    NSString *copy = [name copy];
    [_compilerOptionsFileName release];
    _compilerOptionsFileName = copy;
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

@end
