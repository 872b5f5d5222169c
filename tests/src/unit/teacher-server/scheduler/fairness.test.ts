import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Job } from "@tandem/teacher-server/scheduler/job.js";
import type { Scheduler } from "@tandem/teacher-server/scheduler/scheduler.js";
import { shareQuanta } from "@tandem/teacher-server/scheduler/share-quanta.js";
import { jobOf, resultOf, schedulerOf, show, type JobWish } from "./job-of.js";

function owner(name: string, weight = 1): Job["owner"] {
  return { name, weight };
}

/** Positions per owner in the next step, which is applied. */
function dealtBy(scheduler: Scheduler, owners: ReadonlyMap<number, string>): Map<string, number> {
  const { step } = scheduler.plan(0)!;
  const dealt = new Map<string, number>();
  for (const { cache, tokens } of step.rows) {
    const name = owners.get(cache) as string;
    dealt.set(name, (dealt.get(name) ?? 0) + tokens.length);
  }
  if (step.rows.length > 0) scheduler.apply(resultOf(step));
  return dealt;
}

/** Adds scores of 40 positions: for each wish `count`. */
function backlogOf(scheduler: Scheduler, wishes: readonly (JobWish & { count: number })[]) {
  const owners = new Map<number, string>();
  let id = 0;
  for (const { count, ...wish } of wishes) {
    for (let i = 0; i < count; i++) {
      scheduler.add(jobOf({ laws: 40, ...wish, id: ++id }));
      owners.set(id, wish.owner?.name as string);
    }
  }
  return owners;
}

describe("a Scheduler between owners", () => {
  it("shares by weight", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 16, maxRows: 100 });
    const owners = backlogOf(scheduler, [
      { id: 0, client: 1, owner: owner("a", 3), count: 20 },
      { id: 0, client: 2, owner: owner("b", 1), count: 20 },
    ]);
    const total = new Map<string, number>();
    for (let i = 0; i < 10; i++)
      for (const [name, count] of dealtBy(scheduler, owners))
        total.set(name, (total.get(name) ?? 0) + count);
    assert.ok(Math.abs((total.get("a") as number) - 120) <= 6, `${total.get("a")} of 160`);
  });

  it("gives an owner with many streams what one with a single stream gets", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 64, maxRows: 100 });
    const owners = backlogOf(scheduler, [
      ...[1, 2, 3, 4].map((client) => ({ id: 0, client, owner: owner("many"), count: 5 })),
      { id: 0, client: 5, owner: owner("one"), count: 5 },
    ]);
    const dealt = dealtBy(scheduler, owners);
    assert.deepEqual([dealt.get("many"), dealt.get("one")], [32, 32]);
  });

  it("leaves nothing unused when one has little to do", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 64, maxRows: 100 });
    const owners = backlogOf(scheduler, [
      { id: 0, client: 1, owner: owner("a", 100), laws: 3, count: 1 },
      { id: 0, client: 2, owner: owner("b"), count: 5 },
    ]);
    assert.deepEqual(
      [...dealtBy(scheduler, owners)],
      [
        ["a", 3],
        ["b", 61],
      ],
    );
  });

  it("comes to shares in proportion to weights, whatever they are", () => {
    const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(weights, fc.integer({ min: 20, max: 80 }), (all, maxBatchTokens) => {
        const { scheduler } = schedulerOf({ maxBatchTokens, maxRows: 100, quantum: 16 });
        const owners = backlogOf(
          scheduler,
          all.map((weight, i) => ({
            id: 0,
            client: i + 1,
            owner: owner(`owner ${i}`, weight),
            count: 80,
          })),
        );
        const total = all.map(() => 0);
        for (let step = 0; step < 30; step++) {
          for (const [name, count] of dealtBy(scheduler, owners)) {
            const i = Number(name.split(" ")[1]);
            total[i] = (total[i] as number) + count;
          }
        }
        const sum = all.reduce((a, b) => a + b);
        all.forEach((weight, i) => {
          const due = (30 * maxBatchTokens * weight) / sum;
          // A round robin is off by less than two turns.
          assert.ok(
            Math.abs((total[i] as number) - due) <= 32 + 0.02 * due,
            `${total.join()} for ${all.join()}`,
          );
        });
      }),
      { seed: 3, numRuns: 60 },
    );
  });
});

describe("shareQuanta", () => {
  it("divides an owner's share among its streams, the largest part is the quantum", () => {
    const jobs = [
      { client: 1, owner: owner("a", 4) },
      { client: 2, owner: owner("a", 4) },
      { client: 2, owner: owner("a", 4) },
      { client: 3, owner: owner("b", 1) },
    ];
    assert.deepEqual(
      shareQuanta(jobs, 64),
      new Map([
        [1, 64],
        [2, 64],
        [3, 32],
      ]),
    );
    assert.deepEqual(shareQuanta([], 64), new Map());
  });
});

describe("a Scheduler with priorities", () => {
  it("serves high before normal before low, whatever the kind", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 100 });
    scheduler.add(jobOf({ id: 1, priority: "low" }));
    scheduler.add(jobOf({ id: 2 }));
    scheduler.add(jobOf({ id: 3, kind: "draft", priority: "low" }));
    scheduler.add(jobOf({ id: 4, kind: "draft" }));
    scheduler.add(jobOf({ id: 5, priority: "high" }));
    assert.deepEqual(
      scheduler.plan(0)?.step.rows.map(({ cache }) => cache),
      [4, 5, 2, 1, 3],
    );
  });

  it("keeps an eighth of a step for what has waited too long, and no more while drafts come", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 64, maxWaitMs: 50 });
    scheduler.add(jobOf({ id: 1, laws: 200, arrivedMs: 0 }));
    scheduler.add(jobOf({ id: 2, kind: "draft", laws: 60, arrivedMs: 40 }));
    const young = scheduler.plan(49)!;
    assert.deepEqual(show(young.step), ["2:0+60!", "1:0+4!"]);
    scheduler.apply(resultOf(young.step));
    scheduler.add(jobOf({ id: 3, kind: "draft", laws: 56, arrivedMs: 50 }));
    assert.deepEqual(show(scheduler.plan(50)?.step), ["1:4+8!", "3:0+56!"]);
  });

  it("finishes a low one in the end, however many urgent ones come", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 16, maxWaitMs: 5 });
    scheduler.add(jobOf({ id: 1, priority: "low", laws: 30 }));
    let finished = false;
    for (let now = 0; now < 40; now++) {
      scheduler.add(jobOf({ id: 2 + now, client: 2, priority: "high", laws: 16, arrivedMs: now }));
      const { step } = scheduler.plan(now)!;
      for (const { job, done } of scheduler.apply(resultOf(step)))
        finished ||= done && job.id === 1;
    }
    assert.ok(finished);
  });

  it("does not let a short one wait for the long ones before it on its stream", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 16 });
    scheduler.add(jobOf({ id: 1, laws: 200 }));
    scheduler.add(jobOf({ id: 2, laws: 6 }));
    scheduler.add(jobOf({ id: 3, laws: 5 }));
    assert.deepEqual(show(scheduler.plan(0)?.step), ["2:0+6!", "3:0+5!", "1:0+5!"]);
  });
});
