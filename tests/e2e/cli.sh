#!/bin/sh
# Usage: help, version, exit status, one line for what is wrong.
. "$(dirname "$0")/tap"

lists_commands() {
    $ANEMONE "$@" >"$TMP/list" || return 1
    for command in train generate eval check run; do
        has "$TMP/list" "  $command " || return 1
    done
}
case_of 'anemone alone lists the commands' lists_commands
case_of 'anemone help lists the commands' lists_commands help

helps() {
    $ANEMONE "$1" --help >"$TMP/help" && $ANEMONE help "$1" >"$TMP/help2" &&
        cmp "$TMP/help" "$TMP/help2" || return 1
    # Every option names its default, or that it is required.
    options=$(grep -c '^  --[a-z]' "$TMP/help")
    defaults=$(grep -c -e '\[.*default:' -e 'required\]' -e ' default:$' \
        -e 'default:$' "$TMP/help")
    echo "$options options, $defaults defaults"
    [ "$options" -gt 0 ] && ! sed 1d "$TMP/help" | grep -q ".\{80\}"
}
for command in train generate eval check run; do
    case_of "anemone $command --help" helps $command
done

units() {
    $ANEMONE train --help | tr -s ' \n' ' ' >"$TMP/help"
    for text in '[steps; default: 1000]' '[minutes; default: by steps]' \
        "[sequences; default: the model's]" '[share; default: 0.1]' \
        '[default: soft' '[required]'; do
        case $text in '[default: soft') text='[default: auto]' ;; esac
        has "$TMP/help" "$text" || return 1
    done
}
case_of 'help names defaults and units' units

version() {
    $ANEMONE --version >"$TMP/version" || return 1
    grep -q '^anemone [0-9]*\.[0-9]*\.[0-9]*$' "$TMP/version" &&
        grep -q '^commit   .' "$TMP/version" &&
        grep -q '^kernels  .' "$TMP/version" &&
        grep -q '^blas     .' "$TMP/version"
}
case_of 'version, commit, kernels, BLAS' version

a=$ANEMONE
case_of 'unknown command' fails_with 2 'did you mean train?' $a trian
case_of 'unknown option' fails_with 2 \
    "anemone train: unknown option '--step'; did you mean --steps?" \
    $a train --data "$0" --step 3
case_of 'malformed integer' fails_with 2 \
    "anemone train: --steps: expected an integer from 1 to 1000000000, got 'x'" \
    $a train --data "$0" --steps x
case_of 'number out of range' fails_with 2 '--top-p: expected a number from' \
    $a generate --checkpoint "$TMP" --top-p 1.5
case_of 'unknown choice' fails_with 2 "expected ieee or hw or exact, got 'fast'" \
    $a train --data "$0" --numerics fast
case_of 'option without its value' fails_with 2 'expected N, got nothing' \
    $a train --data "$0" --steps
case_of 'two lengths of a run' fails_with 2 \
    '--minutes: --steps says how long the run is' \
    $a train --data "$0" --steps 3 --minutes 1
case_of 'missing option' fails_with 2 '--data FILE... is missing' $a train
case_of 'missing operand' fails_with 2 'PROGRAM.mil is missing' $a check
case_of 'unexpected word' fails_with 2 "unexpected word 'b.mil'" \
    $a check a.mil b.mil
case_of 'unknown engine' fails_with 2 'soft' \
    $a train --data "$0" --engine warp --out "$TMP/never"
case_of 'missing program' fails_with 1 'no-such.mil' $a check no-such.mil
case_of 'missing data' fails_with 1 'no-such.txt' \
    $a train --data no-such.txt --out "$TMP/never"
case_of 'missing model' fails_with 1 'no-such.json' \
    $a train --data "$0" --model no-such.json --out "$TMP/never"
case_of 'missing checkpoint' fails_with 1 'no-such' \
    $a generate --checkpoint no-such
case_of 'nothing was written' test ! -e "$TMP/never"

full() {
    [ -w /dev/full ] || return 0
    $a train --help >/dev/full 2>"$TMP/err"
    [ $? -eq 1 ] && has "$TMP/err" 'cannot write the output'
}
case_of 'a full disk is an error' full

done_testing
