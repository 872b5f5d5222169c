/** Speculative KD through replicas that are killed, drained, cut off, silenced and out of memory at random, against an undisturbed run. Options:
 * --rounds N (60), --replicas N (2), --every N (25: drafts between two faults), --seed N (1). */
import { isDeepStrictEqual, parseArgs } from "node:util";

import { ChaosCluster, FAULTS, type Fault } from "../helpers/chaos-cluster.js";
import { runSkd } from "../helpers/chaos-run.js";
import { memoryGroupObstacle } from "../helpers/memory-group.js";
import { mulberry32 } from "../helpers/mulberry32.js";
import { makeRolloutPair } from "../helpers/rollout-pair.js";

/** Of each replica: three times what it takes. */
const MEMORY_LIMIT_BYTES = 512 * 2 ** 20;

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      rounds: { type: "string", default: "60" },
      replicas: { type: "string", default: "2" },
      every: { type: "string", default: "25" },
      seed: { type: "string", default: "1" },
    },
  });
  const [rounds, replicas, every, seed] = [
    values.rounds,
    values.replicas,
    values.every,
    values.seed,
  ].map(Number) as [number, number, number, number];
  const pair = await makeRolloutPair();
  const random = mulberry32(seed);
  const obstacle = memoryGroupObstacle();
  const faults: readonly Fault[] = obstacle === undefined ? [...FAULTS, "out-of-memory"] : FAULTS;
  const memoryLimitBytes = obstacle === undefined ? MEMORY_LIMIT_BYTES : undefined;
  const start = () =>
    ChaosCluster.start({ model: pair.teacherDir, replicas, random, memoryLimitBytes });
  try {
    const calm = await start();
    const expected = await runSkd({ pair, name: "calm", addresses: calm.addresses, rounds });
    await calm.close();
    const cluster = await start();
    const began = performance.now();
    try {
      const actual = await runSkd({
        pair,
        name: "disturbed",
        addresses: cluster.addresses,
        rounds,
        onQuestion: (n) => {
          if (n % every !== 0) return;
          const fault = faults[Math.floor(random() * faults.length)] as Fault;
          cluster.inflict(fault, Math.floor(random() * replicas));
        },
      });
      return {
        steps: actual.records.length,
        sequences: actual.texts.length,
        drafts: { calm: expected.questions, disturbed: actual.questions },
        seconds: (performance.now() - began) / 1000,
        faults: cluster.faults,
        ...(obstacle !== undefined && { outOfMemory: `impossible here: ${obstacle}` }),
        connections: cluster.proxies.map(({ counts }) => counts),
        sameTokens: isDeepStrictEqual(actual.texts, expected.texts),
        sameLossBits: isDeepStrictEqual(actual.records, expected.records),
      };
    } finally {
      await cluster.close();
    }
  } finally {
    await pair.remove();
  }
}
