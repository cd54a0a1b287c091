#!/bin/sh
# make install, and programs that are built against what it installed.
. "$(dirname "$0")/tap"
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
to=$TMP/to
make=${MAKE:-make}

installs() {
    (cd "$root" && $make BUILD="$build" PREFIX=/opt/an DESTDIR="$to" install) &&
        for file in bin/anemone lib/libanemone.a include/anemone/engine.h \
            lib/pkgconfig/anemone.pc share/man/man1/anemone.1 \
            share/man/man1/anemone-train.1 share/zsh/site-functions/_anemone \
            share/bash-completion/completions/anemone \
            share/fish/vendor_completions.d/anemone.fish; do
            [ -s "$to/opt/an/$file" ] || { echo "no $file"; return 1; }
        done
}
case_of 'everything is installed' installs
runs() { "$to/opt/an/bin/anemone" --version | grep -q '^anemone [0-9]'; }
case_of 'the program runs' runs

exports() {
    nm -D --defined-only "$to"/opt/an/lib/libanemone.so* |
        awk 'NF == 3 { n++ } NF == 3 && $3 !~ /^an_/ { print; bad = 1 }
             END { exit bad || n < 50 }'
}
case_of 'the shared library exports an_* alone' exports
public() {
    cat "$root"/include/anemone/*.h >"$TMP/headers"
    nm -D --defined-only "$to/opt/an/lib/libanemone.so" |
        awk 'NF == 3 { print $3 }' >"$TMP/exported"
    while read -r name; do
        grep -qw "$name" "$TMP/headers" || { echo "$name"; return 1; }
    done <"$TMP/exported"
}
case_of 'and only what public headers declare' public

# A sanitized build's library needs the sanitizer in the program as well.
example() { # NAME ARGUMENT...
    name=$1
    shift
    export PKG_CONFIG_PATH="$to/opt/an/lib/pkgconfig"
    export PKG_CONFIG_SYSROOT_DIR=$to
    flags=
    case ${OPT:-} in *fsanitize=*) flags=${OPT##* } ;; esac
    ${CC:-cc} -std=c17 -Wall -Wextra -Werror $flags -o "$TMP/$name" \
        "$root/docs/examples/$name.c" $(pkg-config --cflags --libs anemone) &&
        (cd "$TMP" && LD_LIBRARY_PATH="$to/opt/an/lib" "./$name" "$@" \
            >"$TMP/said") && cat "$TMP/said"
}
compiles_and_runs() { example run && has "$TMP/said" '0x4000'; }
case_of 'a program that compiles and runs MIL' compiles_and_runs
trains() {
    example train "$root/README.md" && has "$TMP/said" 'step 20 ' &&
        [ -s "$TMP/runs/example/model.safetensors" ]
}
case_of 'a program that trains' trains

completes() {
    command -v bash || return 0
    bash -c '. "$1"; COMP_WORDS=(anemone tr); COMP_CWORD=1; _anemone
        [ "${COMPREPLY[*]}" = train ] || exit 1
        COMP_WORDS=(anemone run --numerics h); COMP_CWORD=3; _anemone
        [ "${COMPREPLY[*]}" = hw ]' - \
        "$to/opt/an/share/bash-completion/completions/anemone"
}
case_of 'bash completes commands and choices' completes
done_testing
