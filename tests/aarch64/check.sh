# The arm64 program and its tests, under qemu-user: the unit tests (products in
# ieee within their derived bounds, hw against the stored results of real
# engines), and the same bits in hw and exact as the program built for this
# machine gives.
#     sh tests/aarch64/check.sh FOLDER TEST...    (with BUILD and AARCH64_LIB)
ANEMONE=$BUILD/anemone
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
. tests/e2e/tap
arm=$(cd "$1" && pwd)
shift
export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
export QEMU_SET_ENV="LD_LIBRARY_PATH=$AARCH64_LIB:$AARCH64_LIB/openblas-pthread"
export CMOCKA_MESSAGE_OUTPUT=TAP

emulated() { qemu-aarch64 "$arm/anemone" "$@"; }

runs_neon() { emulated --version >"$TMP/said" && has "$TMP/said" 'kernels  neon'; }
case_of 'the arm64 program starts, with its own kernels' runs_neon

# Two at a time, the longest (the first) beside all others.
printf '%s\n' "$@" | xargs -P 2 -n 1 sh -c '
    timeout 1800 qemu-aarch64 "$0/tests/unit/$2" >"$1/$2.log" 2>&1
    echo $? >"$1/$2.status"' "$arm" "$TMP"
passed() {
    grep -v '^ok ' "$TMP/$1.log"
    [ "$(cat "$TMP/$1.status")" -eq 0 ] && grep -q '^ok 1' "$TMP/$1.log"
}
for test; do
    case_of "$test" passed "$test"
done

# captured NUMERICS: this machine's results, replayed by the other.
captured() {
    "$ANEMONE" capture --engine soft:m4 --numerics "$1" --out "$TMP/$1" --quiet &&
        emulated verify "$TMP/$1" --numerics "$1" >"$TMP/said" &&
        has "$TMP/said" ' 0 different' && has "$TMP/said" ' 0 refused by one'
}
case_of 'hw: every captured program gives the same bits' captured hw
case_of 'exact: the same' captured exact
another() {
    "$ANEMONE" capture --engine soft:m4 --only sum/ --out "$TMP/sums" --quiet &&
        emulated verify "$TMP/sums" --chip m1 >"$TMP/said"
    [ $? -eq 1 ] && has "$TMP/said" 'sum/lanes'
}
case_of 'a difference would be seen' another

ANEMONE=$(cd "$BUILD" && pwd)/anemone
. tests/e2e/tiny
trained() {
    train here 3 --numerics exact --quiet &&
        ANEMONE="qemu-aarch64 $arm/anemone" &&
        train there 3 --numerics exact --quiet && same_run here there
}
case_of 'exact: training gives the same weights and losses' trained
done_testing
