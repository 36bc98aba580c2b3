import type { Verdict } from "../change/verdict.ts";
import { type Contest, decided, settleBy } from "./contest.ts";
import type { ModuleAnswer, ModuleRunner } from "./module-runner.ts";

/** Asks the user's module. Its answer is stored with the conflict; what it cannot answer goes to the policy of `otherwise`. */
export function moduleContest(contest: Contest, whole: Contest, runner: ModuleRunner): Verdict {
  const { clash } = contest;
  const fallback = settleBy(clash.otherwise, whole);
  const verdict = answered(contest, runner.decide(clash));
  if ("verdict" in verdict) return { ...verdict.verdict, ifRefused: { by: "any", verdict: fallback } };
  const { conflict } = fallback;
  return { ...fallback, conflict: conflict && { ...conflict, reason: `The module did not decide: ${verdict.failed} ${conflict.reason}` } };
}

function answered(contest: Contest, answer: ModuleAnswer): { readonly verdict: Verdict } | { readonly failed: string } {
  if ("failed" in answer) return answer;
  const reason = answer.reason === undefined ? "The module decided." : `The module decided: ${answer.reason}`;
  if ("row" in answer) {
    const result = answer.row === null ? null : { ...(contest.parent ?? contest.child ?? {}), ...answer.row };
    return { verdict: decided(contest, { result, resolution: "merged", reason }) };
  }
  const result = answer.take === "open" ? contest.parent : contest[answer.take];
  if (result === undefined) return { failed: `It takes the row of ${answer.take}, which is not known as a whole.` };
  return { verdict: decided(contest, { result, resolution: answer.take, reason }) };
}
