import { uniformAt } from "../numeric/philox.js";
import { acceptDrafts } from "../sampling/accept.js";
import type { AcceptanceRule } from "../sampling/acceptance.js";
import { canSample, sampleRow } from "../sampling/sample-row.js";
import { denseRows, type OpenRequest } from "./head-runner.js";
import type { HeadSession } from "./head-session.js";
import type { LawAnswers } from "./law-answers.js";
import type { DraftVerdict } from "./step.js";

/** SKD's verdicts on the drafts of requests that carry `verify`. Where a draft is rejected, the teacher's token is drawn from the
 * law's logits (kept from the first run, or fetched by a second one for the rejected positions only); the answers then speak of that token. */
export async function judgeDrafts(
  session: HeadSession,
  requests: readonly OpenRequest[],
  headBytes: number,
): Promise<Map<OpenRequest, DraftVerdict>> {
  const verdicts = new Map<OpenRequest, DraftVerdict>();
  const possible = await possibleDrafts(session, requests, headBytes);
  const unknown: OpenRequest[] = [];
  const settle = (request: OpenRequest, logits: Float32Array) => {
    const verdict = verdicts.get(request)!;
    const replacement = replace(request, verdict.accepted, logits);
    verdicts.set(request, { ...verdict, replacement });
  };
  for (const request of requests) {
    const { head, answers } = request;
    if (head.verify === undefined) continue;
    const { rule } = head.verify;
    const known = {
      ...evidence(answers, rule),
      possible: possible.get(request) ?? [],
      coins: rule.kind === "mixture" ? coinsOf(request) : [],
    };
    const accepted = acceptDrafts(known, rule);
    const draftRanks = answers.rank.slice(0, Math.min(accepted + 1, answers.count));
    verdicts.set(request, { accepted, draftRanks });
    if (accepted === answers.count) continue;
    const logits = answers.logits[accepted];
    if (logits === undefined) unknown.push(request);
    else settle(request, logits);
  }
  const laws = unknown.map((request) => hiddenOf(request, verdicts.get(request)!.accepted));
  let next = 0;
  for await (const logits of denseRows(session, laws, headBytes)) settle(unknown[next++]!, logits);
  return verdicts;
}

/** For the rule `filtered`: which drafts the teacher's own sampling could have drawn. The best token always can, one whose rank is too high
 * fails anyway; only for those between are the law's logits looked at (kept from the first run, or fetched). */
async function possibleDrafts(
  session: HeadSession,
  requests: readonly OpenRequest[],
  headBytes: number,
): Promise<ReadonlyMap<OpenRequest, readonly boolean[]>> {
  const possible = new Map<OpenRequest, boolean[]>();
  const unknown: { readonly request: OpenRequest; readonly law: number }[] = [];
  for (const request of requests) {
    const { head, answers } = request;
    const rule = head.verify?.rule;
    if (rule?.kind !== "filtered") continue;
    possible.set(
      request,
      Array.from(answers.rank, (rank) => rank === 0),
    );
    answers.rank.forEach((rank, law) => {
      if (rank > 0 && rank < rule.k) unknown.push({ request, law });
    });
  }
  const settle = ({ request, law }: (typeof unknown)[number], logits: Float32Array): void => {
    const { sampling } = request.head.verify!;
    possible.get(request)![law] = canSample(logits, sampling, request.head.targets[law]!);
  };
  const fetched: typeof unknown = [];
  for (const one of unknown) {
    const logits = one.request.answers.logits[one.law];
    if (logits === undefined) fetched.push(one);
    else settle(one, logits);
  }
  const laws = fetched.map(({ request, law }) => hiddenOf(request, law));
  let next = 0;
  for await (const logits of denseRows(session, laws, headBytes)) settle(fetched[next++]!, logits);
  return possible;
}

function evidence(answers: LawAnswers, rule: AcceptanceRule) {
  return {
    ranks: answers.rank,
    ...(rule.kind === "top-p" && { massAbove: answers.massAbove }),
    ...(rule.kind === "min-p" && {
      probabilities: Float64Array.from(answers.tokenLogit, (u, i) => Math.exp(u - answers.lse[i]!)),
    }),
  };
}

/** Index of the coin of a position that decides whether the teacher writes it. */
const MIXTURE_COIN = 2;

function coinsOf({ head, answers }: OpenRequest): readonly number[] {
  const { runSeed, rngKey, firstPosition } = head.random!;
  return Array.from({ length: answers.count }, (_, i) =>
    uniformAt({
      runSeed,
      rngKey,
      position: firstPosition + i,
      stream: "coin",
      index: MIXTURE_COIN,
    }),
  );
}

function hiddenOf({ hidden, answers }: OpenRequest, law: number): Float32Array {
  const D = hidden.length / answers.count;
  return hidden.subarray(law * D, (law + 1) * D);
}

function replace({ head, answers }: OpenRequest, law: number, logits: Float32Array): number {
  const { runSeed, rngKey, firstPosition } = head.random!;
  const uniform = uniformAt({
    runSeed,
    rngKey,
    position: firstPosition + law,
    stream: "replacement",
  });
  const token = sampleRow(logits, head.verify!.sampling, uniform);
  answers.setToken(law, token, logits);
  return token;
}
