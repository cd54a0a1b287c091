#!/bin/sh
# anemone check: where a program is wrong, in one line and in the source.
. "$(dirname "$0")/tap"

cat >"$TMP/good.mil" <<'END'
program(1.3)
[buildInfo = dict<string, string>({{"coremlc-version", "3600.25.1"}})]
{
    func main<ios18>(tensor<fp16, [1, 64, 1, 32]> x) {
            fp16 half = const()[name = string("half"), val = fp16(0x1p-1)];
            tensor<fp16, [1, 64, 1, 32]> y = mul(x = x, y = half)[name = string("y")];
        } -> (y);
}
END
sed 's/mul(x = x/mull(x = x/' "$TMP/good.mil" >"$TMP/op.mil"
sed 's/mul(x = x, y = half)/mul(x = x, y = half/' "$TMP/good.mil" >"$TMP/syntax.mil"
sed 's/64, 1, 32\]> y/63, 1, 32]> y/' "$TMP/good.mil" >"$TMP/type.mil"
sed 's/y = half)/y = haf)/' "$TMP/good.mil" >"$TMP/name.mil"
# The same error at column 5000 of one long line.
{
    printf 'program(1.3) [buildInfo = dict<string, string>({{"a", "'
    head -c 5000 /dev/zero | tr '\0' 'a'
    printf '"}})] { func main<ios18>(fp16 x) { fp16 y = mull(x = x, y = x); } -> (y); }'
} >"$TMP/long.mil"

summary() {
    $ANEMONE check "$TMP/good.mil" >"$TMP/out" && cat "$TMP/out" &&
        [ "$(cat "$TMP/out")" = \
            "$TMP/good.mil: ok, 1 function, 2 ops, 1 parameter" ]
}
case_of 'a good program' summary

# shows FILE LINE TEXT WORD: the first line is file:line:column: with TEXT, the
# second the source, and the caret of the third stands below WORD.
shows() {
    $ANEMONE check "$TMP/$1" >"$TMP/out" 2>"$TMP/err"
    status=$?
    cat "$TMP/err"
    [ $status -eq 1 ] && [ ! -s "$TMP/out" ] &&
        [ "$(wc -l <"$TMP/err")" -eq 3 ] || return 1
    sed -n 1p "$TMP/err" | grep -q "^$TMP/$1:$2:[0-9][0-9]*: .*$3" || return 1
    [ "$(sed -n 2p "$TMP/err" | wc -c)" -lt 100 ] || return 1
    caret=$(sed -n 3p "$TMP/err" | sed 's/[^ ]*$//' | tr -d '\n' | wc -c)
    below=$(sed -n 2p "$TMP/err" | cut -c$((caret + 1))-)
    case $below in "$4"*) ;; *)
        echo "the caret stands below '$below', not '$4'"
        return 1
        ;;
    esac
}
case_of 'an unknown op is named' shows op.mil 6 mull mull
case_of 'a syntax error' shows syntax.mil 6 '' '[name'
case_of 'a type that does not fit' shows type.mil 6 63 ''
case_of 'an unknown name' shows name.mil 6 haf haf
case_of 'a long line is cut around the place' shows long.mil 1 mull mull

empty() {
    : >"$TMP/empty.mil"
    $ANEMONE check "$TMP/empty.mil" 2>"$TMP/err"
    [ $? -eq 1 ] && has "$TMP/err" "$TMP/empty.mil:1:1: "
}
case_of 'an empty file' empty
model() {
    mkdir -p "$TMP/x.mlmodelc" && cp "$TMP/good.mil" "$TMP/x.mlmodelc/model.mil" &&
        $ANEMONE check "$TMP/x.mlmodelc" >"$TMP/out" && cat "$TMP/out" &&
        has "$TMP/out" 'ok, 1 function, 2 ops, 1 parameter' || return 1
    cp "$TMP/op.mil" "$TMP/x.mlmodelc/model.mil"
    $ANEMONE check "$TMP/x.mlmodelc/" 2>"$TMP/err"
    [ $? -eq 1 ] && has "$TMP/err" "$TMP/x.mlmodelc/model.mil:6:"
}
case_of 'a compiled model' model
case_of 'a folder' fails_with 1 "$TMP" $ANEMONE check "$TMP"


