/* The expressions by which published byte-level tokenizers split, for files
 * that only name them. */
#ifndef AN_TEXT_EXPRESSIONS_H
#define AN_TEXT_EXPRESSIONS_H

extern const char an_expression_gpt2[];   /* also r50k, p50k */
extern const char an_expression_llama3[]; /* also cl100k */
extern const char an_expression_qwen2[];
extern const char an_expression_o200k[];
extern const char an_expression_digit[]; /* SmolLM, before GPT-2's */

#endif
