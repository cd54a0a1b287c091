/*
 * Small classes that clients ask before they begin: device, QoS, hashing.
 */
#import "replica.h"

#include "base/sha256.h"
#include "chip/chips.h"

#include <string.h>

@interface _ANEDeviceInfo : NSObject
@end

/* "h16g" of M4 is proven (tmc/apple and silicon-ledger print it), "h14g" or
 * "h15g" of M3 contradict each other; the others continue the row and are not
 * measured. The base is taken off for the sub type: "h16". */
static const struct {
    const char *chip, *architecture;
} architectures[] = {{"m1", "h13g"},
                     {"m2", "h14g"},
                     {"m3", "h15g"},
                     {"m4", "h16g"},
                     {"m5", "h17g"}};

@implementation _ANEDeviceInfo

static bool machine_is(const char *word)
{
    return strcmp(an_setting_word(AN_SET_MACHINE), word) == 0;
}

+ (bool)hasANE
{
    return machine_is("bare");
}

+ (bool)isVirtualMachine
{
    return machine_is("virtual");
}

+ (unsigned)numANEs
{
    return machine_is("bare") ? 1 : 0;
}

+ (unsigned)numANECores
{
    return (unsigned)an_chip_find(an_settings_get()->chip)->cores;
}

+ (NSString *)aneArchitectureType
{
    const char *chip = an_settings_get()->chip;
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        if (strcmp(architectures[i].chip, chip) == 0)
            return
                [NSString stringWithUTF8String:architectures[i].architecture];
    return @"unknown";
}

+ (NSString *)aneSubType
{
    NSString *all = [self aneArchitectureType];
    return [all length] == 4 ? [all substringToIndex:3] : all;
}

+ (NSString *)productName
{
    return @"Anemone replica";
}

+ (NSString *)buildVersion
{
    return @AN_VERSION;
}

+ (NSString *)bootArgs
{
    return @"";
}

@end

/* Queue numbers: the framework's listing and a study of QoS on M3 Pro. */
@implementation _ANEQoSMapper

+ (int)programPriorityForQoS:(unsigned)qos
{
    switch (qos) {
    case 0:
        return 2;
    case 33:
        return 3;
    case 25:
        return 4;
    case 9:
        return 6;
    default:
        return 5;
    }
}

+ (unsigned long long)queueIndexForQoS:(unsigned)qos
{
    return (unsigned long long)[self programPriorityForQoS:qos];
}

+ (unsigned)qosForProgramPriority:(int)priority
{
    if (priority >= 0 && priority <= 3) return 33;
    return priority == 4 ? 25 : priority == 6 ? 9 : 21;
}

@end

@interface _ANEHashEncoding : NSObject
@end

@implementation _ANEHashEncoding

+ (NSString *)hexStringForData:(NSData *)data
{
    char text[AN_SHA256_DIGITS + 1];
    an_sha256_text([data bytes], [data length], text);
    return [[NSString stringWithUTF8String:text] uppercaseString];
}

+ (NSString *)hexStringForString:(NSString *)string
{
    return
        [self hexStringForData:[string dataUsingEncoding:NSUTF8StringEncoding]];
}

@end
