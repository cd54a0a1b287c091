/*
 * Errors as the framework makes them, and faults carried out. The class
 * methods of _ANEErrors that name an error are rows of published.def.
 */
#import "replica.h"

#include <unistd.h>

@implementation _ANEErrors
+ (NSError *)createErrorWithCode:(NSInteger)code description:(NSString *)text
{
    return an_error_make(code, text);
}
@end

static NSError *make(const char *domain, long code, NSString *text,
                     NSError *under)
{
    NSMutableDictionary *info = [NSMutableDictionary dictionary];
    if (text) [info setObject:text forKey:NSLocalizedDescriptionKey];
    if (under) [info setObject:under forKey:NSUnderlyingErrorKey];
    return [NSError errorWithDomain:[NSString stringWithUTF8String:domain]
                               code:code
                           userInfo:info];
}

NSError *an_error_make(long code, NSString *text)
{
    return make(an_domain_ane, code, text, nil);
}

void an_error_set(NSError **error, const an_failure *f)
{
    if (!error || !f->domain) return;
    NSString *text = [NSString stringWithUTF8String:f->text];
    NSError *under = nil;
    if (f->method)
        text = [NSString stringWithFormat:@"%s: %@", f->method, text];
    if (*f->under_text)
        under = make(f->domain, f->under_code,
                     [NSString stringWithUTF8String:f->under_text], nil);
    *error = make(f->domain, f->code, text, under);
}

static NSError *service_died(void)
{
    NSDictionary *info =
        [NSDictionary dictionaryWithObject:@"connection to service named "
                                           @"com.apple.ANECompilerService"
                                    forKey:NSLocalizedDescriptionKey];
    return [NSError errorWithDomain:NSCocoaErrorDomain code:4097 userInfo:info];
}

/* Load failures of macOS 27 have their own codes, and keys whose values no
 * source shows. */
static NSError *load_error_27(long code, int status, NSString *text)
{
    NSDictionary *info = [NSDictionary
        dictionaryWithObjectsAndKeys:text, NSLocalizedDescriptionKey,
                                     [NSNumber numberWithInt:status],
                                     @"_ANEErrorUnderlyingStatus",
                                     [NSNumber numberWithInt:0],
                                     @"_ANEErrorLoadStage", nil];
    return
        [NSError errorWithDomain:[NSString stringWithUTF8String:an_domain_ane]
                            code:code
                        userInfo:info];
}

static NSError *load_error(long number)
{
    an_failure f;
    if (number == 53)
        return load_error_27(53, 1,
                             @"Program load failed — no memory (transient; "
                             @"retry under lower memory pressure) "
                             @"(underlying=0x1)");
    if (number == 54)
        return load_error_27(54, 5,
                             @"Program load failed — no ANE resources "
                             @"(underlying=0x5)");
    NSError *error = nil;
    an_failure_load(&f, number);
    an_error_set(&error, &f);
    return error;
}

static NSError *planned_error(an_call call, NSString *path, long number)
{
    an_failure f;
    NSError *error = nil;
    switch (call) {
    case AN_CALL_COMPILE:
        an_failure_compile(&f, [path fileSystemRepresentation],
                           number == 1   ? "InvalidMILProgram"
                           : number == 2 ? "InvalidCompilationParam"
                           : number == 3 ? ""
                                         : "CompilationFailure");
        break;
    case AN_CALL_LOAD:
        return load_error(number);
    case AN_CALL_MAP:
        return an_error_make(13, @"mapIOSurfacesWithModel:request:"
                                 @"cacheInference:error:: Program IOSurfaces "
                                 @"map failure (0x1)");
    case AN_CALL_EVAL:
        an_failure_eval(&f, number && number != 0x13 ? number : 0x1d,
                        number == 0x13 ? 0x13 : 0x9);
        break;
    default:
        an_failure_eval(&f, 0xe, 0);
        break;
    }
    an_error_set(&error, &f);
    return error;
}

bool an_fault_strikes(an_call call, NSString *path, NSError **error)
{
    an_fault fault = an_fault_next(call);
    switch (fault.kind) {
    case AN_FAULT_NONE:
        return false;
    case AN_FAULT_SLOW:
        usleep(500000);
        return false;
    case AN_FAULT_HANG:
        for (;;)
            sleep(3600);
    case AN_FAULT_THROW:
        [NSException raise:NSInternalInconsistencyException
                    format:@"replica: planned exception"];
        return true;
    case AN_FAULT_SILENT:
        return true;
    case AN_FAULT_ERROR:
        break;
    }
    if (error)
        *error = fault.number == 4097 ? service_died()
                                      : planned_error(call, path, fault.number);
    return true;
}
