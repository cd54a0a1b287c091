#!/bin/sh
# anemone capture and verify: a file of what an engine returned, replayed.
. "$(dirname "$0")/tap"
file=$TMP/c.safetensors

captures() { "$ANEMONE" capture "$@" >"$TMP/said"; }
verifies() { "$ANEMONE" verify "$@" >"$TMP/said"; }

whole_suite() {
    captures --engine soft:m4 --out "$file" &&
        has "$TMP/said" 'programs on soft:m4, ' &&
        has "$TMP/said" 'tan: the engine has no such op' &&
        [ "$(ls "$TMP" | grep -c partial)" -eq 0 ]
}
case_of 'the suite, past the compile limit of a process' whole_suite

agrees() { verifies "$file" && has "$TMP/said" '0 different'; }
case_of 'a replay agrees' agrees
confirms() {
    verifies "$file" --all && has "$TMP/said" 'R-03 confirmed: ' &&
        has "$TMP/said" 'R-02 not seen: it ran, and right; the rule only warns' &&
        grep -q '^rules  *53 .*: 18 confirmed, 0 refuted' "$TMP/said"
}
case_of 'rules are confirmed by what refuses' confirms
refutes() {
    captures --engine soft:m4,rules=off --only rule/ --out "$TMP/off" || return 1
    verifies "$TMP/off"
    [ $? -eq 1 ] && has "$TMP/said" 'R-03 refuted: it ran, and right'
}
case_of 'and refuted by what runs them: exit status 1' refutes
by_data() {
    captures --engine soft:m4,rules=silent --only rule/R-35 --out "$TMP/w" &&
        ! grep -q refused: "$TMP/said" && verifies "$TMP/w" --all &&
        has "$TMP/said" 'R-35 confirmed'
}
case_of 'wrong data confirms a rule that says so' by_data
stale() {
    captures --engine soft:m4,reload=stale --only reload/ --out "$TMP/stale" ||
        return 1
    verifies "$TMP/stale"
    [ $? -eq 1 ] && has "$TMP/said" 'reload/conv'
}
case_of 'a reload that keeps the old weights differs' stale
replica=$(dirname "$ANEMONE")/replica/libAppleNeuralEngine.so
replays() {
    captures --engine apple --numerics hw --out "$TMP/replica" &&
        verifies "$TMP/replica" && has "$TMP/said" ' 0 different, ' &&
        grep -q '^rules  *53 .*: 18 confirmed, 0 refuted' "$TMP/said"
}
[ ! -e "$replica" ] || TMPDIR=$TMP TEMP=$TMP case_of 'the same on the replica' replays
threads() { verifies "$file" --threads 1 && has "$TMP/said" '0 different'; }
case_of 'with one thread too' threads

differs() {
    verifies "$file" --numerics ieee
    [ $? -eq 1 ] && has "$TMP/said" 'table/sigmoid' &&
        has "$TMP/said" 'steps of fp16'
}
case_of 'other numerics differ: exit status 1' differs

other_chip() {
    verifies "$file" --chip m1
    [ $? -eq 1 ] && has "$TMP/said" 'sum/lanes'
}
case_of 'another chip differs where its row does' other_chip

few() {
    captures --engine soft:m4,compiles=2 --only sum/ --out "$TMP/few" &&
        has "$TMP/said" 'sum/lanes' && verifies "$TMP/few" --all &&
        has "$TMP/said" 'sum/limit' && ! grep -q table/ "$TMP/said"
}
case_of '--only, two programs a process' few

flip() {
    cp "$file" "$TMP/changed" &&
        printf 'x' | dd of="$TMP/changed" bs=1 seek=5000000 conv=notrunc &&
        fails_with 1 'changed since it was written' "$ANEMONE" verify \
            "$TMP/changed"
}
case_of 'a changed byte is noticed' flip
case_of 'a text is no capture' fails_with 1 'not a capture' \
    "$ANEMONE" verify "$0"
case_of 'no file' fails_with 1 'gone' "$ANEMONE" verify "$TMP/gone"
case_of 'no such chip' fails_with 2 'm9' "$ANEMONE" verify "$file" --chip m9
case_of '--out is asked for' fails_with 2 'expected a file' "$ANEMONE" capture
case_of 'no such probe' fails_with 2 'holds' "$ANEMONE" capture --only nothing \
    --out "$TMP/x"
unwritable() {
    fails_with 1 "$TMP/no/x" "$ANEMONE" capture --quiet --engine soft:m4 \
        --only sum/tie --out "$TMP/no/x"
}
case_of 'a folder that is not there' unwritable
list() { "$ANEMONE" capture --list >"$TMP/said" && has "$TMP/said" 'table/tanh'; }
case_of '--list runs nothing' list
done_testing
