/*
 * modelAttributes: what a load tells of a program's inputs and outputs. Shape
 * and key names: tmc/apple x/ane/compile.go and jafreck/ironmill, which agree.
 */
#import "replica.h"

static NSNumber *number(long long value)
{
    return [NSNumber numberWithLongLong:value];
}

static NSString *type_name(an_dtype dtype)
{
    switch (dtype) {
    case AN_FP16:
        return @"Float16";
    case AN_FP32:
        return @"Float32";
    case AN_INT8:
        return @"Int8";
    case AN_UINT8:
        return @"UInt8";
    case AN_INT16:
        return @"Int16";
    case AN_UINT16:
        return @"UInt16";
    case AN_INT32:
        return @"Int32";
    case AN_BOOL:
        return @"Bool";
    default:
        return @"Unknown";
    }
}

/* Dimensions right-aligned to batches, channels, depth, height, width. */
static void five_dims(const an_shape *s, long long d[5])
{
    for (int i = 0; i < 5; i++)
        d[i] = 1;
    if (s->rank > 0) d[4] = s->dims[s->rank - 1];
    if (s->rank > 1) d[3] = s->dims[s->rank - 2];
    if (s->rank > 4) d[2] = s->dims[s->rank - 3];
    int channel = s->rank - (s->rank > 4 ? 4 : 3);
    if (channel >= 0) d[1] = s->dims[channel];
    for (int i = 0; i < channel; i++)
        d[0] *= s->dims[i];
}

/* What is wrong with the attributes of a load, as planned. */
enum { SAME_SYMBOLS = 1, OTHER_SYMBOLS, SHORT_STRIDES, NOTHING };

static NSDictionary *port_entry(const an_port *port, NSString *symbol,
                                long long shorter)
{
    long long d[5];
    five_dims(&port->shape, d);
    long long plane = (long long)port->plane_bytes / shorter;
    long long depth = plane * d[1], batch = depth * d[2];
    NSString *name = [NSString stringWithUTF8String:port->name];
    id values[] = {
        name,          symbol,        type_name(port->shape.dtype),
        number(d[0]),  number(d[1]),  number(d[2]),
        number(d[3]),  number(d[4]),  number((long long)port->row_bytes),
        number(plane), number(depth), number(batch),
        number(1),     number(d[1])};
    NSString *keys[] = {@"Name",        @"Symbol",      @"Type",
                        @"Batches",     @"Channels",    @"Depth",
                        @"Height",      @"Width",       @"RowStride",
                        @"PlaneStride", @"DepthStride", @"BatchStride",
                        @"Interleave",  @"PlaneCount"};
    return [NSDictionary dictionaryWithObjects:values
                                       forKeys:keys
                                         count:sizeof keys / sizeof *keys];
}

/* The lists of one side, one entry per symbol. */
typedef struct side_lists {
    NSMutableArray *live, *symbols, *indices, *aligned;
} side_lists;

static side_lists lists_of(uint64_t handle, an_port_side side, long wrong)
{
    side_lists l = {[NSMutableArray array],
                    [NSMutableArray array],
                    [NSMutableArray array],
                    [NSMutableArray array]};
    const an_port *port;
    for (int i = 0; (port = an_device_port(handle, side, i)) != NULL; i++) {
        NSString *name = [NSString stringWithUTF8String:port->name];
        if (side == AN_OUTPUT) name = [name stringByAppendingString:@"@output"];
        NSString *live = name;
        if (wrong == OTHER_SYMBOLS) name = @"other";
        [l.live
            addObject:port_entry(port, live, wrong == SHORT_STRIDES ? 2 : 1)];
        [l.symbols addObject:name];
        [l.indices addObject:number(wrong == SAME_SYMBOLS ? 0 : i)];
        [l.aligned addObject:number(0)];
    }
    return l;
}

static NSDictionary *procedure(const side_lists *in, const side_lists *out)
{
    id values[] = {number(0), in->indices, out->indices};
    NSString *keys[] = {@"ANEFModelProcedureID",
                        @"ANEFModelInputSymbolIndexArray",
                        @"ANEFModelOutputSymbolIndexArray"};
    return [NSDictionary dictionaryWithObjects:values forKeys:keys count:3];
}

static NSDictionary *description(const side_lists *in, const side_lists *out)
{
    id values[] = {[NSArray arrayWithObject:procedure(in, out)],
                   in -> symbols,
                   out -> symbols,
                   in -> aligned,
                   out -> aligned,
                   [NSDictionary dictionaryWithObject:number(0)
                                               forKey:@"main"]};
    NSString *keys[] = {@"ANEFModelProcedures",
                        @"kANEFModelInputSymbolsArrayKey",
                        @"kANEFModelOutputSymbolsArrayKey",
                        @"ANEFModelInput16KAlignmentArray",
                        @"ANEFModelOutput16KAlignmentArray",
                        @"kANEFModelProcedureNameToIDMapKey"};
    return [NSDictionary dictionaryWithObjects:values forKeys:keys count:6];
}

NSDictionary *an_attributes_make(uint64_t handle)
{
    an_fault fault = an_fault_next(AN_CALL_ATTRIBUTES);
    long wrong = fault.kind == AN_FAULT_NONE ? 0 : fault.number;
    if (wrong == NOTHING) return [NSDictionary dictionary];
    side_lists in = lists_of(handle, AN_INPUT, wrong);
    side_lists out = lists_of(handle, AN_OUTPUT, wrong);
    id lists[] = {in.live, out.live};
    NSString *names[] = {@"LiveInputList", @"LiveOutputList"};
    NSDictionary *status = [NSDictionary dictionaryWithObjects:lists
                                                       forKeys:names
                                                         count:2];
    id values[] = {[NSArray arrayWithObject:status], description(&in, &out)};
    NSString *keys[] = {@"NetworkStatusList", @"ANEFModelDescription"};
    return [NSDictionary dictionaryWithObjects:values forKeys:keys count:2];
}
