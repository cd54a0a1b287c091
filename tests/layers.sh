# tools/layers passes on this tree and sees an arrow that points up.
set -eu
sh tools/layers
mkdir -p "$TMP/src/mil" "$TMP/src/engine/soft" "$TMP/src/engine/apple" \
    "$TMP/src/unheard" "$TMP/include/anemone"
echo '#include "base/arena.h"' >"$TMP/src/mil/well.c"
echo '#include "ops/rules.h"' >"$TMP/src/engine/soft/well.c"
sh tools/layers "$TMP"
wrong() {
    echo "#include \"$2\"" >"$TMP/$1"
    if sh tools/layers "$TMP"; then
        echo "$1 may include $2"
        exit 1
    fi
    rm "$TMP/$1"
}
wrong src/mil/bad.c anemone/engine.h
wrong src/mil/bad.c ops/rules.h
wrong src/engine/apple/bad.c ops/rules.h
wrong src/unheard/bad.c base/arena.h
wrong include/anemone/grad.h anemone/train.h
