/*
 * _ANEInMemoryModelDescriptor and the identifier: SHA-256 of the text, of the
 * weights (four zero bytes, then the blobs by sorted outer key) and of the
 * options, in upper-case digits, joined by "_". Source: the framework's
 * listing (EthanArbuckle's restore images); m0at/ANEtransformers found the
 * same composition from outside.
 */
#import "replica.h"

#include "base/sha256.h"

@implementation _ANEInMemoryModelDescriptor

static NSString *digits(an_sha256 *s)
{
    static const char digit[] = "0123456789ABCDEF";
    unsigned char bytes[AN_SHA256_BYTES];
    char text[AN_SHA256_DIGITS + 1] = "";
    an_sha256_end(s, bytes);
    for (int i = 0; i < AN_SHA256_BYTES; i++) {
        text[2 * i] = digit[bytes[i] >> 4];
        text[2 * i + 1] = digit[bytes[i] & 15];
    }
    return [NSString stringWithUTF8String:text];
}

/* The NSData among a blob's entries; the framework takes the first of them,
 * whose order GNUstep's dictionaries do not keep. */
static NSData *blob_data(NSDictionary *blob)
{
    NSEnumerator *all = [blob objectEnumerator];
    id value;
    while ((value = [all nextObject]) != nil)
        if ([value isKindOfClass:[NSData class]]) return value;
    return nil;
}

static void put(an_sha256 *s, NSData *data)
{
    an_sha256_put(s, [data bytes], [data length]);
}

static NSString *hash_data(NSData *data)
{
    an_sha256 s;
    an_sha256_init(&s);
    put(&s, data);
    return digits(&s);
}

static NSString *hash_weights(NSDictionary *weights)
{
    an_sha256 s;
    NSArray *keys =
        [[weights allKeys] sortedArrayUsingSelector:@selector(compare:)];
    an_sha256_init(&s);
    an_sha256_put(&s, "\0\0\0\0", 4);
    for (NSUInteger i = 0; i < [keys count]; i++)
        put(&s, blob_data([weights objectForKey:[keys objectAtIndex:i]]));
    return digits(&s);
}

/* Text and weights must be there, and no blob empty. */
static bool arguments_fit(NSData *text, NSDictionary *weights)
{
    NSEnumerator *blobs = [weights objectEnumerator];
    NSDictionary *blob;
    if (!text || !weights) {
        NSLog(@"Invalid arguments: text %p, weights %p", text, weights);
        return false;
    }
    for (int i = 0; (blob = [blobs nextObject]) != nil; i++)
        if ([blob count] == 0) {
            NSLog(@"Empty weights dictionary for index=%d", i);
            return false;
        }
    return true;
}

- (id)initWithNetworkText:(NSData *)text
                  weights:(NSDictionary *)weights
             optionsPlist:(NSData *)options
               isMILModel:(bool)isMILModel
{
    self = [super init];
    if (!self || !arguments_fit(text, weights) ||
        an_fault_next(AN_CALL_DESCRIPTOR).kind != AN_FAULT_NONE) {
        [self release];
        return nil;
    }
    /* An NSString answers to neither bytes nor length as data does: the
     * exception is the real one's. */
    [text bytes];
    _networkText = [text copy];
    _weights = [weights retain];
    _optionsPlist = [options copy];
    _isMILModel = isMILModel;
    _networkTextHash = [hash_data(text) retain];
    _weightsHash = [hash_weights(weights) retain];
    _optionsPlistHash = [hash_data(options) retain];
    return self;
}

- (id)init
{
    [self release];
    return nil;
}

+ (id)modelWithMILText:(NSData *)text
               weights:(NSDictionary *)weights
          optionsPlist:(NSData *)options
{
    return [[[self alloc] initWithNetworkText:text
                                      weights:weights
                                 optionsPlist:options
                                   isMILModel:true] autorelease];
}

+ (id)modelWithNetworkDescription:(NSData *)text
                          weights:(NSDictionary *)weights
                     optionsPlist:(NSData *)options
{
    return [[[self alloc] initWithNetworkText:text
                                      weights:weights
                                 optionsPlist:options
                                   isMILModel:false] autorelease];
}

- (void)dealloc
{
    [_networkText release];
    [_weights release];
    [_optionsPlist release];
    [_networkTextHash release];
    [_weightsHash release];
    [_optionsPlistHash release];
    [super dealloc];
}

NSDictionary *an_descriptor_hashes(id descriptor)
{
    NSMutableDictionary *hashes = [NSMutableDictionary dictionary];
    NSEnumerator *blobs = [[descriptor weights] objectEnumerator];
    NSDictionary *blob;
    while ((blob = [blobs nextObject]) != nil) {
        NSData *data = blob_data(blob);
        for (NSString *name in [blob allKeysForObject:data])
            [hashes setObject:hash_data(data) forKey:name];
    }
    return hashes;
}

- (NSData *)networkText
{
    return _networkText;
}

- (NSDictionary *)weights
{
    return _weights;
}

- (NSData *)optionsPlist
{
    return _optionsPlist;
}

- (NSString *)networkTextHash
{
    return _networkTextHash;
}

- (NSString *)weightsHash
{
    return _weightsHash;
}

- (NSString *)optionsPlistHash
{
    return _optionsPlistHash;
}

- (bool)isMILModel
{
    return _isMILModel;
}

- (NSString *)hexStringIdentifier
{
    return [NSString stringWithFormat:@"%@_%@_%@", _networkTextHash,
                                      _weightsHash, _optionsPlistHash];
}

- (bool)isEqualToInMemoryModelDescriptor:(_ANEInMemoryModelDescriptor *)other
{
    return [[self hexStringIdentifier]
        isEqualToString:[other hexStringIdentifier]];
}

- (BOOL)isEqual:(id)other
{
    return [other isKindOfClass:[_ANEInMemoryModelDescriptor class]] &&
           [self isEqualToInMemoryModelDescriptor:other];
}

- (NSUInteger)hash
{
    return [[self hexStringIdentifier] hash];
}

@end
