/*
 * What hardware refuses or gets wrong, as rows: one rule, one row. A checker
 * runs the rows of a chip over a module and reports every breach.
 *
 * Source of the rules and their numbers: docs/rules.md, which is made from
 * these rows; each names the public projects that saw it.
 */
#ifndef AN_CHIP_RULE_H
#define AN_CHIP_RULE_H

#include "mil/ir.h"

typedef enum an_severity {
    AN_NOTE,  /* slow, or only worth knowing */
    AN_WARN,  /* one report, or reports that contradict each other */
    AN_ERROR, /* several independent reports: refused */
} an_severity;

/* The generations as bits, for "holds on". */
typedef enum an_generation {
    AN_GEN_M1 = 1,
    AN_GEN_M2 = 2,
    AN_GEN_M3 = 4,
    AN_GEN_M4 = 8,
    AN_GEN_M5 = 16,
    AN_GEN_M6 = 32,
    AN_GEN_ALL = 63,
} an_generation;

/* Whose program it is. */
typedef enum an_check_mode {
    AN_CHECK_CHIP,  /* a chip's */
    AN_CHECK_EXACT, /* a check in fp64, which stands for fp16: no chip has it */
} an_check_mode;

typedef struct an_checker an_checker;

typedef struct an_rule {
    const char *id;      /* "R-03"; "R-60a": the same for other chips */
    const char *text;    /* what must hold */
    const char *symptom; /* codes of docs/rules.md: "C1", "W", ... */
    an_severity severity;
    unsigned chips;      /* an_generation bits on which it holds */
    const char *rewrite; /* what to write instead, or NULL */
    const char *source;  /* public projects, by their short names */
    /* Reports breaches in c->function; NULL: `enforced` says where. */
    void (*check)(an_checker *c);
    /* "parser: ..", "soft: ..", "not checked: .."; NULL with a check. */
    const char *enforced;
    /* Of silent rows whose wrong data is known: changes a function that breaks
     * the rule into what hardware computes; NULL: it computes the right
     * values, as far as anybody says. */
    an_status (*spoil)(an_function *f, an_error *err);
} an_rule;

int an_rules_count(void);
const an_rule *an_rules_at(int i);
/* NULL: no rule has this id. */
const an_rule *an_rules_find(const char *id);

typedef struct an_breach {
    const an_rule *rule;
    int line, column; /* 0: the whole program */
    const char *text; /* what came; valid during the call */
} an_breach;

struct an_checker {
    const an_module *module;
    const an_function *function;
    const an_rule *rule;
    an_check_mode mode;
    void (*report)(void *ctx, const an_breach *breach);
    void *ctx;
};

/* Runs every rule that holds on one of `chips` over all functions. */
void an_rules_check(const an_module *module, unsigned chips, an_check_mode mode,
                    void (*report)(void *ctx, const an_breach *breach),
                    void *ctx);

/* "note", "warn", "error" */
const char *an_severity_name(an_severity severity);
/* "m1" .. "m6", "all", then NULL. */
const char *an_generation_name(int i);
/* The bit of "m1" .. "m6", all for "all"; 0: no such chip. */
unsigned an_generation_find(const char *chip);
/* "m1 m2", or "all", cut to size. */
const char *an_generation_text(unsigned chips, char *text, size_t size);
/* What a code of an_rule.symptom stands for: i from 0 on, NULL after the last.
 */
typedef struct an_symptom {
    const char *code, *text;
    const char *domain; /* of the framework's error; "": it gives none */
    int engine_code;
} an_symptom;
const an_symptom *an_symptom_at(int i);
/* By the first code of a rule's symptom. */
const an_symptom *an_symptom_of(const an_rule *rule);
/* Puts the framework's domain and code of "C2", ... into a recorded error. */
void an_symptom_put(const char *code, an_error *err);
/* Is what hardware does wrong data without an error (W, Z, N)? The first
 * symptom decides. */
bool an_rule_is_silent(const an_rule *rule);

/* What an engine does with a program that breaks an error row. */
typedef enum an_rules_mode {
    AN_RULES_REFUSE,
    AN_RULES_SILENT, /* refuses only what hardware refuses: rows whose symptom
                        is wrong data pass, and the data is wrong */
    AN_RULES_OFF,
} an_rules_mode;

/*
 * AN_ERULE for the first breach, in the order of the text, that an engine of
 * this chip ("m4"; one without rules: AN_OK) refuses: position, what came, the
 * rule, and the framework's domain and code.
 */
an_status an_rules_refuse(const an_module *module, const char *name,
                          const char *chip, an_check_mode check,
                          an_rules_mode mode, an_error *err);

/* The same for a row that no text shows: AN_ERULE "NAME: ID: WHAT (..)". */
an_status an_rules_fail(const an_rule *rule, const char *name, const char *what,
                        an_error *err);

/* Changes f into what an engine of this chip computes where f breaks rows that
 * AN_RULES_SILENT passes. */
an_status an_rules_spoil(an_function *f, const char *chip, an_check_mode check,
                         an_error *err);

/* For the rows: reports one breach of the checker's rule. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
void an_breach_at(an_checker *c, int line, int column, const char *format, ...);

/* The rows by chapter, each ends with a row without id. */
extern const an_rule an_rules_text[];
extern const an_rule an_rules_ports[];
extern const an_rule an_rules_shapes[];
extern const an_rule an_rules_contractions[];
extern const an_rule an_rules_ops[];
extern const an_rule an_rules_reports[];
extern const an_rule an_rules_runtime[];
extern const an_rule an_rules_values[];

#endif
