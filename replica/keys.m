/*
 * Exported string constants. Names and contents: a public dump of the
 * framework's symbols (tmc/apple); the contents of those that no source prints
 * are their names.
 */
#import "replica.h"

NSString *const kANEFModelTypeKey = @"kANEFModelType";
NSString *const kANEFModelMILValue = @"kANEFModelMIL";
NSString *const kANEFModelANECIRValue = @"kANEFModelANECIR";
NSString *const kANEFInMemoryModelIdentifierKey =
    @"kANEFIsInMemoryModelTypeKey";
NSString *const kANEFInMemoryModelIsCachedKey =
    @"kANEFInMemoryModelIsCachedKey";
NSString *const kANEFCompilerOptionsFilenameKey =
    @"kANEFCompilerOptionsFilenameKey";
NSString *const kANEFPerformanceStatsMaskKey = @"kANEFPerformanceStatsMask";

AN_EXPORT NSString *const kANEFModelCoreMLValue = @"kANEFModelCoreML";
AN_EXPORT NSString *const kANEFModelPreCompiledValue = @"kANEFModelPreCompiled";
AN_EXPORT NSString *const kANEFModelMLIRValue = @"kANEFModelMLIR";
AN_EXPORT NSString *const kANEFModelLLIRBundleValue = @"kANEFModelLLIRBundle";
AN_EXPORT NSString *const kANEFNetPlistFilenameKey =
    @"kANEFNetPlistFilenameKey";
AN_EXPORT NSString *const kANEFKeepModelMemoryWiredKey =
    @"kANEFKeepModelMemoryWiredKey";
AN_EXPORT NSString *const kANEFDisableIOFencesUseSharedEventsKey =
    @"kANEFDisableIOFencesUseSharedEventsKey";
AN_EXPORT NSString *const kANEFEnableLateLatchKey = @"kANEFEnableLateLatchKey";
AN_EXPORT NSString *const kANEFSkipPreparePhaseKey =
    @"kANEFSkipPreparePhaseKey";
AN_EXPORT NSString *const kANEFMemoryPoolIDKey = @"kANEFMemoryPoolIDKey";
AN_EXPORT NSString *const kANEFEnablePowerSavingKey =
    @"kANEFEnablePowerSavingKey";
AN_EXPORT NSString *const kANEFModelDescriptionKey = @"ANEFModelDescription";
AN_EXPORT NSString *const kANEFModelProceduresArrayKey = @"ANEFModelProcedures";
AN_EXPORT NSString *const kANEFModelInputSymbolsArrayKey =
    @"kANEFModelInputSymbolsArrayKey";
AN_EXPORT NSString *const kANEFModelOutputSymbolsArrayKey =
    @"kANEFModelOutputSymbolsArrayKey";
AN_EXPORT NSString *const kANEFModelProcedureNameToIDMapKey =
    @"kANEFModelProcedureNameToIDMapKey";
