import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

import type { ScoreRequest } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import type { SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";

import { ChaosCluster } from "../helpers/chaos-cluster.js";
import { runSkd } from "../helpers/chaos-run.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../helpers/live-server.js";
import { MemoryGroup, memoryGroupObstacle } from "../helpers/memory-group.js";
import { mulberry32 } from "../helpers/mulberry32.js";
import { makeRolloutPair, type RolloutPair } from "../helpers/rollout-pair.js";
import { TeacherStream, u32 } from "../helpers/teacher-stream.js";

/** Server and engine take half of it. */
const LIMIT_BYTES = 512 * 2 ** 20;
const ROUNDS = 3;
const FIRST = 90;
const OUT_OF_MEMORY_AT = [10, 60];

describe("a machine without memory", { timeout: 240_000 }, () => {
  let server: LiveServer | undefined;
  let group: MemoryGroup | undefined;
  afterEach(async () => {
    assert.equal((await server?.stop()) ?? 0, 0);
    group?.remove();
    server = group = undefined;
  });

  it("takes the engine before the server", async () => {
    server = await startLiveServer({ model: fixtureModel("llama-tied") });
    const rank = (pid: number) => {
      const file = `/proc/${pid}/oom_score_adj`;
      return existsSync(file) ? Number(readFileSync(file, "utf8")) : undefined;
    };
    const own = rank(server.process.pid as number);
    // Elsewhere than on Linux there is no such order.
    const expected = own === undefined ? undefined : Math.min(1000, own + 500);
    assert.equal(rank(server.enginePid()), expected);
  });

  const obstacle = memoryGroupObstacle();
  if (obstacle !== undefined) {
    it(`IMPOSSIBLE here, a kill by the kernel was not tried: ${obstacle}`, (test) => {
      test.diagnostic("run it as root where control groups are writable");
    });
    return;
  }

  it("costs the items under way one UNAVAILABLE each; the server answers as before when its engine is back", async () => {
    group = new MemoryGroup(LIMIT_BYTES);
    server = await startLiveServer({ model: fixtureModel("llama-tied"), group });
    const stream = new TeacherStream<ScoreRequest, ScoreResponse__Output>(server.client.score());
    const item = (id: number, token: number) => ({
      id,
      tokens: u32([token, (id >> 5) % 97, ...Array<number>(60).fill(7)]),
      from: 1,
      signal: { token: true, topK: 4 },
    });
    /** By item: how often it had an answer. */
    const answers = new Map<number, number>();
    const count = (id: number) => answers.set(id, (answers.get(id) ?? 0) + 1);
    const codes = new Set<string>();
    let sent = 0;
    /** Asks for every token and waits for the answers; gives those of the last item. */
    const ask = async (...tokens: readonly number[]): Promise<SignalFrame__Output[]> => {
      stream.send({ items: tokens.map((token, i) => item(sent + i, token)) });
      sent += tokens.length;
      const frames: SignalFrame__Output[] = [];
      while (answers.size < sent) {
        const message = await stream.next();
        for (const result of message?.results ?? []) {
          if (result.id === sent - 1) frames.push(...result.frames);
          if (result.last) count(result.id);
        }
        for (const { id, code } of message?.errors ?? []) {
          codes.add(code);
          count(id);
        }
      }
      return frames;
    };
    const expected = await ask(FIRST);
    let over = false;
    const exhausted = group.exhaust().finally(() => (over = true));
    while (!over) {
      await ask(...Array.from({ length: 32 }, (_, i) => i));
      if (codes.size > 0) await delay(20);
    }
    await exhausted;
    assert.deepEqual([...codes], ["ERROR_CODE_UNAVAILABLE"]);
    assert.ok([...answers.values()].every((times) => times === 1));
    assert.deepEqual(
      server.logs.filter(({ event }) => event === "engine.lost").map(({ reason }) => reason),
      ["SIGKILL"],
    );
    for (let tries = 0; tries < 500; tries++) {
      if ((await fetch(`http://${server.httpAddress}/readyz`)).ok) break;
      await delay(20);
    }
    answers.clear();
    sent = 0;
    assert.ok(expected.length > 0);
    assert.deepEqual(await ask(FIRST), expected);
    await stream.finish();
  });

  it("does not show in a run of speculative KD: the same tokens, the same bits of loss", async () => {
    const pair = await makeRolloutPair();
    const start = (memoryLimitBytes?: number) =>
      ChaosCluster.start({
        model: pair.teacherDir,
        replicas: 1,
        random: mulberry32(7),
        memoryLimitBytes,
      });
    try {
      const calm = await start();
      const { addresses } = calm;
      const expected = await runSkd({ pair, name: "calm", addresses, rounds: ROUNDS });
      await calm.close();
      const { run, kills } = await disturb(pair, await start(LIMIT_BYTES));
      assert.ok(kills > 0, "the kernel killed an engine");
      assert.deepEqual(run.texts, expected.texts);
      assert.deepEqual(run.records, expected.records);
    } finally {
      await pair.remove();
    }
  });
});

async function disturb(pair: RolloutPair, cluster: ChaosCluster) {
  const waiting: number[] = [];
  try {
    const run = await runSkd({
      pair,
      name: "disturbed",
      addresses: cluster.addresses,
      rounds: ROUNDS,
      onQuestion: (n) => {
        if (OUT_OF_MEMORY_AT.includes(n)) waiting.push(n);
        if (waiting.length > 0 && cluster.inflict("out-of-memory", 0)) waiting.pop();
      },
    });
    const logs = cluster.servers.flatMap((server) => server.logs);
    return { run, kills: logs.filter(({ event }) => event === "engine.lost").length };
  } finally {
    await cluster.close();
  }
}
