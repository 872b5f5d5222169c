import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { curveOf, runTiny, temporaryRun } from "./fixture-run.js";

const dirs: string[] = [];
async function newDir(): Promise<string> {
  const dir = await temporaryRun();
  dirs.push(dir);
  return dir;
}
after(async () => {
  for (const dir of dirs) await rm(dir, { recursive: true, force: true });
});

describe("a run with a training thread", () => {
  for (const staleness of [0, 1]) {
    it(`has the bits of one without, staleness ${staleness}`, async () => {
      const [inline, thread] = [await newDir(), await newDir()];
      const training = { staleness };
      const expected = await runTiny({ runDir: inline, training });
      const result = await runTiny({ runDir: thread, training, ownThread: true });
      assert.deepEqual(await curveOf(thread), await curveOf(inline));
      for (const file of ["model.safetensors", "optimizer.safetensors"]) {
        const [own, other] = [result, expected].map(({ checkpoint }) => join(checkpoint, file));
        assert.deepEqual(await readFile(own!), await readFile(other!), file);
      }
    });
  }

  it("may be resumed by one without, and the other way round", async () => {
    const [whole, parts] = [await newDir(), await newDir()];
    await runTiny({ runDir: whole });
    await runTiny({ runDir: parts, abortAfter: 5, ownThread: true });
    await runTiny({ runDir: parts, abortAfter: 9, resume: true });
    await runTiny({ runDir: parts, ownThread: true, resume: true });
    assert.deepEqual(await curveOf(parts), await curveOf(whole));
  });

  it("leaves this thread free while it computes", async () => {
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    await runTiny({
      runDir: await newDir(),
      ownThread: true,
      training: { rounds: 1, checkpointEvery: null },
    });
    clearInterval(timer);
    assert.ok(ticks > 5, `${ticks} ticks`);
  });

  it("passes on what goes wrong in it", async () => {
    await assert.rejects(runTiny({ runDir: await newDir(), ownThread: true, badTokens: true }), {
      code: "INVALID_ARGUMENT",
      message: /token id 99, the vocabulary has 13/,
    });
  });
});
