#!/bin/sh
# The apple engine on the replica of Apple's framework (make replica): the bits
# of the software engine, and every way in which the framework fails.
. "$(dirname "$0")/tap"
. "$(dirname "$0")/replica"
. "$(dirname "$0")/tiny"

cat >p.mil <<'END'
program(1.3)
[buildInfo = dict<string, string>({{"coremlc-version", "3510.2.1"}})]
{
    func main<ios18>(tensor<fp16, [1, 64, 1, 64]> a, tensor<fp16, [1, 64, 1, 64]> z) {
        tensor<fp16, [1, 64, 1, 64]> s = sub(x = a, y = z)[name = string("s")];
        tensor<fp16, [1, 64, 1, 64]> y = relu(x = s)[name = string("y")];
        tensor<fp16, [1, 64, 1, 64]> b = mul(x = s, y = z)[name = string("b")];
    } -> (b, y);
}
END
go() {
    engine=$1
    shift
    $ANEMONE run p.mil --random 3 --engine "$engine" "$@"
}
clean() {
    find "$TMPDIR" -name 'journal-*' -o -name 'model.mil' | tee left
    [ ! -s left ]
}

same_bits() {
    for numerics in ieee hw; do
        go soft --numerics $numerics --output b=sb.bin y=sy.bin &&
            go "$1" --numerics $numerics --output b=ab.bin y=ay.bin &&
            cmp sb.bin ab.bin && cmp sy.bin ay.bin || return 1
    done
    clean
}
case_of 'run, in both numerics' same_bits apple
case_of 'run through the client' same_bits apple,route=client
declared() {
    ANEMONE_REPLICA=order=declared same_bits apple
}
case_of 'symbols in the order of the text' declared
verified() {
    ANEMONE_REPLICA=verify=on same_bits apple
}
case_of 'files that the system verifies' verified

of_chip() {
    go soft:$1 --numerics hw --output b=sb.bin y=sy.bin &&
        ANEMONE_REPLICA=chip=$1 go apple --numerics hw --output b=ab.bin \
            y=ay.bin && cmp sb.bin ab.bin && cmp sy.bin ay.bin
}
case_of 'as an M1' of_chip m1

n=12 # steps
train_both() {
    train soft $n --quiet && for weights in stream bake reload; do
        train $weights $n --quiet --weights $weights --engine apple &&
            same_run soft $weights || return 1
    done
    clean
}
case_of 'training, in the three weight modes, past the compile limit' train_both
in_hw() {
    train soft_hw 3 --quiet --numerics hw &&
        train apple_hw 3 --quiet --numerics hw --engine apple &&
        same_run soft_hw apple_hw
}
case_of 'training in hw' in_hw
slots() {
    ANEMONE_REPLICA=slot=release train slots $n --quiet --weights bake \
        --engine apple && same_run soft slots
}
case_of 'places that only a release gives back' slots

classes() {
    for qos in real-time background utility default user-initiated \
        user-interactive 33; do
        go apple,qos=$qos >out || return 1
    done
    fails_with 2 'qos=real-time|background' go apple,qos=fast
}
case_of 'classes of service' classes
case_of 'surfaces that memory has no room for' \
    fails_with 1 'are needed for all, memory has 1.0 MB' \
    train large 1 --quiet --engine apple,memory=1

# A library without the replica's own function passes for Apple's framework: it
# has its own numerics, which a default does not ask for.
own_numerics() {
    mkdir own
    LC_ALL=C sed s/an_replica_configure/an_replica_CONFIGURE/g \
        "${ANEMONE_FRAMEWORKS:-$(dirname "$ANEMONE")/replica}/$(basename \
            "$replica")" >own/"$(basename "$replica")"
    for numerics in ieee hw exact; do
        ANEMONE_FRAMEWORKS=own fails_with 2 "takes no --numerics $numerics" \
            go apple --numerics $numerics || return 1
    done
    ANEMONE_FRAMEWORKS=own go apple && ANEMONE_FRAMEWORKS=own train own_run 1 \
        --engine apple >out && has out 'apple, hw numerics' &&
        train own_hw 1 --quiet --numerics hw && same_run own_hw own_run
}
case_of 'numerics that cannot be asked for' own_numerics

