/* The commands, one file each; main.c has the list. */
#ifndef AN_CLI_COMMANDS_H
#define AN_CLI_COMMANDS_H

#include "anemone/engine.h"
#include "cli/args.h"

/* commands.def has a line for each, in the order of the help. */
#define AN_COMMAND(name) extern const an_command an_command_##name;
#include "cli/commands.def"
#undef AN_COMMAND

/* Options that become settings of the engine's name (engine/limits.h). */
typedef struct an_engine_extra {
    bool silent;         /* --silent-faults */
    bool numerics_given; /* --numerics, not its default */
} an_engine_extra;

/* The options that choose a model to run, for an an_runner_options in a
 * command's struct. */
#define AN_MODEL_ROWS(type_, runner_)                                          \
    {.section = "Options",                                                     \
     .name = "checkpoint",                                                     \
     .metavar = "PATH",                                                        \
     .type = AN_OPTION_TEXT,                                                   \
     .required = true,                                                         \
     AN_AT(type_, runner_.checkpoint),                                         \
     .help = "run folder, or one step's folder in it; a folder of Hugging "    \
             "Face's; or a file (safetensors, GGUF, llama2.c's or llm.c's "    \
             ".bin, BLZT)"},                                                   \
        {.name = "adapter",                                                    \
         .metavar = "DIR",                                                     \
         .type = AN_OPTION_TEXT,                                               \
         .preset = "none",                                                     \
         AN_AT(type_, runner_.adapter),                                        \
         .help = "adapters to be added to the weights: a folder of PEFT's, "   \
                 "mlx-lm's or a LoRA run"},                                    \
    {                                                                          \
        .name = "tokenizer", .metavar = "FILE", .type = AN_OPTION_TEXT,        \
        .preset = "the one beside the model", AN_AT(type_, runner_.tokenizer), \
        .help = "a tokenizer's file, or the word bytes"                        \
    }

/* The options that choose an engine, for the fields of a command's struct. */
#define AN_ENGINE_ROWS(type_, engine_, extra_, numerics_, threads_)            \
    {.section = "Engine",                                                      \
     .name = "engine",                                                         \
     .metavar = "ENGINE",                                                      \
     .type = AN_OPTION_TEXT,                                                   \
     AN_AT(type_, engine_),                                                    \
     .help =                                                                   \
         "auto, apple, soft, soft:CHIP (the software Neural Engine) or cpu; "  \
         "auto is apple where Apple's framework opens, else soft. Settings "   \
         "may follow: soft:m4,live=30 or apple,qos=user-initiated; qos is "    \
         "real-time, background, utility, default, user-initiated or "         \
         "user-interactive; docs/apple.md has the others"},                    \
        {.name = "numerics",                                                   \
         .metavar = "MODE",                                                    \
         .type = AN_OPTION_CHOICE,                                             \
         .choice = an_numerics_choice,                                         \
         AN_AT(type_, numerics_),                                              \
         .given = offsetof(type_, extra_.numerics_given),                      \
         .help = "ieee: every op is rounded to its type; hw: as the chip "     \
                 "computes; exact: fp64, rounded at the ports. Apple's own "   \
                 "framework computes in its own and takes no --numerics"},     \
        {.name = "silent-faults",                                              \
         .type = AN_OPTION_FLAG,                                               \
         AN_AT(type_, extra_.silent),                                          \
         .help = "programs that break a rule whose only symptom is wrong "     \
                 "data are not refused, and compute the wrong data"},          \
    {                                                                          \
        .name = "threads", .metavar = "N", .type = AN_OPTION_INT,              \
        .preset = "one per processor", .unit = "threads", .min = 1,            \
        .max = 1024, AN_AT(type_, threads_),                                   \
        .help = "how many compute; results do not depend on it"                \
    }
/* --engine with what other options add, in `text` when they add something. */
const char *an_engine_text(const char *engine, const an_engine_extra *extra,
                           char *text, size_t size);
const char *an_numerics_choice(int i);

/* Version, commit, kernels and BLAS. */
void an_version_print(FILE *out);

#endif
