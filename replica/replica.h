/*
 * The classes that the replica implements, as its own sources need them. A
 * client never sees this file: it finds classes and selectors by name.
 *
 * BOOL is C's bool here, so that encodings read `B` as Apple's do; GNUstep's
 * own BOOL is an unsigned char. Memory is managed by hand. Factories answer
 * autoreleased objects, and -init answers nil where the real one does.
 */
#ifndef AN_REPLICA_H
#define AN_REPLICA_H

#import <Foundation/Foundation.h>

#include "device.h"
#include "settings.h"

#include <stdbool.h>

/* The struct has no members and is never looked into: a surface is an object
 * (class IOSurface), and so CFRetain and an array both take it. */
struct __IOSurface {
};
typedef struct __IOSurface *IOSurfaceRef;

/* What a client of the C interface calls. */
#define AN_EXPORT __attribute__((visibility("default")))

AN_EXPORT size_t IOSurfaceGetAllocSize(IOSurfaceRef surface);
AN_EXPORT void *IOSurfaceGetBaseAddress(IOSurfaceRef surface);
AN_EXPORT IOSurfaceRef IOSurfaceCreate(NSDictionary *properties);

/* Keys of options and attributes; keys.m has their values. */
extern AN_EXPORT NSString *const kANEFModelTypeKey;
extern AN_EXPORT NSString *const kANEFModelMILValue;
extern AN_EXPORT NSString *const kANEFModelANECIRValue;
extern AN_EXPORT NSString *const kANEFInMemoryModelIdentifierKey;
extern AN_EXPORT NSString *const kANEFInMemoryModelIsCachedKey;
extern AN_EXPORT NSString *const kANEFCompilerOptionsFilenameKey;
extern AN_EXPORT NSString *const kANEFPerformanceStatsMaskKey;

/* Sets *error (which may be NULL) to what the device reports. */
void an_error_set(NSError **error, const an_failure *failure);
/* code and text of `[_ANEErrors createErrorWithCode:description:]`. */
NSError *an_error_make(long code, NSString *text);
/*
 * The fault planned for this call, carried out: hangs, raises, or waits here.
 * True: the call answers NO, and *error is set unless it fails silently.
 */
bool an_fault_strikes(an_call call, NSString *path, NSError **error);

/* NetworkStatusList and ANEFModelDescription of a loaded program. */
NSDictionary *an_attributes_make(uint64_t handle);

/*
 * How many Objective-C objects are alive of those made since the library was
 * loaded, with `report=exit`; else 0. `list`: "CLASS N, CLASS N", cut to size.
 */
AN_EXPORT long an_replica_objects(char *list, size_t size);
/* Begins to count, where the settings say so. */
void an_objects_count(void);

/* SHA-256 of each file that the framework writes for a descriptor's weights, by
 * name; of several of one name the last. */
NSDictionary *an_descriptor_hashes(id descriptor);

/* Adds what published.def lists and no source implements. */
void an_rest_register(void);

@class _ANEClient, _ANEModel, _ANEProgramForEvaluation, _ANEPerformanceStats;

@interface _ANEErrors : NSObject
+ (NSError *)createErrorWithCode:(NSInteger)code description:(NSString *)text;
@end

@interface _ANEQoSMapper : NSObject
+ (int)programPriorityForQoS:(unsigned)qos;
+ (unsigned long long)queueIndexForQoS:(unsigned)qos;
@end

@interface _ANEIOSurfaceObject : NSObject {
    IOSurfaceRef _ioSurface;
    NSNumber *_startOffset;
}
+ (id)objectWithIOSurface:(IOSurfaceRef)surface;
+ (id)objectWithIOSurface:(IOSurfaceRef)surface startOffset:(NSNumber *)offset;
- (IOSurfaceRef)ioSurface;
- (NSNumber *)startOffset;
@end

@interface _ANERequest : NSObject {
    NSArray *_inputArray, *_inputIndexArray, *_outputArray, *_outputIndexArray;
    id _weightsBuffer;
    id _sharedEvents;
    NSNumber *_transactionHandle, *_procedureIndex;
    _ANEPerformanceStats *_perfStats;
    NSArray *_perfStatsArray;
    void *_completionHandler;
}
- (NSArray *)inputArray;
- (NSArray *)inputIndexArray;
- (NSArray *)outputArray;
- (NSArray *)outputIndexArray;
- (NSNumber *)procedureIndex;
- (bool)validate;
- (unsigned long long)ioSurfacesCount;
- (void)setPerfStats:(_ANEPerformanceStats *)stats;
/* Calls the completion handler, if there is one. */
- (void)completeWell:(bool)well error:(NSError *)error;
@end

@interface _ANEPerformanceStats : NSObject {
    unsigned long long _hwExecutionTime;
    NSData *_perfCounterData, *_pStatsRawData;
}
+ (id)statsWithHardwareExecutionNS:(unsigned long long)nanoseconds;
+ (id)statsWithReconstructed:(NSData *)counters
         hardwareExecutionNS:(unsigned long long)nanoseconds;
+ (id)statsWithReconstructed:(NSData *)counters
         hardwareExecutionNS:(unsigned long long)nanoseconds
             aneStatsRawData:(NSData *)raw;
