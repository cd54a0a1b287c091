/*
 * What a capture says of a rule. Its program breaks the rule and no other:
 * refused there, or computed wrongly where the row says that hardware gives
 * wrong data, confirms it; right values refute it. Right is what the software
 * engine computes without rules.
 */
#include "capture/capture.h"

#include "chip/rule.h"

static an_rule_answer of_refusal(const an_rule *rule, bool holds)
{
    if (!holds) return AN_RULE_ELSEWHERE;
    return an_rule_is_silent(rule) ? AN_RULE_LOUDER : AN_RULE_CONFIRMED;
}

static an_rule_answer of_values(const an_rule *rule, bool holds,
                                an_verdict_kind kind)
{
    if (kind != AN_SAME && kind != AN_DIFFERENT) return AN_RULE_OPEN;
    if (!holds) return kind == AN_SAME ? AN_RULE_ABSENT : AN_RULE_OPEN;
    if (kind == AN_DIFFERENT)
        return an_rule_is_silent(rule) ? AN_RULE_CONFIRMED : AN_RULE_OPEN;
    return rule->severity == AN_ERROR ? AN_RULE_REFUTED : AN_RULE_UNSEEN;
}

an_status an_capture_judge(const an_captured *captured, const char *chip,
                           an_engine *without_rules, an_rule_answer *out,
                           an_verdict *verdict, an_error *err)
{
    const an_rule *rule = an_rules_find(captured->asks);
    *verdict = (an_verdict){.kind = AN_REFUSED};
    if (rule == NULL)
        return an_fail(err, AN_EFORMAT, "%s: no rule %.40s", captured->name,
                       captured->asks);
    bool holds = (rule->chips & an_generation_find(chip)) != 0;
    if (captured->error.code != AN_OK) {
        *out = of_refusal(rule, holds);
        return AN_OK;
    }
    an_status s = an_capture_replay(captured, without_rules, verdict, err);
    if (s == AN_OK) *out = of_values(rule, holds, verdict->kind);
    return s;
}

const char *an_rule_answer_text(an_rule_answer answer)
{
    static const char *const texts[AN_RULE_ANSWERS] = {
        [AN_RULE_CONFIRMED] = "confirmed",
        [AN_RULE_LOUDER] = "confirmed, but refused where wrong data was "
                           "expected",
        [AN_RULE_REFUTED] = "refuted: it ran, and right",
        [AN_RULE_UNSEEN] = "not seen: it ran, and right; the rule only warns",
        [AN_RULE_ABSENT] = "not of this chip, and not seen there",
        [AN_RULE_ELSEWHERE] = "refuted: refused on a chip that it is not known "
                              "to hold on",
        [AN_RULE_OPEN] = "open: it ran, and the values are others",
    };
    return texts[answer];
}
