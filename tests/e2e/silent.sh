#!/bin/sh
# What the software engine does with programs that break a rule: it refuses, as
# hardware does or because hardware would give wrong data; --silent-faults asks
# for that data.
. "$(dirname "$0")/tap"
cd "$TMP" || exit 1
t='tensor<fp16, [1, 2, 1, 32]>'
head='program(1.3)
[buildInfo = dict<string, string>({{"coremlc-version", "3600.25.1"}})]
{
'
program() { # FILE INPUTS BODY OUTPUTS
    printf '%s    func main<ios18>(%s) {\n%s\n        } -> (%s);\n}\n' "$head" \
        "$2" "$3" "$4" >"$1"
}
run="$ANEMONE run --engine soft:m4"

# z - a: bound in the text's order to ports in the order of their names, a - z.
program order.mil "$t z, $t a" \
    "            $t y = sub(x = z, y = a)[name = string(\"y\")];" y
values() { # FILE VALUE (fp16, two octal bytes): 64 of them
    i=0
    while [ $i -lt 64 ]; do
        printf "$2"
        i=$((i + 1))
    done >"$1"
}
values one.bin '\000\074'
values two.bin '\000\100'
values minus.bin '\000\274'
values zero.bin '\000\000'
refused() { # ID LINE FILE
    $run --random 1 "$3" >out 2>err
    [ $? -eq 1 ] && [ ! -s out ] && has err "$3:$2:" && has err "$1: "
}
case_of 'an order of ports that binds wrongly is refused' refused R-30 4 order.mil
inputs='--input z=two.bin a=one.bin'
swapped() {
    $run --silent-faults order.mil $inputs --compare minus.bin &&
        $run --engine soft:m4,rules=silent order.mil $inputs --compare minus.bin
}
case_of '--silent-faults swaps the surfaces' swapped
plain() {
    $run --engine soft:m4,rules=off order.mil $inputs --compare one.bin &&
        $ANEMONE run --engine cpu order.mil $inputs --compare one.bin
}
case_of 'without rules, and on cpu, ports have their names' plain

short='tensor<fp16, [1, 4, 1, 16]>'
program rows.mil "$short x" \
    "            $short y = add(x = x, y = x)[name = string(\"y\")];" y
case_of 'rows that are no multiple of 64 bytes' refused R-35 4 rows.mil
zeros() {
    $run --silent-faults rows.mil --input x=one.bin --compare zero.bin
}
case_of 'give zeros' zeros

program round.mil "$t x" "            $t r = floor(x = x)[name = string(\"r\")];
            fp16 half = const()[name = string(\"half\"), val = fp16(0x1p-1)];
            $t y = mul(x = r, y = half)[name = string(\"y\")];" y
dropped() {
    $ANEMONE run --engine soft:m5 --random 1 round.mil >out 2>err
    [ $? -eq 1 ] && has err 'R-14: ' || return 1
    $run round.mil --input x=two.bin --compare one.bin &&
        $ANEMONE run --engine soft:m5 --silent-faults round.mil \
            --input x=two.bin --compare two.bin
}
case_of 'a factor behind floor is dropped on m5, not on m4' dropped

q='tensor<fp16, [1, 1, 32, 32]>'
program mask.mil "$q k, $q q, $q v, $q w" "            $q y = \
scaled_dot_product_attention(query = q, key = k, value = v, attn_mask = w)[name = string(\"y\")];" y
program plain.mil "$q k, $q q, $q v" "            $q y = \
scaled_dot_product_attention(query = q, key = k, value = v)[name = string(\"y\")];" y
ignored() {
    refused R-74 5 mask.mil &&
        $run --random 3 plain.mil --output y=y.npy &&
        $run --random 3 --silent-faults mask.mil --compare y.npy &&
        ! $run --random 3 --engine soft:m4,rules=off mask.mil --compare y.npy
}
case_of 'the mask of attention is ignored' ignored

program tan.mil "$t x" "            $t y = tan(x = x)[name = string(\"y\")];" y
lacking() {
    refused D3 5 tan.mil && $run --silent-faults --random 1 tan.mil >out 2>err
    [ $? -eq 1 ] && has err 'ANECCompile() FAILED'
}
case_of 'what hardware refuses is refused all the same' lacking
case_of 'no such answer' fails_with 2 'rules=refuse|silent|off' $ANEMONE run \
    --engine soft:m4,rules=maybe tan.mil
done_testing
