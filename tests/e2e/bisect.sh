#!/bin/sh
# anemone bisect: the smallest part with a fault, whose printed command shows
# the fault; and programs without one.
. "$(dirname "$0")/tap"
cd "$TMP" || exit 1
case $ANEMONE in /*) ;; *) ANEMONE=$OLDPWD/$ANEMONE ;; esac

t='tensor<fp16, [1, 2, 1, 32]>'
op() { # TYPE NAME CALL
    printf '            %s %s = %s[name = string("%s")];\n' "$1" "$2" "$3" "$2"
}
head_of() { # opens the program
    printf 'program(1.3)\n[buildInfo = dict<string, string>({{"coremlc-version", "3505.4.1"}})]\n{\n'
}
function_of() { # NAME PARAMETERS RESULTS, the body on stdin
    printf '    func %s<ios18>(%s) {\n' "$1" "$2"
    cat
    printf '        } -> (%s);\n' "$3"
}
concat_of_one() {
    op "$t" a 'exp(x = x)'
    op "$t" b 'tanh(x = a)'
    op int32 axis 'const()' | sed 's/\];/, val = int32(1)];/'
    op bool apart 'const()' | sed 's/\];/, val = bool(false)];/'
    op "$t" c 'concat(values = (b), axis = axis, interleave = apart)'
    op "$t" d 'add(x = c, y = a)'
}
# 200 x 200: a number in fp16, none of the chip's sums of products, which end at
# 32768. The ops around are the same in both numerics.
m='tensor<fp16, [1, 2, 32, 32]>'
overflow() {
    op "$t" a 'relu(x = x)'
    op "$t" b 'mul(x = a, y = fp16(0x0p+0))'
    op "$t" c 'add(x = b, y = fp16(0x1.9p+7))'
    op bool no 'const()' | sed 's/\];/, val = bool(false)];/'
    op bool yes 'const()' | sed 's/\];/, val = bool(true)];/'
    op "$m" d 'matmul(transpose_x = yes, transpose_y = no, x = c, y = c)'
    op "$m" e 'relu(x = d)'
    op "$m" f 'mul(x = e, y = fp16(0x1p-6))'
}
# The same with one factor in a weight file (version 2, one fp16 record of 64
# elements).
weights() {
    overflow | sed "s/y = c)/y = w)/
/ d = matmul/i\\
$t w = const()[name = string(\"w\"), val = $t(BLOBFILE(path = string(\"@model_path/weights/w.bin\"), offset = uint64(64)))];"
}
zeros() { head -c "$1" /dev/zero; }
mkdir -p model/weights found
{
    printf '\001\000\000\000\002\000\000\000'
    zeros 56
    printf '\357\276\255\336\001\000\000\000\200\000\000\000\000\000\000\000'
    printf '\200\000\000\000\000\000\000\000'
    zeros 40
    i=0
    while [ $i -lt 64 ]; do
        printf '\100\132'
        i=$((i + 1))
    done
} >model/weights/w.bin
{ head_of; weights | function_of main "$t x" f; echo '}'; } >model/w.mil
{ head_of; concat_of_one | function_of main "$t x" d; echo '}'; } >rule.mil
{ head_of; overflow | function_of main "$t x" f; echo '}'; } >values.mil
{
    head_of
    op "$t" y 'exp(x = x)' | function_of main "$t x" y
    concat_of_one | function_of other "$t x" d
    echo '}'
} >two.mil

# The printed command, as it stands.
command_of() { sed -n 's/^    \(.* run .*\)/\1/p' "$1"; }

refused() {
    $ANEMONE bisect rule.mil >rule.log || return 1
    cat rule.log
    has rule.log 'R-58' && has rule.log '1 of 4 ops still shows it' &&
        has rule.log 'c = concat(b)' || return 1
    [ "$(grep -c 'name = string' rule-bisect.mil)" -eq 3 ] || return 1
    [ -s rule-bisect.b.npy ] && [ "$(ls rule-bisect* | wc -l)" -eq 2 ] || return 1
    sh -c "$(command_of rule.log)" >again.log 2>&1
    [ $? -eq 1 ] && has again.log 'R-58'
}
case_of 'a rule that one op breaks' refused

values_differ() {
    $ANEMONE bisect values.mil --numerics hw --against-numerics ieee --tol 0.5 \
        --out found/v.mil >values.log || return 1
    cat values.log
    has values.log '1 of 6 ops still shows it' &&
        has values.log 'd = matmul(c, c)' || return 1
    sh -c "$(command_of values.log)" >again.log 2>&1
    status=$?
    cat again.log
    [ $status -eq 1 ] && has again.log '2048 values are beyond the tolerance 0.5'
}
case_of 'values beyond 32768 in hw' values_differ

weights_go_along() {
    $ANEMONE bisect model/w.mil --numerics hw --against-numerics ieee \
        --out found/w.mil >w.log || return 1
    cat w.log
    has w.log '1 of 6 ops still shows it' && has w.log 'd = matmul(c, w)' &&
        has found/w.mil '@model_path/weights/w.bin' &&
        cmp found/weights/w.bin model/weights/w.bin && mv model gone || return 1
    sh -c "$(command_of w.log)" >again.log 2>&1
    status=$?
    cat again.log
    [ $status -eq 1 ] && has again.log '2048 values are beyond the tolerance 0'
}
case_of 'weights go along' weights_go_along

function_is_found() {
    $ANEMONE bisect two.mil --chip m1 --out two-of.mil >two.log || return 1
    has two.log '1 of 4 ops' && sh -c "$(command_of two.log)" >again.log 2>&1
    [ $? -eq 1 ] && has again.log 'R-58'
}
case_of 'the function that is refused' function_is_found

# The order of outputs is refused: a part with both keeps the order.
order() {
    { head_of; { op "$t" b 'exp(x = x)'; op "$t" a 'exp(x = b)'; op "$t" c 'exp(x = a)'; } |
        function_of main "$t x" 'b, a, c'; echo '}'; } >order.mil
    $ANEMONE bisect order.mil >order.log && cat order.log &&
        has order.log 'R-31' && has order.log '2 of 3 ops' &&
        has order-bisect.mil '(b, a)'
}
case_of 'the order of outputs' order

no_module() {
    sed 's/concat(/cat(/' two.mil >parse.mil
    $ANEMONE bisect parse.mil >parse.log && cat parse.log parse-bisect.mil || return 1
    [ "$(grep -c 'name = string' parse-bisect.mil)" -eq 3 ] &&
        has parse-bisect.mil "func other<ios18>($t b)" || return 1
    sh -c "$(command_of parse.log)" >again.log 2>&1
    [ $? -eq 1 ] && has again.log "op 'cat' is not known"
}
case_of 'an op that does not parse' no_module
sed 's/1.3/7.3/' two.mil >head.mil
head_is_shown() {
    $ANEMONE bisect head.mil >head.log 2>&1
    [ $? -eq 1 ] && has head.log 'head.mil:1:9: expected a version' &&
        [ ! -e head-bisect.mil ]
}
case_of 'a head that does not parse' head_is_shown

case_of 'no fault' fails_with 1 'no fault' $ANEMONE bisect two.mil --engine cpu
case_of 'no fault in values' fails_with 1 'no value is beyond the tolerance' \
    $ANEMONE bisect values.mil --against-numerics exact --tol 1e-2
case_of 'a chip of another engine' fails_with 2 'expected --engine soft' \
    $ANEMONE bisect rule.mil --engine cpu --chip m1
case_of 'no such chip' fails_with 2 'm9' $ANEMONE bisect rule.mil --chip m9
case_of 'no such input' fails_with 2 'no such input' \
    $ANEMONE bisect rule.mil --input y=x.npy
case_of 'no such function' fails_with 2 "no function 'g'" \
    $ANEMONE bisect rule.mil --function g

done_testing
