#!/bin/sh
# kill -9 at random moments of an export, of a cache being written and of
# anemone data: what stands under the final name is whole, or nothing does. Each
# case runs until three kills have left a temporary behind, so that some surely
# came in the midst of writing.
. "$(dirname "$0")/tap"
. "$(dirname "$0")/tiny"

# 29 MB of weights, written in some tens of milliseconds.
cat >wide.json <<'END'
{"model_type": "llama", "hidden_size": 512, "intermediate_size": 1024,
 "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8,
 "max_position_embeddings": 32, "vocab_size": 4096, "rms_norm_eps": 1e-5,
 "rope_theta": 10000.0, "tie_word_embeddings": true}
END
for i in 1 2 3 4 5 6 7 8; do cat text; done >long
model() {
    $ANEMONE train --data text --model wide.json --out wide --steps 1 --seq 8 \
        --batch 1 --sample-every 0 --engine cpu --quiet &&
        $ANEMONE data train-tokenizer text --vocab 400 --out own.json --quiet
}
case_of 'a model and a tokenizer' model

# The next of 40 delays between 2 and 200 ms: small ones are more frequent, as
# whatever it is that is killed should be met in each of its phases.
next_delay() {
    awk -v i="$1" -v seed="$$" 'BEGIN {
        srand(seed * 1000 + i); rand()
        printf "%.3f\n", 0.002 * exp(rand() * log(100))
    }'
}

# A cache tells when it was made.
same_cache() {
    for file in "$1" "$2"; do
        LC_ALL=C sed 's/"made":[0-9]*//' "$file" >"$file.ids" || return 1
    done
    cmp "$1.ids" "$2.ids"
}
same='diff -r'

# killed OUT COMMAND...: OUT is made whole once by the command, then aside.
killed() {
    out=$1
    shift
    "$@" || return 1
    [ -e "$out" ] && mv "$out" whole-"$out" || return 1
    met=0 i=0
    while [ $met -lt 3 ] && [ $i -lt 200 ]; do
        i=$((i + 1))
        "$@" >/dev/null 2>&1 &
        sleep "$(next_delay $i)"
        kill -9 $! 2>/dev/null
        wait $! 2>/dev/null
        if [ -e "$out" ]; then
            $same "$out" whole-"$out" || return 1
        fi
        # The names of half-written files and folders.
        for part in "$out".tmp*; do
            [ -e "$part" ] && met=$((met + 1))
        done
        rm -rf "$out" "$out".tmp*
    done
    echo "$i kills, $met of them while it was written"
    [ $met -ge 3 ] || return 1
    "$@" && $same "$out" whole-"$out"
}

for how in 'safetensors f32' 'safetensors bf16' 'llama2c f32' 'llama2c q8_0' \
    'gguf f32' 'gguf f16' 'gguf q8_0'; do
    # shellcheck disable=SC2086 # two words
    set -- $how
    case_of "export to $how" killed "wide.$1-$2" $ANEMONE export \
        --checkpoint wide --to "$1" --dtype "$2" --out "wide.$1-$2"
done
case_of 'data encode' killed long.bin $ANEMONE data encode long \
    --tokenizer own.json --out long.bin --quiet
case_of 'data decode' killed long.txt $ANEMONE data decode whole-long.bin \
    --tokenizer own.json --out long.txt --quiet

# A run's cache: the ids of its text.
sed 's/"vocab_size": 257/"vocab_size": 400/' tiny.json >ids.json
cat >cached.sh <<END
rm -rf run
exec "$ANEMONE" train --data long --model ids.json --tokenizer own.json \\
    --out run --steps 1 --batch 1 --sample-every 0 --engine cpu --quiet
END
same=same_cache
case_of 'the cache of a run' killed run.tokens sh cached.sh
done_testing
