import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { ChaosCluster, type Fault } from "../helpers/chaos-cluster.js";
import { runSkd, type ChaosRun } from "../helpers/chaos-run.js";
import { mulberry32 } from "../helpers/mulberry32.js";
import { makeRolloutPair, type RolloutPair } from "../helpers/rollout-pair.js";

const ROUNDS = 5;

/** What happens to which replica when the nth draft is on its way. */
const TWO_REPLICAS: ReadonlyMap<number, readonly [Fault, number]> = new Map([
  [5, ["slow", 0]],
  [12, ["cut", 0]],
  [20, ["kill", 1]],
  [32, ["mirror", 0]],
  [45, ["black-hole", 0]],
  [70, ["kill", 0]],
  [85, ["cut", 1]],
  [105, ["drain", 1]],
  [125, ["kill-engine", 0]],
]);

const ENGINE: ReadonlyMap<number, readonly [Fault, number]> = new Map([
  [10, ["kill-engine", 0]],
  [60, ["abort-engine", 0]],
  [110, ["kill-engine", 0]],
]);

describe("speculative KD under faults", { timeout: 240_000 }, () => {
  let pair: RolloutPair;
  let undisturbed: ChaosRun;

  before(async () => {
    pair = await makeRolloutPair();
    const calm = await start(1);
    undisturbed = await runSkd({ pair, name: "calm", addresses: calm.addresses, rounds: ROUNDS });
    await calm.close();
  });
  after(() => pair?.remove());

  const start = (replicas: number) =>
    ChaosCluster.start({ model: pair.teacherDir, replicas, random: mulberry32(7) });

  async function disturb(replicas: number, plan: ReadonlyMap<number, readonly [Fault, number]>) {
    const cluster = await start(replicas);
    const waiting: (readonly [Fault, number])[] = [];
    const done: string[] = [];
    try {
      const run = await runSkd({
        pair,
        name: `disturbed-${replicas}`,
        addresses: cluster.addresses,
        rounds: ROUNDS,
        onQuestion: (n) => {
          const due = plan.get(n);
          if (due !== undefined) waiting.push(due);
          // A replica that is away is hurt when it is back.
          const next = waiting.findIndex(([fault, replica]) => cluster.inflict(fault, replica));
          if (next >= 0) done.push(waiting.splice(next, 1).join());
        },
      });
      return { run, done };
    } finally {
      await cluster.close();
    }
  }

  it("through two replicas that are killed, cut off, slowed down and drained: the same tokens and the same bits of loss", async () => {
    const { run, done } = await disturb(2, TWO_REPLICAS);
    assert.ok(done.length >= TWO_REPLICAS.size - 2, `only ${done.join(" ")} happened`);
    assert.deepEqual(run.texts, undisturbed.texts);
    assert.deepEqual(run.records, undisturbed.records);
  });

  it("with an engine that is killed and aborts: sessions come back by themselves, no token lost or repeated", async () => {
    const { run, done } = await disturb(1, ENGINE);
    assert.equal(done.length, ENGINE.size);
    assert.deepEqual(run.texts, undisturbed.texts);
    assert.deepEqual(run.records, undisturbed.records);
  });
});
