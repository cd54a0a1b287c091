# The macOS binary is what README says, and the checker can tell when it is
# not: one bit flipped anywhere before the signature is noticed.
#     sh tests/macos/check.sh FILE      (with BUILD and TMP)
. tests/e2e/tap
file=$1
macho=$BUILD/tests/macho
broken=$TMP/broken

# damage OFFSET BYTE: a copy with that byte (octal) there
damage() {
    cp "$file" "$broken" && chmod u+w "$broken" &&
        printf "\\$2" | dd of="$broken" bs=1 seek="$1" conv=notrunc 2>/dev/null
}

# Its byte at that place, flipped in the lowest bit.
flip() {
    byte=$(od -An -tu1 -j "$1" -N 1 "$file")
    damage "$1" "$(printf %o $((byte ^ 1)))"
}

flipped_is_seen() {
    flip "$1" && fails_with 1 "$2" "$macho" "$broken"
}

size=$(($(wc -c <"$file")))
case_of 'the binary passes' "$macho" "$file"
case_of 'a flipped bit of the code is seen' flipped_is_seen 65536 \
    'page 4 (bytes from 65536 on) is not what was signed'
case_of 'in the middle too' flipped_is_seen $((size / 2)) 'is not what was signed'
case_of 'in the header too' flipped_is_seen 28 \
    'page 0 (bytes from 0 on) is not what was signed'
case_of 'another kind of file is refused' fails_with 1 'not a Mach-O' \
    "$macho" "$macho"
case_of 'so is a cut one' sh -c 'head -c 300000 "$1" >"$2"' cut "$file" "$broken"
case_of 'with its reason' fails_with 1 'beyond the file' "$macho" "$broken"
case_of 'and one with bytes after its signature' sh -c \
    '{ cat "$1"; echo; } >"$2"' long "$file" "$broken"
case_of 'with its reason' fails_with 1 'end elsewhere' "$macho" "$broken"

# Another library of the same length, another least version: found by text.
library_at=$(grep -abo /usr/lib/libSystem.B.dylib "$file" | head -n 1 | cut -d: -f1)
case_of 'another library is refused' flipped_is_seen $((library_at + 9)) \
    'expected libSystem alone'
done_testing