- (unsigned long long)hwExecutionTime;
@end

@interface _ANEPerformanceStatsIOSurface : NSObject {
    id _stats;
    long long _statType;
}
- (long long)statType;
@end

@interface _ANEProgramForEvaluation : NSObject {
    unsigned long long _programHandle, _intermediateBufferHandle;
    char _queueDepth;
    long long _currentAsyncRequestsInFlight;
}
+ (id)programWithHandle:(unsigned long long)handle
    intermediateBufferHandle:(unsigned long long)buffer
                  queueDepth:(char)depth;
- (bool)processRequest:(_ANERequest *)request
                 model:(id)model
                   qos:(unsigned)qos
                qIndex:(unsigned long long)index
         modelStringID:(unsigned long long)string
               options:(NSDictionary *)options
           returnValue:(unsigned *)value
                 error:(NSError **)error;
@end

@interface _ANEModel : NSObject {
    NSURL *_modelURL, *_sourceURL;
    NSString *_key, *_cacheURLIdentifier;
    NSUUID *_uuid;
    NSDictionary *_modelAttributes;
    _ANEProgramForEvaluation *_program;
    id _mapper, _mpsConstants;
    unsigned long long _state, _programHandle, _intermediateBufferHandle;
    unsigned long long _string_id;
    unsigned _perfStatsMask;
    char _queueDepth;
}
+ (id)modelAtURL:(NSURL *)url key:(NSString *)key;
- (NSURL *)modelURL;
- (NSString *)key;
- (NSUUID *)getUUID;
- (void)setCacheURLIdentifier:(NSString *)identifier;
- (NSDictionary *)modelAttributes;
- (void)setModelAttributes:(NSDictionary *)attributes;
- (_ANEProgramForEvaluation *)program;
- (void)setProgram:(_ANEProgramForEvaluation *)program;
- (unsigned long long)programHandle;
- (unsigned long long)intermediateBufferHandle;
- (unsigned long long)state;
- (void)setState:(unsigned long long)state;
- (unsigned long long)string_id;
- (char)queueDepth;
- (void)setPerfStatsMask:(unsigned)mask;
- (void)updateModelAttributes:(NSDictionary *)attributes
                        state:(unsigned long long)state
                programHandle:(unsigned long long)handle
     intermediateBufferHandle:(unsigned long long)buffer
                   queueDepth:(char)depth;
- (void)updateModelAttributes:(NSDictionary *)attributes
                        state:(unsigned long long)state;
- (void)resetOnUnload;
@end

@interface _ANEClient : NSObject {
    bool _allowRestrictedAccess;
}
+ (id)sharedConnection;
- (id)initWithRestrictedAccessAllowed:(bool)allowed;
- (bool)compileModel:(_ANEModel *)model
             options:(NSDictionary *)options
                 qos:(unsigned)qos
               error:(NSError **)error;
- (bool)loadModel:(_ANEModel *)model
          options:(NSDictionary *)options
              qos:(unsigned)qos
            error:(NSError **)error;
- (bool)unloadModel:(_ANEModel *)model
            options:(NSDictionary *)options
                qos:(unsigned)qos
              error:(NSError **)error;
- (bool)mapIOSurfacesWithModel:(_ANEModel *)model
                       request:(_ANERequest *)request
                cacheInference:(bool)cache
                         error:(NSError **)error;
- (void)unmapIOSurfacesWithModel:(_ANEModel *)model
                         request:(_ANERequest *)request;
- (bool)compiledModelExistsMatchingHash:(NSString *)hash;
- (void)purgeCompiledModelMatchingHash:(NSString *)hash;
@end

@interface _ANEInMemoryModelDescriptor : NSObject {
    NSData *_networkText;
    NSDictionary *_weights;
    NSData *_optionsPlist;
    NSString *_networkTextHash, *_weightsHash, *_optionsPlistHash;
    bool _isMILModel;
}
- (NSString *)hexStringIdentifier;
- (NSData *)networkText;
- (NSDictionary *)weights;
- (NSData *)optionsPlist;
- (bool)isMILModel;
@end

@interface _ANEInMemoryModel : NSObject {
    _ANEInMemoryModelDescriptor *_descriptor;
    NSString *_hexStringIdentifier, *_compilerOptionsFileName;
    NSURL *_modelURL;
    _ANEModel *_model;
    _ANEProgramForEvaluation *_program;
    NSDictionary *_modelAttributes;
    NSArray *_hashes; /* of the descriptor's blobs, for `verify=on` */
    unsigned long long _state, _programHandle, _intermediateBufferHandle;
    unsigned long long _string_id;
    unsigned _perfStatsMask;
    char _queueDepth;
    bool _isMILModel;
}
- (NSString *)localModelPath;
- (NSURL *)saveModelFiles;
- (bool)compiledModelExists;
- (_ANEClient *)sharedConnection;
- (void)setDescriptor:(_ANEInMemoryModelDescriptor *)descriptor;
- (void)setModel:(_ANEModel *)model;
- (void)setProgram:(_ANEProgramForEvaluation *)program;
- (void)setModelAttributes:(NSDictionary *)attributes;
@end

#endif
