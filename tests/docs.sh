# docs/rules.md is what the program prints: `make docs` rewrites it.
set -eu
$ANEMONE rules --markdown >"$TMP/rules.md"
diff "$TMP/rules.md" docs/rules.md