# A program with two weight files: as they are, and copied into one where the
# system verifies files. The dump of a training run is such a program's source.
two_files() {
    ANEMONE_DUMP=dump $ANEMONE train --data text --model tiny.json --steps 1 \
        --out dumped --batch 4 --sample-every 0 --quiet --weights bake &&
        program=$(ls dump/*fold-mlp_0-backward_0.mil) &&
        name=$(basename "$program" .mil) &&
        cp "dump/weights/$name.bin" dump/weights/second.bin &&
        sed "/ norm = const/s/$name.bin/second.bin/" "$program" >dump/two.mil &&
        [ "$(grep -c second.bin dump/two.mil)" -eq 1 ] &&
        results=$(sed -n 's/.*-> (\(.*\));/\1/p' dump/two.mil | tr -d ,) &&
        $ANEMONE run dump/two.mil --random 1 --engine soft --repeat 2 \
            $(output_words soft $results) || return 1
    for verify in off on; do
        ANEMONE_REPLICA=verify=$verify $ANEMONE run dump/two.mil --random 1 \
            --engine apple $(output_words apple $results) || return 1
        for result in $results; do
            cmp "$result.soft" "$result.apple" || return 1
        done
    done
    clean
}
output_words() {
    kind=$1
    shift
    echo --output
    for result; do
        echo "$result=$result.$kind"
    done
}
case_of 'two weight files, and a system that takes one' two_files
trained_verified() {
    for weights in bake reload; do
        ANEMONE_REPLICA=verify=on train verified_$weights 3 --quiet \
            --weights $weights --engine apple &&
            same_run soft_3 verified_$weights || return 1
    done
    clean
}

# One step, whose time is the replica's, or the wall's where it has none.
profiled() {
    ANEMONE_REPLICA=perf=$1 go "$2" --repeat 3 --profile >out && cat out &&
        has out '  3' && has out "$3" && has out 'sub s, relu y, mul b'
}
case_of 'time on the engine' profiled on apple ' replica '
case_of 'time on the engine, through the client' \
    profiled on apple,route=client ' replica '
case_of 'no time on the engine' profiled off apple ' wall '

# Three programs at a time where 7 or 12 are needed: those that were not used for
# longest make room. The engine counts by itself, or asks the system, which
# gives a place back at unload, or at the release of what holds it.
few_places() {
    folder=$1 replica_says=$2
    shift 2
    ANEMONE_REPLICA=$replica_says train "$folder" 3 --quiet "$@" &&
        same_run soft_3 "$folder" && clean
}
case_of 'the software engine, for comparison' train soft_3 3 --quiet
case_of 'training where the system verifies files' trained_verified
for weights in stream bake reload; do
    for slot in unload release; do
        case_of "$weights, three counted by the engine, slot=$slot" few_places \
            counted_${weights}_$slot live=3,slot=$slot --weights $weights \
            --engine apple,live=3
    done
done
case_of 'three counted by the system' few_places full live=3 --engine apple

# Three loads in a row that find no place: waiting and making room were in
# vain, and a new process goes on. Each process meets the same three.
full_at() {
    n_load=$1
    shift
    ANEMONE_REPLICA=fault=load:$n_load=0x50004,load:$((n_load + \
        1))=0x50004,load:$((n_load + 2))=0x50004 "$@"
}
new_processes() {
    folder=$1 n_load=$2 n_processes=$3
    shift 3
    full_at "$n_load" train "$folder" 3 --engine apple "$@" >out &&
        cat out && same_run soft_3 "$folder" && clean &&
        has out "compiled, in $n_processes processes"
}
case_of 'no place when weights change: a new process' new_processes \
    changed 13 4 --weights bake
case_of 'no place within a step: a new process' new_processes \
    within 20 2 --engine apple,live=3 --save-every 1
no_progress() {
    fails_with 1 'too many programs' full_at 8 train none 3 --quiet \
        --engine apple,live=3 && clean
}
case_of 'no place before there is a checkpoint' no_progress

# ---- failures ----

faulty() {
    fault=$1 text=$2
    shift 2
    ANEMONE_REPLICA=fault=$fault fails_with 1 "$text" go "$@" && clean
}
case_of 'text that does not parse' \
    faulty compile:1=1 'InvalidMILProgram' apple
case_of 'text that does not compile' \
    faulty compile:1=0 'CompilationFailure' apple
case_of 'a compile without a reason' faulty compile:1=3 'no reason given' apple
case_of 'a compile with a wrong option' \
    faulty compile:1=2 'InvalidCompilationParam' apple
case_of 'a compiler service that stays dead' \
    faulty compile:1=4097,compile:2=4097,compile:3=4097 \
    'the compiler service died' apple
case_of 'a compile that says nothing' \
    faulty compile:1=silent 'answered NO without an error' apple
case_of 'a load without a place, for good' \
    faulty load:1=0x50004,load:2=0x50004,load:3=0x50004 \
    'too many programs' apple
case_of 'a load without memory' \
    faulty load:1=53,load:2=53,load:3=53 'no memory' apple
case_of 'a load that finds the engine taken' \
    faulty load:1=54,load:2=54,load:3=54 'no engine resources' apple
case_of 'all that the error carries' \
    faulty load:1=53,load:2=53,load:3=53 '_ANEErrorUnderlyingStatus 1' apple
case_of 'an error beneath, identifiers and selectors cut short' \
    faulty compile:1=0 '; beneath: com.apple.appleneuralengine.compiler 1' apple
case_of 'a program too large' faulty load:1=0x10004 'too complex for' apple
case_of 'a load that says nothing' \
    faulty load:1=silent 'answered NO without an error' apple
case_of 'a surface too small' faulty eval:1=0x1d 'status=0x1d' apple,route=model
case_of 'a program that is not loaded' faulty eval:1=0xe 'not loaded' apple,route=model
case_of 'an engine that times out' faulty eval:1=0xf 'timed out' apple,route=model
case_of 'an overflow' faulty eval:1=0x13 'overflow' apple,route=model
case_of 'an evaluation that says nothing' \
    faulty eval:1=silent 'answered NO without an error' apple,route=model
case_of 'wrong symbols' faulty eval:1=0x2 'status=0x2' apple,route=model
case_of 'an engine that is waited for in vain' faulty eval:1=0x12 \
    'status=0x12' apple,route=model
case_of 'a load that fails for another reason' \
    faulty load:1=0x1 'Program load failure (0x1)' apple
case_of 'no surface' faulty surface:1 'the system gave none' apple
case_of 'a surface that cannot be locked' faulty lock:1 \
    'IOSurfaceLock answers' apple
case_of 'no descriptor' faulty descriptor:1 \
    'the framework took neither text nor weights' apple
case_of 'no request' faulty request:1 'the framework made no request' apple
case_of 'two ports with one symbol' faulty attributes:1=1 \
    'two ports have symbol 0' apple
case_of 'a port without a symbol' faulty attributes:1=2 \
    'no symbol for port "a"' apple
case_of 'strides into which no tensor fits' faulty attributes:1=3 \
    "the engine's strides are row 128, plane 64" apple
case_of 'the same through the client' \
    faulty eval:1=0x1d 'status=0x1d' apple,route=client

passing() {
    ANEMONE_REPLICA=fault=$1 go apple --output b=pb.bin y=py.bin &&
        ANEMONE_REPLICA= go apple --output b=ab.bin y=ay.bin &&
        cmp pb.bin ab.bin && clean
}
case_of 'a load that finds a place later' passing load:1=0x50004
case_of 'a compiler service that dies once' passing compile:1=4097
case_of 'a first evaluation that only works through the client' \
    passing eval:1=0x2
case_of 'the same when the model answers NO' passing eval:1=silent
case_of 'two routes, and none works' faulty eval:1=0x1d,eval:2=0xe \
    'through the client: evaluate: the program is not loaded' apple
case_of 'two routes that fail alike' faulty eval:1=0x1d,eval:2=0x1d \
    'through the model and through the client alike: evaluate: a surf' apple
later() {
    ANEMONE_REPLICA=fault=eval:2=0x1d fails_with 1 'evaluate: a surface' \
        go apple --repeat 2 && ! grep -q 'through' "$TMP/err"
}
case_of 'the route that worked is kept' later
case_of 'a slow compile' passing compile:1=slow
case_of 'a slow load' passing load:1=slow
case_of 'a slow evaluation' passing eval:1=slow
case_of 'an unload that fails' passing unload:1
case_of 'a program that tells nothing of its ports' passing attributes:1=4

hangs() {
    ANEMONE_REPLICA=fault=$1=hang fails_with 1 "the engine is dead: $2" \
        go apple,watchdog=1
}
case_of 'a compile that hangs' hangs compile:1 'compile did not return'
case_of 'a load that hangs' hangs load:1 'compile did not return'
case_of 'an evaluation that hangs' hangs eval:1 'evaluate did not return'
# What was computed is printed; the end waits no longer than the limit.
hangs_at_end() {
    ANEMONE_REPLICA=fault=unload:1=hang go apple,watchdog=1 --output b=ub.bin &&
        cmp ub.bin ab.bin
}
go soft --numerics ieee --output b=ab.bin >/dev/null
case_of 'an unload that hangs' hangs_at_end

raises() {
    ANEMONE_REPLICA=fault=$1=throw fails_with 1 'the framework raised' go apple
}
case_of 'a compile that raises' raises compile:1
case_of 'a load that raises' raises load:1
case_of 'an unload that raises' raises unload:1
case_of 'an evaluation that raises' raises eval:1

saved() {
    fails_with 1 'the engine is dead' env ANEMONE_REPLICA=fault=eval:60=hang \
        $ANEMONE train --data text --model tiny.json --out hung --steps $n \
        --batch 4 --sample-every 0 --seed 5 --quiet --save-every 1 \
        --engine apple,watchdog=1 &&
        train hung $n --quiet --engine apple && same_run soft hung
}
case_of 'a run that hangs, and goes on from its last checkpoint' saved

guest() {
    ANEMONE_REPLICA=machine=virtual fails_with 1 'virtual machine' go apple
}
case_of 'a virtual machine' guest
without() {
    ANEMONE_REPLICA=machine=none fails_with 1 'there is no engine' go apple
}
case_of 'a machine without an engine' without
absent() {
    ANEMONE_FRAMEWORKS=/nowhere fails_with 1 '/nowhere' go apple
}
case_of 'no framework' absent

# Frameworks that are not as expected: tests/replica/odd.c.
odd=$(dirname "$replica")/tests/odd
refused() {
    ANEMONE_FRAMEWORKS=$odd fails_with "$@"
}
if [ -e "$odd" ]; then
    case_of 'a class that is missing' refused 1 \
        '+[_ANEInMemoryModel inMemoryModelWithDescriptor:] has no class' \
        env ODD_LACKS=_ANEInMemoryModel, $ANEMONE run p.mil --engine apple
    case_of 'a method that is missing' refused 1 \
        'loadWithQoS:options:error:] is missing (known since: ' \
        env ODD_LACKS=loadWithQoS:options:error:, $ANEMONE run p.mil \
        --engine apple
    case_of 'a method of other types' refused 1 \
        'has types {odd=dd}16@0:8, expected ' \
        env ODD_TYPES=unloadWithQoS:error:, $ANEMONE run p.mil --engine apple
    case_of 'a system that says that it has no engine' refused 1 \
        'the system says that there is no engine' \
        $ANEMONE run p.mil --engine apple
    case_of 'a route that the system does not have' refused 1 \
        'this system has no route=client' \
        env ODD_LACKS=hasANE,sharedConnection, \
        $ANEMONE run p.mil --engine apple,route=client
    odd=$(dirname "$replica")/tests/mute
    case_of 'a runtime without messages' refused 1 \
        'neither objc_msgSend nor objc_msg_lookup' \
        $ANEMONE run p.mil --engine apple
    odd=$TMP/library
    mkdir "$odd"
    ln -s "$(ldconfig -p | sed -n 's/.*libm\.so\.6.* => //p' | head -n 1)" \
        "$odd/libAppleNeuralEngine.so"
    case_of 'a library that is no framework' refused 1 \
        'function objc_getClass is missing' $ANEMONE run p.mil --engine apple
fi

# A process that is killed while it compiles leaves a folder and a journal; the
# next one removes them, but not those of a process that lives.
exec_run() {
    export ANEMONE_REPLICA
    exec $ANEMONE run p.mil --random 3 --engine apple
}
killed() {
    ANEMONE_REPLICA=fault=compile:1=hang exec_run >/dev/null 2>&1 &
    dead=$!
    tries=0
    until [ -n "$(find "$TMPDIR" -name model.mil)" ]; do
        tries=$((tries + 1))
        [ $tries -lt 500 ] || return 1
        sleep 0.01
    done
    sed -i.bak 's/relu/abs/' p.mil
    go apple || return 1
    [ -n "$(find "$TMPDIR" -name model.mil)" ] || return 1
    kill -9 $dead
    wait $dead
    go apple && clean
}
case_of 'kill -9 during a compile' killed

done_testing
