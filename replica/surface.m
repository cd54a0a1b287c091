/*
 * IOSurface's C functions and the few of CoreFoundation that go with them. A
 * surface is an object of class IOSurface over zeroed memory of whole pages;
 * nothing is shared between processes.
 */
#import "replica.h"

#include "settings.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MAX_BYTES = 1 << 30,
    BAD_ARGUMENT = -536870206 /* kIOReturnBadArgument */
};

@interface IOSurface : NSObject {
  @public
    void *base;
    size_t size, width, height, bytesPerRow, bytesPerElement;
    unsigned pixelFormat, identifier, seed;
    int useCount;
}
@end

@implementation IOSurface
- (void)dealloc
{
    free(base);
    [super dealloc];
}
@end

AN_EXPORT NSString *const kIOSurfaceWidth = @"IOSurfaceWidth";
AN_EXPORT NSString *const kIOSurfaceHeight = @"IOSurfaceHeight";
AN_EXPORT NSString *const kIOSurfaceBytesPerElement =
    @"IOSurfaceBytesPerElement";
AN_EXPORT NSString *const kIOSurfaceBytesPerRow = @"IOSurfaceBytesPerRow";
AN_EXPORT NSString *const kIOSurfaceAllocSize = @"IOSurfaceAllocSize";
AN_EXPORT NSString *const kIOSurfacePixelFormat = @"IOSurfacePixelFormat";

static size_t number_of(NSDictionary *properties, NSString *key, size_t other)
{
    NSNumber *number = [properties objectForKey:key];
    return number ? (size_t)[number unsignedLongLongValue] : other;
}

static IOSurface *object_of(IOSurfaceRef surface)
{
    return (IOSurface *)(void *)surface;
}

/* Whole pages of a Mac, zeroed. */
static void *new_pages(size_t bytes)
{
    void *base = NULL;
    size_t all = (bytes + AN_PAGE - 1) / AN_PAGE * AN_PAGE;
    if (posix_memalign(&base, AN_PAGE, all) != 0) return NULL;
    memset(base, 0, all);
    return base;
}

IOSurfaceRef IOSurfaceCreate(NSDictionary *properties)
{
    static unsigned last;
    size_t height = number_of(properties, kIOSurfaceHeight, 1);
    size_t width = number_of(properties, kIOSurfaceWidth, 0);
    size_t element = number_of(properties, kIOSurfaceBytesPerElement, 1);
    size_t row = 0, size = 0;
    if (an_fault_next(AN_CALL_SURFACE).kind != AN_FAULT_NONE) return NULL;
    if (__builtin_mul_overflow(width, element, &row)) return NULL;
    row = number_of(properties, kIOSurfaceBytesPerRow, row);
    if (__builtin_mul_overflow(row, height, &size)) return NULL;
    size = number_of(properties, kIOSurfaceAllocSize, size);
    if (size == 0 || size > MAX_BYTES) return NULL;
    IOSurface *s = [IOSurface new];
    s->base = new_pages(size);
    if (!s->base) {
        [s release];
        return NULL;
    }
    s->size = size;
    s->width = width;
    s->height = height;
    s->bytesPerRow = row;
    s->bytesPerElement = element;
    s->pixelFormat = (unsigned)number_of(properties, kIOSurfacePixelFormat, 0);
    s->identifier = __sync_add_and_fetch(&last, 1);
    return (IOSurfaceRef)(void *)s;
}

AN_EXPORT int IOSurfaceLock(IOSurfaceRef surface, uint32_t options,
                            uint32_t *seed)
{
    (void)options;
    if (!surface || an_fault_next(AN_CALL_LOCK).kind != AN_FAULT_NONE)
        return BAD_ARGUMENT;
    if (seed) *seed = object_of(surface)->seed;
    return 0;
}

/* A lock that was not read-only makes the contents new. */
AN_EXPORT int IOSurfaceUnlock(IOSurfaceRef surface, uint32_t options,
                              uint32_t *seed)
{
    if (!surface) return BAD_ARGUMENT;
    if (!(options & 1)) __sync_add_and_fetch(&object_of(surface)->seed, 1);
    if (seed) *seed = object_of(surface)->seed;
    return 0;
}

void *IOSurfaceGetBaseAddress(IOSurfaceRef surface)
{
    return surface ? object_of(surface)->base : NULL;
}

size_t IOSurfaceGetAllocSize(IOSurfaceRef surface)
{
    return surface ? object_of(surface)->size : 0;
}

AN_EXPORT size_t IOSurfaceGetBytesPerRow(IOSurfaceRef surface)
{
    return surface ? object_of(surface)->bytesPerRow : 0;
}

