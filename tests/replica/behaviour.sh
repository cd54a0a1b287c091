#!/bin/sh
# The replica's classes point by point, and the settings that sources
# contradict each other on.
export TMPDIR="$TMP"
bad=0
run="$BUILD/replica/tests/behaviour"
$run || bad=1

# setting WORDS CASE
setting() {
    ANEMONE_REPLICA=$1 $run "$2" || bad=1
}
setting rules=off rows
setting rules=refuse rules
setting rules=off alphabetical
setting rules=off,order=declared declared
setting reload=honoured honoured
setting compiles=0,live=10 kept
setting compiles=0,live=10 leaked
setting compiles=0,live=10,dealloc=unload unloads
setting compiles=0,live=10 freed
setting compiles=0,live=10,slot=release parked
setting compiles=0,live=10,slot=release released
setting compiles=0,live=10,count=texts texts
setting compiles=0,live=10,count=identifiers texts
setting miss=free,compiles=1,live=10 kept
setting map=fails unmapped
setting fault=map:1 map
setting perf=off perf
exit $bad
