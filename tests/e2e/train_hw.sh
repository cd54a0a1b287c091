#!/bin/sh
# Training in a chip's numerics: it follows ieee, and a loss scale that is far
# too high comes down by itself.
. "$(dirname "$0")/tap"
. "$(dirname "$0")/tiny"

# The learning rate is one at which ieee itself has no peaks: beyond, the two
# part by chance.
STEPS=60
short() {
    folder=$1
    shift
    train "$folder" $STEPS --lr 1e-3 --quiet "$@"
}

losses() { sed 's/.*"loss": *\([^,}]*\).*/\1/' "$1/metrics.jsonl"; }

# The largest relative difference of two runs' losses, from a step on.
deviation() {
    losses "$1" >1.losses
    losses "$2" >2.losses
    paste 1.losses 2.losses | awk -v from="$3" '
        { d = $2 / $1 - 1; if (d < 0) d = -d }
        NR >= from && d > worst { worst = d }
        END { printf "%.4f\n", worst }'
}
below() { awk -v x="$1" -v y="$2" 'BEGIN { exit !(x < y) }'; }

follows() {
    short ieee && short hw --numerics hw &&
        [ "$(losses hw | wc -l)" -eq $STEPS ] &&
        below "$(deviation ieee hw 1)" 0.02
}
case_of 'the loss in hw is within 2 % of ieee at every step' follows
echo "# figure: loss in hw against ieee: at most $(deviation ieee hw 1) apart" \
    "in $STEPS steps, $(deviation ieee hw $STEPS) at the end"

# The scale halves at each skipped update until nothing overflows; a later peak
# of the gradients may cost one more.
skips() { grep -c '"skipped": *1' "$1/metrics.jsonl"; }
recovers() {
    short hot --numerics hw --loss-scale 16777216 --scaling dynamic || return 1
    skipped=$(skips hot)
    echo "$skipped skipped"
    head -n 1 hot/metrics.jsonl | grep -q '"skipped": *1' &&
        [ "$skipped" -gt 4 ] && [ "$skipped" -lt 20 ] &&
        [ "$(tail -n 20 hot/metrics.jsonl | grep -c '"skipped": *1')" -le 1 ] ||
        return 1
    first=$(losses hot | head -n 1)
    below "$(losses hot | tail -n 1)" \
        "$(awk -v x="$first" 'BEGIN { print 0.9 * x }')"
}
case_of 'a run driven into overflow recovers' recovers
echo "# figure: loss scale 2^24: $(skips hot) of $STEPS updates skipped, loss" \
    "$(losses hot | head -n 1) to $(losses hot | tail -n 1)"

stays() {
    short fixed --numerics hw --loss-scale 16777216 --scaling fixed
    [ ! -e fixed/metrics.jsonl ] || [ "$(skips fixed)" -eq $STEPS ]
}
case_of 'with a fixed scale it does not' stays

whole_way() {
    $ANEMONE eval --checkpoint hw --data text --numerics hw >out && cat out &&
        has out 'nats per token' &&
        $ANEMONE generate --checkpoint hw --numerics hw --tokens 8 >out
}
case_of 'eval and generate in hw' whole_way

done_testing
