#!/bin/sh
# anemone doctor, and the self-test of an engine's build before its first
# training, against the replica where it is built.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/tap"
. "$here/tiny"
unset ANEMONE_REPLICA
doctor() { "$ANEMONE" doctor "$@" >"$TMP/said" 2>"$TMP/err"; }

here() {
    doctor && has "$TMP/said" 'Can I train here?  yes' &&
        has "$TMP/said" '--engine soft' && doctor --quiet &&
        [ ! -s "$TMP/said" ] && doctor --json && has "$TMP/said" '"yes": true'
}
case_of 'the software engine works anywhere' here
absent() {
    ANEMONE_FRAMEWORKS=/nowhere doctor --engine apple
    [ $? -eq 1 ] && [ ! -s "$TMP/err" ] && has "$TMP/said" '?  no' &&
        has "$TMP/said" '/nowhere' && has "$TMP/said" '-> make replica' ||
        return 1
    ANEMONE_FRAMEWORKS=/nowhere doctor --engine apple --json
    [ $? -eq 1 ] && has "$TMP/said" '"yes": false' &&
        has "$TMP/said" '"self_test": null'
}
case_of 'no framework: no, and the next thing to do' absent
case_of 'no such engine' fails_with 2 'expected auto or apple' \
    "$ANEMONE" doctor --engine soft
no_test() {
    ANEMONE_FRAMEWORKS=/nowhere fails_with 1 'cannot be opened' \
        "$ANEMONE" doctor --test
}
case_of 'nothing to test' no_test

. "$here/replica"
kept() { find "$XDG_CACHE_HOME" -name 'engine-*.json' | wc -l; }

untested() {
    doctor --engine apple && has "$TMP/said" 'not done on this build' &&
        has "$TMP/said" '-> anemone doctor --test' && [ "$(kept)" -eq 0 ]
}
case_of 'a build that was not tested' untested

# finds SETTINGS TEXT...: the self-test under these settings finds all of it.
finds() {
    settings=$1
    shift
    ANEMONE_REPLICA=$settings doctor --engine apple --test &&
        has "$TMP/said" 'done on this build' || return 1
    for text in "$@"; do
        tr -s ' ' <"$TMP/said" >"$TMP/narrow"
        has "$TMP/narrow" "$text" || return 1
    done
}
case_of 'as it is by default' finds '' 'outputs of any sizes' \
    'table of symbols right' 'rows of 32 bytes refused' \
    'the same object loaded old weights' 'a new object loaded new weights' \
    'process 119, the next one failed'
case_of 'symbols by name' finds rules=off 'symbols of inputs by name' \
    'symbols of outputs by name' 'bytes start at multiples of 64'
case_of 'symbols as declared' finds rules=off,order=declared \
    'symbols of inputs as declared' 'symbols of outputs as declared' \
    'table of symbols right'
case_of 'data that are wrong in silence' finds rules=silent \
    'neither by name nor as declared' 'table of symbols wrong' \
    'rows of 32 bytes are elsewhere'
case_of 'a reload that takes files' finds reload=honoured \
    'the same object loaded new weights'
case_of 'places that an unload gives back' finds compiles=0 \
    'given back by unload' 'process 140 programs and more'
case_of 'places that a model keeps with its program' finds slot=release,live=9 \
    'given back by unload, and no program left' 'process 9 programs and more'
case_of 'files that are verified' finds verify=on 'a new object loaded new weights'
case_of 'fewer compiles' finds compiles=30 'process 30, the next one failed'
all_kept() { [ "$(kept)" -eq 9 ]; }
case_of 'a verdict for each' all_kept

