#!/bin/sh
# Text with a cache of keys and values is that without one, in every type.
. "$(dirname "$0")/tap"
root=$(pwd)
case $ANEMONE in /*) ;; *) ANEMONE=$root/$ANEMONE ;; esac
cd "$TMP" || exit 1
head -c 6000 "$root/README.md" >text
$ANEMONE train --model small --data text --out run --steps 12 --batch 2 \
    --seq 32 --engine cpu --quiet --sample-every 0 || exit 1

write() {
    $ANEMONE generate --checkpoint run --engine cpu --temperature 0 --quiet \
        --tokens 150 --prompt 'Anemone is' "$@"
}

same() {
    for type in file f32 f16 q8; do
        write --dtype $type >cached || return 1
        write --dtype $type --no-cache >plain || return 1
        cmp cached plain || return 1
        [ "$(wc -c <cached)" -gt 60 ] || return 1
    done
}
case_of 'the cache changes no text' same

refused() {
    fails_with 2 'exact numerics hold fp64, not q8' $ANEMONE generate \
        --checkpoint run --engine cpu --numerics exact --dtype q8 &&
        fails_with 2 'dtype' $ANEMONE generate --checkpoint run --dtype q3
}
case_of 'types that cannot be are refused' refused
done_testing
