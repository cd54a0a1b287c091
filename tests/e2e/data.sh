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
done_testing