one_port() {
    ANEMONE_REPLICA=fault=eval:3=0x1d,eval:4=0x1d doctor --engine apple --test
    [ $? -eq 1 ] && has "$TMP/said" 'one input' && has "$TMP/said" 'too small'
}
case_of 'one input a program: no' one_port
equal_ports() {
    ANEMONE_REPLICA=fault=eval:3=0x1d doctor --engine apple --test
    [ $? -eq 1 ] && has "$TMP/said" 'different sizes are refused'
}
case_of 'equal sizes only: no' equal_ports
refused_training() {
    fails_with 1 'the self-test found' "$ANEMONE" train --data text \
        --model tiny.json --out refused --steps 1 --quiet --sample-every 0 \
        --engine apple
}
case_of 'then training is refused, in a line' refused_training
fails() {
    rm -rf "$XDG_CACHE_HOME"
    ANEMONE_REPLICA=fault=$1 fails_with 1 "$2" "$ANEMONE" doctor --engine \
        apple,watchdog=1 --test && [ "$(kept)" -eq 0 ]
}
mkdir -p "$XDG_CACHE_HOME"
case_of 'an engine that runs nothing' fails compile:1=1 'self-test'
mkdir -p "$XDG_CACHE_HOME"
case_of 'an evaluation that hangs' fails eval:4=hang 'the engine is dead'
mkdir -p "$XDG_CACHE_HOME"
case_of 'a compile that hangs, among many' fails compile:60=hang \
    'the engine is dead'

# ---- before the first training ----

train_one() {
    train "$1" 2 --engine apple --sample-every 0 >"$TMP/said" 2>"$TMP/err"
}
first() {
    rm -rf "$XDG_CACHE_HOME"
    train_one one && has "$TMP/said" 'is tested first, once' &&
        [ "$(kept)" -eq 1 ]
}
case_of 'the first training tests' first
second() { train_one two && ! grep -q 'is tested first' "$TMP/said"; }
case_of 'the second does not' second
same() { train soft 2 --quiet && train quiet 2 --quiet --engine apple &&
    same_run soft quiet; }
case_of 'and the run is that of the software engine' same
again() {
    file=$(find "$XDG_CACHE_HOME" -name 'engine-*.json')
    echo '{"test": 1' >"$file"
    doctor --engine apple && has "$TMP/said" 'due again' && train_one three &&
        has "$TMP/said" 'is tested first, once' && doctor --engine apple &&
        has "$TMP/said" 'done on this build'
}
case_of 'a broken verdict is made anew' again
faults() {
    rm -rf "$XDG_CACHE_HOME"
    ANEMONE_REPLICA=fault=eval:2=0x1d,slot=release fails_with 1 'status=0x1d' \
        "$ANEMONE" train --data text --model tiny.json --out faulty --steps 1 \
        --quiet --sample-every 0 --engine apple && [ "$(kept)" -eq 1 ]
}
case_of 'faults are for the run, not for the test' faults
unwritable() {
    : >"$TMP/file"
    XDG_CACHE_HOME=$TMP/file fails_with 1 "$TMP/file" "$ANEMONE" train \
        --data text --model tiny.json --out no --steps 1 --quiet \
        --sample-every 0 --engine apple
}
case_of 'no place for a verdict' unwritable
nowhere() {
    fails_with 1 'XDG_CACHE_HOME' env -u XDG_CACHE_HOME -u HOME "$ANEMONE" \
        train --data text --model tiny.json --out no --steps 1 --quiet \
        --sample-every 0 --engine apple
}
case_of 'no cache folder at all' nowhere
guest() {
    ANEMONE_REPLICA=machine=virtual doctor --engine apple
    [ $? -eq 1 ] && has "$TMP/said" 'a virtual machine' &&
        has "$TMP/said" 'the framework says that there is none'
}
case_of 'a guest: no' guest
bounded() {
    rm -rf "$XDG_CACHE_HOME"
    ANEMONE_REPLICA=compiles=12 train twelve 6 --quiet --weights bake \
        --engine apple && train soft6 6 --quiet && same_run soft6 twelve
}
case_of 'compiles that were found are not exceeded' bounded
done_testing
