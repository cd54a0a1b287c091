#!/bin/sh
# anemone run: files in and out in both forms, weight files, and refusals.
. "$(dirname "$0")/tap"
cd "$TMP" || exit 1
case $ANEMONE in /*) ;; *) ANEMONE=$OLDPWD/$ANEMONE ;; esac

program() { # FILE PARAMETERS BODY RESULTS
    printf 'program(1.3)\n[buildInfo = dict<string, string>({{"coremlc-version", "3600.25.1"}})]\n{\n'
    printf '    func main<ios18>(%s) {\n%s\n        } -> (%s);\n}' "$1" "$2" "$3"
}
t='tensor<fp16, [1, 2, 1, 32]>'
program "$t x" "            $t y = mul(x = x, y = fp16(0x1p+0))[name = string(\"y\")];" y >same.mil
program "$t x, $t z" "            $t y = add(x = x, y = z)[name = string(\"y\")];" y >add.mil
program "$t x" "            $t w = const()[name = string(\"w\"), val = $t(BLOBFILE(path = string(\"@model_path/weights/w.bin\"), offset = uint64(64)))];
            $t y = add(x = x, y = w)[name = string(\"y\")];" y >blob.mil
sed 's,weights/w.bin,../w.bin,' blob.mil >escape.mil
sed 's,@model_path/weights,/etc,' blob.mil >outside.mil

# A weight file (version 2) of one fp16 record with 64 elements of 1.0.
zeros() { head -c "$1" /dev/zero; }
mkdir -p model/weights
{
    printf '\001\000\000\000\002\000\000\000'
    zeros 56
    printf '\357\276\255\336\001\000\000\000\200\000\000\000\000\000\000\000'
    printf '\200\000\000\000\000\000\000\000'
    zeros 40
    i=0
    while [ $i -lt 64 ]; do
        printf '\000\074'
        i=$((i + 1))
    done
} >model/weights/w.bin
zeros 128 >zero.bin
tail -c 128 model/weights/w.bin >one.bin
zeros 64 >short.bin

round_trip() {
    $ANEMONE run same.mil --random 3 --output y=a.npy &&
        $ANEMONE run same.mil --input x=a.npy --output y=b.npy &&
        cmp a.npy b.npy &&
        $ANEMONE run same.mil --input x=a.npy --output y=a.bin &&
        $ANEMONE run same.mil --input x=a.bin --output y=c.npy &&
        cmp a.npy c.npy && [ "$(wc -c <a.bin)" -eq 128 ] &&
        [ "$(wc -c <a.npy)" -eq 256 ] && tail -c 128 a.npy | cmp - a.bin &&
        head -c 128 a.npy | tr -d '\0' | grep -aq "'shape': (1, 2, 1, 32)"
}
case_of '.npy and raw files round trip' round_trip

weights() {
    $ANEMONE run blob.mil --model-path model --input x=zero.bin --output y=y.bin &&
        cmp y.bin one.bin
}
case_of 'a weight file' weights
beside() {
    cp blob.mil model/ && $ANEMONE run model/blob.mil --input x=zero.bin \
        --output y=z.bin && cmp z.bin one.bin
}
case_of "the program's folder is the default" beside
compiled() {
    cp blob.mil model/model.mil && $ANEMONE run model --input x=zero.bin \
        --output y=c.bin && cmp c.bin one.bin &&
        $ANEMONE run model/ --input x=zero.bin --output y=d.bin && cmp d.bin one.bin
}
case_of "a compiled model's folder" compiled
# The bytes of 1.0 in fp16 are 0 and 60 as int8.
quantised() {
    q='tensor<int8, [1, 4, 1, 32]>' w='tensor<fp16, [1, 4, 1, 32]>'
    program "$w x" "            $w w = constexpr_affine_dequantize()[axis = int32(0), name = string(\"w\"), quantized_data = $q(BLOBFILE(path = string(\"@model_path/weights/w.bin\"), offset = uint64(64))), scale = fp16(0x1p-1), zero_point = int8(-2)];
            $w y = add(x = x, y = w)[name = string(\"y\")];" y >model/q.mil
    zeros 256 >zero256.bin
    for engine in soft cpu; do
        $ANEMONE run model/q.mil --engine $engine --input x=zero256.bin >out && cat out &&
            has out 'min 1  max 31  mean 16' || return 1
    done
}
case_of 'a quantised weight' quantised

engines() {
    for engine in auto soft cpu; do
        for numerics in ieee exact; do
            rm -f y.bin
            $ANEMONE run add.mil --input x=one.bin z=zero.bin --output y=y.bin \
                --engine $engine --numerics $numerics --threads 2 &&
                cmp y.bin one.bin || return 1
        done
    done
}
case_of 'engines and numerics' engines

reproducible() {
    $ANEMONE run add.mil --random 7 --output y=1.npy &&
        $ANEMONE run add.mil --random 7 --output y=2.npy &&
        $ANEMONE run add.mil --random 8 --output y=3.npy &&
        cmp 1.npy 2.npy && ! cmp -s 1.npy 3.npy || return 1
    # x is the same with and without z.
    $ANEMONE run same.mil --random 7 --output y=x.npy &&
        $ANEMONE run add.mil --random 7 --input z=zero.bin --output y=4.npy &&
        cmp x.npy 4.npy
}
case_of 'random inputs are reproducible' reproducible

summary() {
    $ANEMONE run add.mil --input x=one.bin --input z=one.bin >out && cat out &&
        has out 'y  fp16 [1, 2, 1, 32]' &&
        has out 'min 2  max 2  mean 2  first 2 2 2 2 2 2 ...'
}
case_of 'a summary when no output is named' summary

r="$ANEMONE run"
case_of 'a missing input' fails_with 2 'input z' $r add.mil --input x=one.bin
case_of 'an unknown input' fails_with 2 'it has x, z' $r add.mil --random 1 --input w=one.bin
case_of 'an unknown output' fails_with 2 'it has y' $r add.mil --random 1 --output z=a.npy
case_of 'an input given twice' fails_with 2 'given twice' \
    $r same.mil --input x=one.bin x=zero.bin
case_of 'no pair' fails_with 2 'expected NAME=FILE' $r same.mil --input one.bin
case_of 'too few bytes' fails_with 1 'expected 128 bytes' $r same.mil --input x=short.bin
case_of 'a missing file' fails_with 1 'no-such.npy' $r same.mil --input x=no-such.npy
case_of 'no .npy file' fails_with 1 'not a .npy file' \
    sh -c "cp one.bin bad.npy; $r same.mil --input x=bad.npy"
wrong_shape() {
    program 'tensor<fp16, [1, 1, 1, 32]> x' \
        '            tensor<fp16, [1, 1, 1, 32]> y = add(x = x, y = x)[name = string("y")];' \
        y >small.mil
    $r small.mil --random 1 --output y=small.npy &&
        fails_with 1 'expected fp16 [1, 2, 1, 32], got fp16 [1, 1, 1, 32]' \
            $r same.mil --input x=small.npy
}
case_of 'a wrong shape' wrong_shape
not_written() {
    rm -f never.npy
    $r same.mil --input x=short.bin --output y=never.npy
    [ $? -eq 1 ] && [ ! -e never.npy ] && ! ls -a | grep -q never
}
case_of 'nothing is written after an error' not_written
case_of 'an output in no folder' fails_with 1 'nowhere/y.npy' \
    $r same.mil --random 1 --output y=nowhere/y.npy

refuses() { # STATUS TEXT COMMAND...: the first line has TEXT
    want=$1 text=$2
    shift 2
    "$@" >out 2>err
    status=$?
    cat err
    [ $status -eq "$want" ] && head -n 1 err | grep -qF -e "$text"
}
case_of 'a weight file outside the folder' refuses 1 'leads out of' \
    $r escape.mil --model-path model --random 1
case_of 'a weight file elsewhere' refuses 1 'does not start with @model_path/' \
    $r outside.mil --model-path model --random 1
case_of 'a missing weight file' refuses 1 'weights/w.bin' \
    $r blob.mil --model-path . --random 1
cut() {
    mkdir -p cut/weights && head -c 200 model/weights/w.bin >cut/weights/w.bin
    refuses 1 'w.bin' $r blob.mil --model-path cut --random 1
}
case_of 'a truncated weight file' cut
case_of 'a broken program shows the place' refuses 1 'broken.mil:5:' \
    sh -c "sed 's/mul(/mull(/' same.mil >broken.mil; $r broken.mil --random 1"

# ---- comparing and measuring ----

zeros 127 >off.bin && printf '\001' >>off.bin # the last is 2^-16
same() {
    $r same.mil --random 3 --output y=want.npy &&
        $r same.mil --random 3 --compare want.npy >out && cat out &&
        has out 'y  fp16 [1, 2, 1, 32]: 64 of 64 values equal' &&
        $r same.mil --random 3 --compare y=want.npy &&
        $r same.mil --input x=zero.bin --compare y=zero.bin
}
case_of 'equal outputs' same
# The last of 64: 256 steps of 2^-24.
apart() {
    $r same.mil --input x=zero.bin --compare off.bin >out 2>err
    status=$?
    cat out err
    [ $status -eq 1 ] && has out '63 of 64 values equal' &&
        has out 'difference   1.52588e-05 at [0, 1, 0, 31]: got 0, expected 1.52587891e-05' &&
        has out 'relative     1          at [0, 1, 0, 31]' &&
        has out 'fp16 steps   256        at [0, 1, 0, 31]' &&
        has err '1 value is beyond the tolerance 0'
}
case_of 'different outputs' apart
case_of 'within the tolerance' $r same.mil --input x=zero.bin --compare off.bin --tol 2e-5
case_of 'outputs beyond the tolerance' sh -c \
    "! $r same.mil --input x=zero.bin --compare off.bin --tol 1e-5"
not_numbers() { # -0 is 0, NaN is NaN; NaN is no number, inf no number
    zeros 126 >head.bin
    for pair in '\000\200 \000\000 0' '\001\176 \002\177 0' '\001\176 \000\074 1' \
        '\000\174 \377\173 1' '\000\174 \000\174 0' '\000\174 \000\374 1'; do
        set -- $pair
        { cat head.bin && printf "$1"; } >got.bin
        { cat head.bin && printf "$2"; } >want.bin
        $r same.mil --input x=got.bin --compare want.bin --tol 1e300
        [ $? -eq "$3" ] || return 1
    done
}
case_of 'NaN, infinities and -0' not_numbers
program 'int32 x' '            int32 y = add(x = x, y = int32(0))[name = string("y")];' y >int.mil
integers() {
    printf '\001\000\000\001' >a.bin && printf '\000\000\000\001' >b.bin &&
        $r --engine cpu int.mil --input x=a.bin --compare a.bin &&
        ! $r --engine cpu int.mil --input x=a.bin --compare b.bin >out && cat out &&
        has out 'difference   1 ' && ! grep -q steps out
}
case_of 'integers' integers
two="            $t y = add(x = x, y = a)[name = string(\"y\")];
            $t z = mul(x = y, y = a)[name = string(\"z\")];"
program "$t a, $t x" "$two" 'y, z' >two.mil
case_of 'one file for two outputs' fails_with 2 'the program has 2 outputs' \
    $r two.mil --random 1 --compare want.npy
case_of 'an unknown output to compare' fails_with 2 'it has y, z' \
    $r two.mil --random 1 --compare w=want.npy
case_of 'a file of another shape to compare' fails_with 1 'expected 128 bytes' \
    $r same.mil --random 1 --compare short.bin
profile() {
    $r two.mil --random 1 --profile --repeat 5 --threads 2 >out && cat out &&
        has out 'ms, median of 5' && has out 'GFLOP/s  kind      ops' &&
        grep -q '^ *0 *5 .*100.0%.* chain *add y, mul z$' out
}
case_of 'the time of each step' profile
repeat() {
    $r two.mil --random 1 --repeat 3 --output y=1.npy >out && cat out &&
        [ "$(wc -l <out)" -eq 1 ] && has out 'median of 3'
}
case_of 'repeated evaluations' repeat

done_testing
