import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { jobOf, resultOf, schedulerOf, show } from "./job-of.js";

describe("Scheduler", () => {
  it("puts drafts, scoring and prefill into one step", () => {
    const { scheduler } = schedulerOf();
    scheduler.add(jobOf({ id: 1, laws: 4 }));
    scheduler.add(jobOf({ id: 2, kind: "draft", prefill: 5, laws: 3 }));
    assert.deepEqual(show(scheduler.plan(0)?.step), ["2:0+8!", "1:0+4!"]);
  });

  it("gives bulk work a part of each step while drafts come in, and all of it when they have ceased", () => {
    const { scheduler } = schedulerOf({ maxTokensBesideDrafts: 5 });
    scheduler.add(jobOf({ id: 1, laws: 90, maxLength: 90 }));
    const plan = (now: number) => {
      const { step } = scheduler.plan(now)!;
      scheduler.apply(resultOf(step));
      return show(step);
    };
    assert.deepEqual(plan(0), ["1:0+16!"]);
    scheduler.add(jobOf({ id: 2, kind: "draft", laws: 3, arrivedMs: 10 }));
    assert.deepEqual(plan(10), ["2:0+3!", "1:16+5!"]);
    // its verdict is out, its next draft is being written
    assert.deepEqual(plan(3000), ["1:21+5!"]);
    // an eighth for what has waited long counts among the five
    assert.deepEqual(plan(4000), ["1:26+5!"]);
    assert.deepEqual(plan(4001), ["1:31+16!"]);
  });

  it("lets drafts of low priority, and prompts filled ahead of drafts, be", () => {
    const { scheduler } = schedulerOf({ maxTokensBesideDrafts: 5 });
    scheduler.add(jobOf({ id: 1, kind: "draft", priority: "low", laws: 4 }));
    scheduler.add(jobOf({ id: 2, laws: 14 }));
    assert.deepEqual(show(scheduler.plan(0)?.step), ["2:0+14!"]);
    const other = schedulerOf({ maxTokensBesideDrafts: 5 }).scheduler;
    other.add(jobOf({ id: 1, kind: "draft", laws: 4 }));
    other.add(jobOf({ id: 2, kind: "prefill", prefill: 12, laws: 0 }));
    assert.deepEqual(show(other.plan(0)?.step), ["1:0+4!", "2:0+12"]);
  });

  it("plans nothing while a step is in flight", () => {
    const { scheduler } = schedulerOf();
    scheduler.add(jobOf({ id: 1 }));
    scheduler.plan(0);
    assert.equal(scheduler.plan(1), undefined);
  });

  it("cuts scoring and prefill at the token budget and goes on where it stopped", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 6 });
    scheduler.add(jobOf({ id: 1, prefill: 8, laws: 6 }));
    const steps: string[][] = [];
    for (let i = 0; i < 3; i++) {
      const plan = scheduler.plan(i);
      steps.push(show(plan?.step));
      if (plan !== undefined) scheduler.apply(resultOf(plan.step));
    }
    assert.deepEqual(steps, [["1:0+6"], ["1:6+6!"], ["1:12+2!"]]);
    assert.equal(scheduler.jobCount, 0);
  });

  it("asks each piece of a scored sequence for its own laws, ids and temperatures", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 3 });
    const job = jobOf({ id: 1, prefill: 1, laws: 4 });
    scheduler.add({
      ...job,
      head: {
        ...job.head,
        taus: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8),
        atOffsets: Uint32Array.of(0, 1, 1, 3, 6),
        atIds: Uint32Array.of(9, 8, 7, 6, 5, 4),
      },
    });
    const first = scheduler.plan(0)?.step;
    assert.ok(first);
    scheduler.apply(resultOf(first));
    const second = scheduler.plan(1)?.step;
    const [one, two] = [first.rows[0]?.head, second?.rows[0]?.head];
    assert.deepEqual(
      [one?.first, [...(one?.targets ?? [])], [...(one?.taus ?? [])]],
      [1, [2, 3], [1, 2, 3, 4]],
    );
    assert.deepEqual([[...(one?.atOffsets ?? [])], [...(one?.atIds ?? [])]], [[0, 1, 1], [9]]);
    assert.deepEqual(
      [two?.first, [...(two?.targets ?? [])], [...(two?.taus ?? [])]],
      [0, [4, 5], [5, 6, 7, 8]],
    );
    assert.deepEqual(
      [[...(two?.atOffsets ?? [])], [...(two?.atIds ?? [])]],
      [
        [0, 2, 5],
        [8, 7, 6, 5, 4],
      ],
    );
    assert.equal(two?.random?.firstPosition, 2);
  });

  it("never cuts a block of drafts: prefill now, the block when it fits", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 6 });
    scheduler.add(jobOf({ id: 1, kind: "draft", prefill: 4, laws: 5 }));
    const first = scheduler.plan(0);
    assert.deepEqual(show(first?.step), ["1:0+4"]);
    assert.deepEqual(scheduler.apply(resultOf(first!.step)), [], "no law came out yet");
    assert.deepEqual(show(scheduler.plan(1)?.step), ["1:4+5!"]);
  });

  it("counts prefill, laws, reuse and waiting apart", () => {
    const { scheduler, pool } = schedulerOf();
    pool.acquire(1, 20);
    pool.setLength(1, 3);
    scheduler.add(jobOf({ id: 1, kind: "draft", prefill: 5, laws: 2, arrivedMs: 100 }));
    const plan = scheduler.plan(140);
    assert.deepEqual(show(plan?.step), ["1:3+4!"]);
    const [progress] = scheduler.apply(resultOf(plan!.step, 7));
    assert.deepEqual(progress?.usage, {
      computedPositions: 4,
      prefillPositions: 2,
      reusedPositions: 3,
      savedPositions: 0,
      queueMs: 40,
      computeMs: 7,
    });
  });

  it("computes laws anew even where the cache reaches beyond them", () => {
    const { scheduler, pool } = schedulerOf();
    pool.acquire(1, 20);
    pool.setLength(1, 9);
    scheduler.add(jobOf({ id: 1, kind: "draft", prefill: 5, laws: 2 }));
    assert.deepEqual(show(scheduler.plan(0)?.step), ["1:5+2!"]);
  });

  it("takes as many rows as allowed", () => {
    const { scheduler } = schedulerOf({ maxRows: 2 });
    for (let id = 1; id <= 3; id++) scheduler.add(jobOf({ id, laws: 1 }));
    assert.deepEqual(show(scheduler.plan(0)?.step), ["1:0+1!", "2:0+1!"]);
  });

  it("shares a step between clients however much one of them has queued", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 16, maxRows: 100 });
    for (let id = 1; id <= 50; id++) scheduler.add(jobOf({ id, client: 1, laws: 8 }));
    scheduler.add(jobOf({ id: 99, client: 2, laws: 8 }));
    const plan = scheduler.plan(0);
    const ofTwo = plan?.step.rows
      .filter(({ cache }) => cache === 99)
      .reduce((sum, { tokens }) => sum + tokens.length, 0);
    assert.equal(ofTwo, 8);
  });

  it("drops a cancelled job before the next step, and its result when it is in flight", () => {
    const { scheduler } = schedulerOf();
    scheduler.add(jobOf({ id: 1 }));
    scheduler.add(jobOf({ id: 2 }));
    scheduler.cancel(1);
    const plan = scheduler.plan(0);
    assert.deepEqual(show(plan?.step), ["2:0+4!"]);
    scheduler.cancel(2);
    assert.deepEqual(scheduler.apply(resultOf(plan!.step)), []);
    assert.equal(scheduler.jobCount, 0);
  });

  it("drops what missed its deadline and says so", () => {
    const { scheduler } = schedulerOf();
    scheduler.add(jobOf({ id: 1, deadlineMs: 100 }));
    scheduler.add(jobOf({ id: 2, deadlineMs: 101 }));
    assert.equal(scheduler.nextDeadlineMs(), 100);
    const plan = scheduler.plan(100);
    assert.deepEqual(
      plan?.expired.map(({ id }) => id),
      [1],
    );
    assert.deepEqual(show(plan?.step), ["2:0+4!"]);
  });

  it("does not compute for a client that does not read", () => {
    const { scheduler } = schedulerOf();
    scheduler.add(jobOf({ id: 1, client: 1 }));
    scheduler.add(jobOf({ id: 2, client: 2 }));
    scheduler.setPaused(1, true);
    const plan = scheduler.plan(0);
    assert.deepEqual(show(plan?.step), ["2:0+4!"]);
    scheduler.apply(resultOf(plan!.step));
    scheduler.setPaused(1, false);
    assert.deepEqual(show(scheduler.plan(1)?.step), ["1:0+4!"]);
  });

  it("gives the memory of a client that does not read to others, and goes on with its sequence later", () => {
    const { scheduler, pool } = schedulerOf({ maxBatchTokens: 4 }, 10);
    scheduler.add(jobOf({ id: 1, client: 1, laws: 8 }));
    scheduler.apply(resultOf(scheduler.plan(0)!.step));
    scheduler.setPaused(1, true);
    scheduler.add(jobOf({ id: 2, client: 2, laws: 4, maxLength: 8 }));
    const plan = scheduler.plan(1)!;
    assert.deepEqual([plan.step.release, show(plan.step)], [[1], ["2:0+4!"]]);
    scheduler.apply(resultOf(plan.step));
    pool.free(2);
    scheduler.setPaused(1, false);
    assert.deepEqual(show(scheduler.plan(2)?.step), ["1:0+4"], "what was evicted is prefill now");
    scheduler.apply(
      resultOf({
        release: [],

        rows: [{ cache: 1, past: 0, tokens: new Uint32Array(4), maxLength: 8 }],
      }),
    );
    assert.deepEqual(show(scheduler.plan(3)?.step), ["1:4+4!"]);
  });

  it("evicts an idle cache for a new one and computes the evicted sequence again from its first token", () => {
    const { scheduler, pool } = schedulerOf({}, 10);
    scheduler.add(jobOf({ id: 1, kind: "draft", prefill: 2, laws: 2, maxLength: 6 }));
    scheduler.apply(resultOf(scheduler.plan(0)!.step));
    assert.equal(
      pool.length(1),
      3,
      "the drafts behind the last known token are not part of the sequence yet",
    );
    scheduler.add(jobOf({ id: 2, kind: "draft", prefill: 2, laws: 2, maxLength: 6 }));
    const second = scheduler.plan(1)!;
    assert.deepEqual(second.step.release, [1]);
    scheduler.apply(resultOf(second.step));
    scheduler.add({
      ...jobOf({ id: 3, kind: "draft", prefill: 3, laws: 1, maxLength: 6 }),
      cache: 1,
    });
    const third = scheduler.plan(2)!;
    assert.deepEqual([third.step.release, show(third.step)], [[2], ["1:0+4!"]]);
    assert.equal(pool.evictions, 2);
  });

  it("lets a job wait while all memory belongs to jobs that began", () => {
    const { scheduler, pool } = schedulerOf({ maxBatchTokens: 3 }, 10);
    scheduler.add(jobOf({ id: 1, laws: 6 }));
    scheduler.add(jobOf({ id: 2, laws: 6 }));
    const seen: string[] = [];
    for (let i = 0; i < 4; i++) {
      const plan = scheduler.plan(i)!;
      seen.push(...show(plan.step));
      for (const { job, done } of scheduler.apply(resultOf(plan.step)))
        if (done) pool.free(job.cache);
    }
    assert.deepEqual(seen, ["1:0+3!", "1:3+3!", "2:0+3!", "2:3+3!"]);
  });

  it("returns every job when the engine is lost", () => {
    const { scheduler, pool } = schedulerOf();
    scheduler.add(jobOf({ id: 1 }));
    scheduler.plan(0);
    scheduler.add(jobOf({ id: 2 }));
    assert.deepEqual(
      scheduler.reset().map(({ id }) => id),
      [1, 2],
    );
    assert.equal(pool.usedBytes, 0);
    assert.deepEqual(scheduler.plan(1)?.step.rows, []);
  });

  it("fails the jobs of a refused step only, and forgets their caches", () => {
    const { scheduler, pool } = schedulerOf({ maxRows: 1 });
    scheduler.add(jobOf({ id: 1 }));
    scheduler.add(jobOf({ id: 2 }));
    scheduler.plan(0);
    assert.deepEqual(
      scheduler.abandonStep().map(({ id }) => id),
      [1],
    );
    const plan = scheduler.plan(1)!;
    assert.deepEqual([plan.step.release, show(plan.step)], [[1], ["2:0+4!"]]);
    assert.equal(pool.length(1), 0);
  });

  it("hands a row's own failure to its job alone", () => {
    const { scheduler } = schedulerOf();
    scheduler.add(jobOf({ id: 1 }));
    scheduler.add(jobOf({ id: 2 }));
    const plan = scheduler.plan(0)!;
    const result = resultOf(plan.step);
    const rows = [
      { cache: 1, frames: [], failure: { code: "INTERNAL" as const, message: "NaN" } },
      ...result.rows.slice(1),
    ];
    const progress = scheduler.apply({ ...result, rows });
    assert.deepEqual(
      progress.map(({ job, result: row }) => [job.id, row.failure?.message]),
      [
        [1, "NaN"],
        [2, undefined],
      ],
    );
    assert.equal(scheduler.jobCount, 0);
  });

  it("computes every law of every job exactly once and stays within its budgets, whatever arrives", () => {
    const wish = fc.record({
      client: fc.integer({ min: 1, max: 3 }),
      kind: fc.constantFrom("score", "draft", "generate"),
      prefill: fc.integer({ min: 0, max: 30 }),
      laws: fc.integer({ min: 1, max: 7 }),
      at: fc.integer({ min: 0, max: 12 }),
    });
    fc.assert(
      fc.property(
        fc.array(wish, { maxLength: 12 }),
        fc.integer({ min: 7, max: 20 }),
        fc.integer({ min: 1, max: 4 }),
        (wishes, maxBatchTokens, maxRows) => {
          const { scheduler, pool } = schedulerOf({ maxBatchTokens, maxRows, maxWaitMs: 5 }, 200);
          const laws = new Map<number, number[]>();
          const computed = new Map<number, number>();
          for (let now = 0; now < 400 && (now < 13 || scheduler.jobCount > 0); now++) {
            wishes.forEach((each, i) => {
              if (each.at === now)
                scheduler.add(
                  jobOf({ ...each, kind: each.kind as "score", id: i + 1, arrivedMs: now }),
                );
            });
            const { step } = scheduler.plan(now)!;
            if (step.rows.length === 0) continue;
            const total = step.rows.reduce((sum, { tokens }) => sum + tokens.length, 0);
            assert.ok(total <= maxBatchTokens && step.rows.length <= maxRows);
            assert.equal(new Set(step.rows.map(({ cache }) => cache)).size, step.rows.length);
            for (const row of step.rows) {
              const own = laws.get(row.cache) ?? [];
              if (row.head !== undefined) own.push(...row.head.targets);
              laws.set(row.cache, own);
              computed.set(row.cache, (computed.get(row.cache) ?? 0) + row.tokens.length);
            }
            for (const { job, done } of scheduler.apply(resultOf(step)))
              if (done) pool.free(job.cache);
          }
          assert.equal(scheduler.jobCount, 0);
          wishes.forEach((each, i) => {
            assert.deepEqual(
              laws.get(i + 1),
              Array.from({ length: each.laws }, (_, l) => each.prefill + l + 1),
            );
            assert.equal(computed.get(i + 1), each.prefill + each.laws);
          });
        },
      ),
      { seed: 7, numRuns: 200 },
    );
  });
});
