#!/bin/sh
# anemone data: a tokenizer from text, text to tokens and back, refusals.
. "$(dirname "$0")/tap"
tokenizers=$PWD/tests/data/tokenizers
case $ANEMONE in /*) ;; *) ANEMONE=$PWD/$ANEMONE ;; esac
cd "$TMP" || exit 1

i=0
while [ $i -lt 200 ]; do
    echo "The quick brown fox, number $i, jumps over the lazy dog."
    i=$((i + 1))
done >text.txt
printf 'bytes \377\376 and more\n' >>text.txt

round_trip() { # TOKENIZER
    $ANEMONE data encode text.txt --tokenizer "$1" --out text.bin &&
        $ANEMONE data decode text.bin --tokenizer "$1" --out back.txt &&
        cmp text.txt back.txt &&
        $ANEMONE data decode text.bin --tokenizer "$1" | cmp - text.txt
}
trains() {
    $ANEMONE data train-tokenizer text.txt --vocab 400 --form qwen2 \
        --out own.json --quiet && [ -s own.json ]
}
case_of 'a tokenizer is trained' trains
case_of 'its tokens come back as the text' round_trip own.json
case_of 'bytes come back as the text' round_trip bytes
case_of 'GPT-2 files come back as the text' round_trip "$tokenizers/gpt2"
case_of 'a tiktoken file too' round_trip "$tokenizers/ranks.tiktoken"

prints() {
    $ANEMONE data encode --text 'Hello' --tokenizer bytes >ids &&
        has ids '72 101 108 108 111'
}
case_of 'ids are printed' prints
informs() {
    $ANEMONE data info text.txt text.bin own.json "$tokenizers/bpe.model" \
        "$tokenizers/smollm.gguf" >info &&
        has info 'text.txt: text' && has info 'ids of 16 bits' &&
        has info 'own.json: tokenizer, tokenizer.json, ' &&
        has info 'SentencePiece, 700 tokens, begin of text 1' &&
        has info 'GGUF'
}
case_of 'info tells what files hold' informs
case_of 'text is not decoded' fails_with 2 'takes files of tokens' \
    $ANEMONE data decode text.txt
case_of 'an action is needed' fails_with 2 'ACTION is missing' $ANEMONE data
case_of 'a file is needed' fails_with 2 'FILE... is missing' \
    $ANEMONE data encode --out x
case_of 'a missing file is told' fails_with 1 'none.txt: cannot open' \
    $ANEMONE data encode none.txt --out x
case_of 'a text is no tokenizer' fails_with 1 'no kind of tokenizer file' \
    $ANEMONE data encode text.txt --tokenizer text.txt --out x

# A kill at any time leaves nothing under the final name that is not whole.
killed() {
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
        cat text.txt text.txt text.txt text.txt >many.txt
        cat many.txt many.txt many.txt many.txt >more.txt
        cat more.txt more.txt more.txt more.txt >text2.txt
    done
    $ANEMONE data encode text2.txt --tokenizer own.json --out whole.bin --quiet
    for wait in 0.01 0.03 0.06 0.1; do
        $ANEMONE data encode text2.txt --tokenizer own.json --out cut.bin \
            --quiet &
        sleep $wait
        kill -9 $! 2>/dev/null
        wait $! 2>/dev/null
        [ ! -e cut.bin ] || cmp cut.bin whole.bin || return 1
    done
}
case_of 'a kill leaves the whole file or none' killed
done_testing