AN_EXPORT size_t IOSurfaceGetBytesPerElement(IOSurfaceRef surface)
{
    return surface ? object_of(surface)->bytesPerElement : 0;
}

AN_EXPORT size_t IOSurfaceGetWidth(IOSurfaceRef surface)
{
    return surface ? object_of(surface)->width : 0;
}

AN_EXPORT size_t IOSurfaceGetHeight(IOSurfaceRef surface)
{
    return surface ? object_of(surface)->height : 0;
}

AN_EXPORT uint32_t IOSurfaceGetPixelFormat(IOSurfaceRef surface)
{
    return surface ? object_of(surface)->pixelFormat : 0;
}

AN_EXPORT uint32_t IOSurfaceGetID(IOSurfaceRef surface)
{
    return surface ? object_of(surface)->identifier : 0;
}

AN_EXPORT uint32_t IOSurfaceGetSeed(IOSurfaceRef surface)
{
    return surface ? object_of(surface)->seed : 0;
}

AN_EXPORT void IOSurfaceIncrementUseCount(IOSurfaceRef surface)
{
    if (surface) __sync_add_and_fetch(&object_of(surface)->useCount, 1);
}

AN_EXPORT void IOSurfaceDecrementUseCount(IOSurfaceRef surface)
{
    if (surface) __sync_add_and_fetch(&object_of(surface)->useCount, -1);
}

AN_EXPORT int32_t IOSurfaceGetUseCount(IOSurfaceRef surface)
{
    return surface ? object_of(surface)->useCount : 0;
}

AN_EXPORT bool IOSurfaceIsInUse(IOSurfaceRef surface)
{
    return IOSurfaceGetUseCount(surface) > 0;
}

/* ---- CoreFoundation, as far as a client of the framework calls it ---- */

AN_EXPORT const void *CFRetain(const void *object);
AN_EXPORT const void *CFRetain(const void *object)
{
    return [(id)object retain];
}

AN_EXPORT void CFRelease(const void *object);
AN_EXPORT void CFRelease(const void *object)
{
    [(id)object release];
}

/* Objects are Foundation's, so the callbacks only have to be there. */
AN_EXPORT const struct {
    const void *members[6];
} kCFTypeDictionaryKeyCallBacks = {{0}},
  kCFTypeDictionaryValueCallBacks = {{0}}, kCFTypeArrayCallBacks = {{0}};

AN_EXPORT const void *const kCFAllocatorDefault = NULL;

AN_EXPORT void *CFDictionaryCreate(const void *allocator, const void **keys,
                                   const void **values, long n,
                                   const void *key_calls,
                                   const void *value_calls);
void *CFDictionaryCreate(const void *allocator, const void **keys,
                         const void **values, long n, const void *key_calls,
                         const void *value_calls)
{
    (void)allocator, (void)key_calls, (void)value_calls;
    return [[NSDictionary alloc] initWithObjects:(const id *)values
                                         forKeys:(const id *)keys
                                           count:(NSUInteger)n];
}

AN_EXPORT void *CFArrayCreate(const void *allocator, const void **values,
                              long n, const void *calls);
void *CFArrayCreate(const void *allocator, const void **values, long n,
                    const void *calls)
{
    (void)allocator, (void)calls;
    return [[NSArray alloc] initWithObjects:(const id *)values
                                      count:(NSUInteger)n];
}

AN_EXPORT void *CFDataCreate(const void *allocator, const uint8_t *bytes,
                             long n);
void *CFDataCreate(const void *allocator, const uint8_t *bytes, long n)
{
    (void)allocator;
    return [[NSData alloc] initWithBytes:bytes length:(NSUInteger)n];
}

/* Of the encodings, UTF-8 alone (0x08000100); others give NULL. */
AN_EXPORT void *CFStringCreateWithCString(const void *allocator,
                                          const char *text, uint32_t encoding);
void *CFStringCreateWithCString(const void *allocator, const char *text,
                                uint32_t encoding)
{
    (void)allocator;
    if (encoding != 0x08000100 && encoding != 0x0600) return NULL;
    return [[NSString alloc] initWithUTF8String:text];
}

/* Integers of 32 (types 3, 9) and 64 bits (4, 10, 11, 14); others give NULL. */
AN_EXPORT void *CFNumberCreate(const void *allocator, long type,
                               const void *value);
void *CFNumberCreate(const void *allocator, long type, const void *value)
{
    (void)allocator;
    long long number;
    switch (type) {
    case 3:
    case 9:
        number = *(const int32_t *)value;
        break;
    case 4:
    case 10:
    case 11:
    case 14:
        number = *(const int64_t *)value;
        break;
    default:
        return NULL;
    }
    return [[NSNumber alloc] initWithLongLong:number];
}
