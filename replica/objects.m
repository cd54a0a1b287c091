/*
 * Which Objective-C objects are alive: what a client leaks, and what the
 * framework and Foundation keep once for a process. GNUstep counts every
 * object that is made while its counting is on.
 */
#import "replica.h"

#import <Foundation/NSDebug.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(class_getName(*(const Class *)a),
                  class_getName(*(const Class *)b));
}

long an_replica_objects(char *list, size_t size)
{
    long sum = 0;
    size_t used = 0, n = 0;
    Class *classes = GSDebugAllocationClassList();
    while (classes[n])
        n++;
    qsort(classes, n, sizeof *classes, by_name);
    if (size) *list = '\0';
    for (size_t i = 0; i < n; i++) {
        int count = GSDebugAllocationCount(classes[i]);
        if (count <= 0) continue;
        sum += count;
        if (used < size)
            used += (size_t)snprintf(list + used, size - used, "%s%s %d",
                                     used ? ", " : "",
                                     class_getName(classes[i]), count);
    }
    free(classes);
    return sum;
}

static void report(void)
{
    static char list[8192];
    long n = an_replica_objects(list, sizeof list);
    fprintf(stderr, "replica: %ld objects alive%s%s\n", n, *list ? ": " : "",
            list);
}

/* What Foundation makes once for a process and keeps is made before the count
 * begins: the words and the environment of the process, tables of numbers,
 * characters and files. */
static void settle_foundation(void)
{
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    NSProcessInfo *process = [NSProcessInfo processInfo];
    [process arguments];
    [process environment];
    [NSNumber numberWithInt:1];
    [NSFileManager defaultManager];
    [NSTemporaryDirectory() stringByAppendingPathComponent:@"x"];
    [pool drain];
}

void an_objects_count(void)
{
    if (an_settings_get()->value[AN_SET_REPORT] == 0) return;
    settle_foundation();
    GSDebugAllocationActive(YES);
    atexit(report);
}
