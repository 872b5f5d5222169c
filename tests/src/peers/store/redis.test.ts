import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import { freePort } from "../../helpers/free-port.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { scoreOverWire } from "../../helpers/score-over-wire.js";
import { u32 } from "../../helpers/teacher-stream.js";

/** Together within one step, so that frames are cut alike. */
const items: readonly ScoreItem[] = Array.from({ length: 12 }, (_, id) => ({
  id,
  tokens: u32(Array.from({ length: 5 + 5 * id }, (__, i) => (i * 7 + 3 * id) % 97)),
  from: 1 + id,
  signal: { topK: 9, token: true, encoding: id % 2 === 0 ? "ENCODING_PLAIN" : "ENCODING_COMPACT" },
}));

describe("a store in Redis that two servers share", { timeout: 120_000 }, () => {
  let dir: string;
  let port: number;
  let redis: ChildProcess;
  let first: LiveServer;
  let second: LiveServer;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), "tandem-redis-"));
    port = await freePort();
    redis = await startRedis(dir, port);
    const args = ["--store-redis-url", `redis://127.0.0.1:${port}`];
    first = await startLiveServer({ model: fixtureModel("qwen3"), args });
    second = await startLiveServer({ model: fixtureModel("qwen3"), args });
  });
  after(async () => {
    await Promise.all([first.stop(), second.stop()]);
    redis.kill("SIGKILL");
    rmSync(dir, { recursive: true });
  });

  async function savedOf(server: LiveServer): Promise<{ saved: boolean[]; frames: unknown[] }> {
    const scores = await scoreOverWire(server.client, items);
    const own = items.map(({ id }) => scores.get(id as number)!);
    return {
      saved: own.map(({ usage }) => usage.savedPositions > 0),
      frames: own.map(({ frames }) => frames),
    };
  }

  it("gives one the bytes that the other has computed", async () => {
    const computed = await savedOf(first);
    assert.ok(!computed.saved.includes(true));
    const client = new Redis(port, "127.0.0.1");
    while ((await client.dbsize()) < items.length) await delay(20);
    const found = await savedOf(second);
    assert.ok(!found.saved.includes(false));
    assert.deepEqual(found.frames, computed.frames);

    // One entry is cut, one is changed, one is something else.
    const [cut, changed, other] = (await client.keys("tandem:signal:*")) as [
      string,
      string,
      string,
    ];
    const whole = (await client.getBuffer(cut)) as Buffer;
    await client.set(cut, whole.subarray(0, whole.length - 1));
    const bytes = (await client.getBuffer(changed)) as Buffer;
    bytes[30] = (bytes[30] as number) ^ 1;
    await client.set(changed, bytes);
    await client.set(other, "no signal");
    const again = await savedOf(second);
    assert.equal(again.saved.filter((saved) => !saved).length, 3);
    assert.deepEqual(again.frames, computed.frames);
    await client.quit();
  });

  it("computes while Redis is away, and finds again what it has when it is back", async () => {
    const computed = await savedOf(first);
    redis.kill("SIGKILL");
    await once(redis, "exit");
    const alone = await savedOf(second);
    assert.ok(!alone.saved.includes(true));
    assert.deepEqual(alone.frames, computed.frames);
    redis = await startRedis(dir, port);
    // Nothing was written to disk: the first answers after its return fill it, the next ones come from it.
    for (let attempt = 0; attempt < 100; attempt++) {
      const { saved, frames } = await savedOf(second);
      assert.deepEqual(frames, computed.frames);
      if (!saved.includes(false)) return;
      await delay(100);
    }
    assert.fail("the servers did not come back to Redis");
  });
});

async function startRedis(dir: string, port: number): Promise<ChildProcess> {
  const child = spawn(
    process.env["TANDEM_REDIS_SERVER"] ?? "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", ""],
    { stdio: "ignore" },
  );
  const client = new Redis(port, "127.0.0.1", {
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
  });
  client.on("error", () => {});
  await client.ping();
  await client.quit();
  return child;
}
