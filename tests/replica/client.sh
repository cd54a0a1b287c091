#!/bin/sh
# A client written as public projects do, linked to the replica and through
# build/replica/run: the soft engine's bits, no leak, and planned faults.
. "$(dirname "$0")/../e2e/tap"
here=$(cd "$(dirname "$0")" && pwd)
replica=$BUILD/replica
case $replica in /*) ;; *) replica=$PWD/$replica ;; esac
cd "$TMP" || exit 1
export TMPDIR="$TMP"
mkdir -p model/weights

x='tensor<fp16, [1, 32, 1, 64]>' y='tensor<fp16, [1, 48, 1, 64]>'
w='tensor<fp16, [48, 32, 1, 1]>'
cat >model/model.mil <<MIL
program(1.3)
[buildInfo = dict<string, string>({{"coremlc-version", "3500.32.1"}})]
{
    func main<ios18>($x x) {
            $w w = const()[name = string("w"), val = $w(BLOBFILE(path = string("@model_path/weights/weight.bin"), offset = uint64(64)))];
            $y y = conv(dilations = tensor<int32, [2]>([1, 1]), groups = int32(1), pad = tensor<int32, [4]>([0, 0, 0, 0]), pad_type = string("valid"), strides = tensor<int32, [2]>([1, 1]), weight = w, x = x)[name = string("y")];
        } -> (y);
}
MIL

# Random weights and input, from the program itself: 48 x 32 of them.
echo "program(1.3)
[buildInfo = dict<string, string>({{\"coremlc-version\", \"3500.32.1\"}})]
{
    func main<ios18>(tensor<fp16, [1, 24, 1, 64]> x) {
            tensor<fp16, [1, 24, 1, 64]> y = mul(x = x, y = fp16(0x1p+0))[name = string(\"y\")];
        } -> (y);
}" >copy.mil
sed 's/24/32/g' copy.mil >copy32.mil
$ANEMONE run copy.mil --random 5 --output y=w.bin >/dev/null || exit 1
$ANEMONE run copy32.mil --random 7 --output y=model/x.bin >/dev/null || exit 1
zeros() { head -c "$1" /dev/zero; }
{
    printf '\001\000\000\000\002\000\000\000'
    zeros 56
    printf '\357\276\255\336\001\000\000\000\000\014\000\000\000\000\000\000'
    printf '\200\000\000\000\000\000\000\000'
    zeros 40
    cat w.bin
} >model/weights/weight.bin
$ANEMONE run model --engine soft --numerics hw --input x=model/x.bin \
    --output y=hw.bin >/dev/null || exit 1
$ANEMONE run model --engine soft --numerics ieee --input x=model/x.bin \
    --output y=ieee.bin >/dev/null || exit 1

client() {
    "$replica/run" "$replica/tests/client" "$@" >out 2>&1 && return
    cat out
    return 1
}

same_bits() {
    client model && cmp model/y.bin hw.bin && [ -z "$(ls -d "$TMPDIR"/*_* 2>/dev/null)" ]
}
case_of 'through run: the bits of soft, numerics hw' same_bits
linked() {
    rm -f model/y.bin
    "$replica/tests/linked" model && cmp model/y.bin hw.bin
}
case_of 'linked: the same bits' linked
ieee() {
    ANEMONE_REPLICA=numerics=ieee client model && cmp model/y.bin ieee.bin &&
        ! cmp -s hw.bin ieee.bin
}
case_of 'numerics=ieee: the bits of soft in ieee' ieee
no_leak() {
    client model 1000 && grep -q 'objects before' out
}
case_of 'no object lives on after 1,000 evaluations' no_leak
plain() {
    rm -f model/y.bin
    "$replica/run" "$replica/tests/plain" model && cmp model/y.bin hw.bin
}
case_of 'a client in plain C over objc_msgSend' plain

# fault WORDS TEXT...: a run with planned faults says each text.
fault() {
    ANEMONE_REPLICA=$1 client model && return 1
    shift
    for text in "$@"; do
        has out "$text" || return 1
    done
}
domain=com.apple.appleneuralengine
case_of 'fault: compile' fault fault=compile:1 "compile: $domain.compiler 1: " \
    'ANECCompile() FAILED' 'CompilationFailure'
case_of 'fault: compile of a bad text' fault fault=compile:1=1 InvalidMILProgram
case_of 'fault: the service died' fault fault=compile:1=4097 \
    'NSCocoaErrorDomain 4097: connection to service named'
case_of 'fault: compile, silently' fault compile:1=silent 'compile: NO without an error'
case_of 'fault: load' fault fault=load:1 "load: $domain 6: createProgramInstance" \
    'Program load failure (0x50004)'
case_of 'fault: load on macOS 27' fault fault=load:1=53 "load: $domain 53: "
case_of 'fault: evaluate' fault fault=eval:1 "evaluate: $domain 8: " \
    'status=0x1d : statusType=0x9'
case_of 'fault: evaluate times out' fault fault=eval:1=0xf "evaluate: $domain 3: "
case_of 'fault: evaluate overflows' fault fault=eval:1=0x13 "evaluate: $domain 5: "
case_of 'fault: evaluate raises' fault fault=eval:1=throw \
    'exception: NSInternalInconsistencyException: replica: planned exception'
case_of 'fault: the second unload' fault fault=unload:2 "unload: $domain 23: "
case_of 'fault: no surface' fault fault=surface:1 'surface: NO without an error'
case_of 'a guest has no engine' fault machine=virtual 'Host too old' ' 22: '
hangs() {
    ANEMONE_REPLICA=fault=eval:1=hang timeout 2 "$replica/run" "$replica/tests/client" model >out 2>&1
    [ $? -eq 124 ]
}
case_of 'fault: evaluate hangs' hangs
nonsense() {
    ANEMONE_REPLICA=numerics=hw,colour=red client model &&
        has out 'replica: setting "colour=red" is not understood'
}
case_of 'an unknown setting is told' nonsense

limit() {
    ANEMONE_REPLICA=compiles=5 client model 1 10
    has out 'compile: ' && has out 'err=()' && has out 'program 4 failed'
}
case_of 'the compile limit, after two programs to warm up' limit
within() { ANEMONE_REPLICA=compiles=0,live=1 client model 1 10; }
case_of 'unload frees the place of a program' within

if command -v valgrind >/dev/null; then
    memory() {
        LD_LIBRARY_PATH="$replica" ANEMONE_REPLICA=threads=1 timeout 300 valgrind \
            --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
            --suppressions="$here/valgrind.supp" -q \
            "$replica/tests/linked" model 200
    }
    case_of 'valgrind finds nothing' memory
fi
done_testing
