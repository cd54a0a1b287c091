#!/bin/sh
# The apple engine on the replica leaves nothing behind: objects by the
# replica's count, memory by valgrind's, over 1,000 evaluations, beyond both
# limits, and with each request for memory failing in turn. What lives on at
# the end is listed in docs/replica.md.
. "$(dirname "$0")/../e2e/tap"
here=$(cd "$(dirname "$0")" && pwd)
manual=$here/../../docs/replica.md
ANEMONE_FRAMEWORKS=$(cd "$BUILD/replica" && pwd)
engine=$ANEMONE_FRAMEWORKS/tests/engine
export ANEMONE_FRAMEWORKS TMPDIR="$TMP" TEMP="$TMP" XDG_CACHE_HOME="$TMP"
unset CMOCKA_MESSAGE_OUTPUT # TAP is this script's to print

# No class has more objects in the report than in the manual's list.
listed() {
    objects=$(sed -n 's/^replica: [0-9]* objects alive: //p' "$1")
    list=$(sed -n 's/^`\(.*_ANEClient 1\)`$/\1/p' "$manual")
    echo "$list;$objects" | awk -F';' '
        { n = split($1, known, ", "); m = split($2, alive, ", ") }
        END {
            for (i = 1; i <= n; i++) {
                split(known[i], word, " ")
                most[word[1]] = word[2]
            }
            for (i = 1; i <= m; i++) {
                split(alive[i], word, " ")
                if (word[2] > most[word[1]]) print bad = "leak: " alive[i]
            }
            exit !n || !m || bad != ""
        }' && echo "# figure: alive at the end: $objects" >alive
}
# leaves_nothing CASE SETTINGS [WRAPPER...]
leaves_nothing() {
    name=$1 settings=report=exit$2
    shift 2
    ANEMONE_REPLICA=$settings "$@" "$engine" "$name" >out 2>err
    status=$?
    cat out err
    grep '^# figure' out | sed "s/^# figure:/&${1:+ $1:}/" >>figures
    [ $status -eq 0 ] && listed err
}
cd "$TMP" || exit 1
case_of '1,000 evaluations' leaves_nothing evaluations ''
case_of 'beyond the limit of programs' leaves_nothing live ,compiles=0
case_of 'beyond the limit of compiles' leaves_nothing compiles ''
case_of 'what it refuses' leaves_nothing refusals ''
case_of 'each request for memory fails in turn' \
    leaves_nothing memory ,compiles=0

if command -v valgrind >/dev/null; then
    checked() {
        leaves_nothing "$1" "$2,threads=1" valgrind -q \
            --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
            --errors-for-leak-kinds=definite \
            --suppressions="$here/valgrind.supp"
    }
    for name in evaluations compiles; do
        case_of "valgrind finds nothing: $name" checked $name ''
    done
    case_of 'valgrind finds nothing: memory' checked memory ,compiles=0
fi
cat figures alive
done_testing
