#!/bin/sh
# anemone run --numerics hw against a capture of a real engine: the backward
# program of a feed-forward block with the input and the weights it was run on
# (christopherkarani/Espresso, FFNBackwardGenerator.mil and its fixtures; what
# the engine returned is in tests/data/hw/ffn_backward_dx.csv).
. "$(dirname "$0")/tap"
data=$(cd "$(dirname "$0")/../data/hw" && pwd)

# Numbers, one a line, as fp16: normal ones rounded to nearest, and 0.
halves() {
    printf "$(awk '{
        x = $1
        bits = 0
        if (x > 0) {
            for (e = 15; x >= 2; e++) x /= 2
            for (; x < 1; e--) x *= 2
            bits = (e - 1) * 1024 + int(x * 1024 + 0.5)
        }
        printf "\\%03o\\%03o", bits % 256, int(bits / 256)
    }')"
}

# FILE TIMES...: the file repeated, in place, as often as the product.
repeat() {
    file=$1
    shift
    for times; do
        i=0
        while [ $i -lt "$times" ]; do
            cat "$file"
            i=$((i + 1))
        done >"$file.more"
        mv "$file.more" "$file"
    done
}

zeros() { head -c "$1" /dev/zero; }

# Version 2 of a weight file: one fp16 record of 768 x 2048 elements, 0.01.
weights() {
    echo 0.01 | halves >"$TMP/w"
    repeat "$TMP/w" 64 64 16 24
    printf '\001\000\000\000\002\000\000\000'
    zeros 56
    printf '\357\276\255\336\001\000\000\000\000\000\060\000\000\000\000\000'
    printf '\200\000\000\000\000\000\000\000'
    zeros 40
    cat "$TMP/w"
}

# Element i of the input, counted from its start: fp16((i mod 128 + 1) 0.005).
prepare() {
    awk 'BEGIN { for (i = 1; i <= 128; i++) printf "%.17g\n", i * 0.005 }' |
        halves >"$TMP/x.bin"
    repeat "$TMP/x.bin" 64 8 19
    mkdir -p "$TMP/weights"
    weights >"$TMP/weights/weight.bin"
    sed -n 's/^[0-9]*,//p' "$data/ffn_backward_dx.csv" | halves >"$TMP/dx.bin"
    cp "$TMP/dx.bin" "$TMP/all.bin"
    repeat "$TMP/all.bin" 2 16 48
    [ "$(wc -c <"$TMP/x.bin")" -eq 2490368 ] &&
        [ "$(wc -c <"$TMP/weights/weight.bin")" -eq 3145856 ] &&
        [ "$(wc -c <"$TMP/dx.bin")" -eq 256 ]
}
case_of 'the inputs of the capture' prepare

run() { # NUMERICS THREADS OUT
    $ANEMONE run "$data/ffn_backward.mil" --model-path "$TMP" --numerics "$1" \
        --threads "$2" --input x="$TMP/x.bin" --output y="$3"
}

lines() { od -An -v -tx2 | tr -s ' ' '\n' | sed '/^$/d'; }

# How many of the 128 values are as captured. dx stands first in the output.
same() {
    head -c 256 "$1" | lines >"$TMP/came"
    lines <"$TMP/dx.bin" | paste -d= "$TMP/came" - |
        awk -F= '$1 == $2 { n++ } END { print n + 0 }'
}

# dx repeats along the positions and is the same in every channel.
captured() {
    run hw 2 "$TMP/y.bin" && [ "$(same "$TMP/y.bin")" -eq 128 ] &&
        head -c 393216 "$TMP/y.bin" | cmp - "$TMP/all.bin"
}
case_of 'hw returns the captured values' captured
echo "# figure: ffn_backward_dx: $(same "$TMP/y.bin") of 128 values bit for bit by anemone run"

differs() { run ieee 2 "$TMP/z.bin" && [ "$(same "$TMP/z.bin")" -lt 32 ]; }
case_of 'ieee returns few of them' differs
echo "# figure: in ieee $(same "$TMP/z.bin") of 128"

threads() {
    run hw 1 "$TMP/1.bin" && run hw 3 "$TMP/3.bin" &&
        cmp "$TMP/1.bin" "$TMP/y.bin" && cmp "$TMP/3.bin" "$TMP/y.bin"
}
case_of 'hw does not depend on threads' threads

case_of 'cpu has no chip' fails_with 2 \
    'numerics hw needs a chip, engine cpu has none' \
    "$ANEMONE" run "$data/ffn_backward.mil" --model-path "$TMP" \
    --input x="$TMP/x.bin" --engine cpu --numerics hw

done_testing