sed 's/32\]/30]/g' "$TMP/good.mil" >"$TMP/rows.mil"
sed '/half = /d; s/y = half/y = fp16(0x1p-1)/' "$TMP/good.mil" >"$TMP/inline.mil"
sed 's/mul(x = x, y = half)/sin(x = x)/' "$TMP/good.mil" >"$TMP/sin.mil"

# All breaches, each with its line and caret, and how many.
breaches() {
    $ANEMONE check "$TMP/rows.mil" >"$TMP/out" 2>"$TMP/err"
    status=$?
    cat "$TMP/err"
    [ $status -eq 1 ] && [ ! -s "$TMP/out" ] &&
        [ "$(wc -l <"$TMP/err")" -eq 7 ] &&
        has "$TMP/err" "$TMP/rows.mil:4:51: error R-35: input 'x' has rows" &&
        has "$TMP/err" "$TMP/rows.mil:6:42: error R-35: output 'y' has rows" &&
        has "$TMP/err" '(Z E1 W; rewrite: pad the last axis, slice inside)' &&
        has "$TMP/err" "$TMP/rows.mil: 2 errors"
}
case_of 'rules: every breach is listed' breaches

warnings() {
    $ANEMONE check "$TMP/inline.mil" >"$TMP/out" 2>"$TMP/err" &&
        has "$TMP/err" 'warn R-02' && has "$TMP/out" '1 parameter, 1 warning' &&
        ! $ANEMONE check --strict "$TMP/inline.mil" >"$TMP/out" 2>"$TMP/err"
}
case_of 'rules: a warning fails with --strict alone' warnings

chips() {
    $ANEMONE check "$TMP/sin.mil" >"$TMP/out" 2>&1 &&
        $ANEMONE check --chip m5 "$TMP/sin.mil" >"$TMP/out" 2>&1 &&
        ! $ANEMONE check --chip m1 "$TMP/sin.mil" >"$TMP/out" 2>&1 &&
        ! $ANEMONE check --chip all "$TMP/sin.mil" >"$TMP/out" 2>&1 &&
        has "$TMP/out" 'error D3a: sin: the engine has no such op (on m1 m2; C1'
}
case_of 'rules: a chip has its own' chips
case_of 'rules: an unknown chip' fails_with 2 'm9' $ANEMONE check --chip m9 "$TMP/good.mil"

json() {
    $ANEMONE check --json "$TMP/rows.mil" >"$TMP/out" 2>"$TMP/err"
    [ $? -eq 1 ] && [ ! -s "$TMP/err" ] && [ "$(head -c 1 "$TMP/out")" = '[' ] &&
        [ "$(grep -c '"id": "R-35"' "$TMP/out")" -eq 2 ] &&
        $ANEMONE check --json "$TMP/good.mil" >"$TMP/out" &&
        [ "$(cat "$TMP/out")" = '[]' ] &&
        ! $ANEMONE check --json "$TMP/op.mil" >"$TMP/out" && has "$TMP/out" '"id": "unsupported"'
}
case_of 'rules: one JSON array' json

rows() {
    $ANEMONE rules >"$TMP/all" && $ANEMONE rules --chip m1 >"$TMP/m1" &&
        [ "$(wc -l <"$TMP/all")" -gt 110 ] && grep -q '^R-35 ' "$TMP/all" &&
        grep -q '^D3a ' "$TMP/m1" && ! grep -q '^R-104 ' "$TMP/m1" &&
        $ANEMONE rules R-35 >"$TMP/out" && has "$TMP/out" 'Z: success, zeros' &&
        $ANEMONE rules --json R-35 >"$TMP/out" && has "$TMP/out" '"id": "R-35"'
}
case_of 'rules: the rows' rows
case_of 'rules: an unknown id' fails_with 2 'R-03' $ANEMONE rules R-3

done_testing
