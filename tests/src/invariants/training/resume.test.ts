import assert from "node:assert/strict";
import { cp, readFile, readdir, rm } from "node:fs/promises";
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

const STEPS = 16; // 4 rounds · 2 passes · ⌈6 / 4⌉ minibatches

describe("a resumed run", () => {
  for (const staleness of [0, 1, 2]) {
    it(`has the loss curve and the weights of an uninterrupted one, bit by bit, staleness ${staleness}`, async () => {
      const whole = await newDir();
      const { checkpoint } = await runTiny({ runDir: whole, training: { staleness } });
      const expected = await curveOf(whole);
      assert.equal(
        expected.filter((record) => (record as { kind: string }).kind === "step").length,
        STEPS,
      );
      // Step 2 ends a pass, 4 a round, 1, 5 and 11 are in the middle of one.
      for (const abortAfter of staleness === 0 ? [1, 2, 4, 11] : [4, 5]) {
        const parts = await newDir();
        const first = await runTiny({ runDir: parts, training: { staleness }, abortAfter });
        assert.equal(first.interrupted, true);
        const second = await runTiny({ runDir: parts, training: { staleness }, resume: true });
        assert.equal(second.interrupted, false);
        assert.deepEqual(await curveOf(parts), expected, `aborted after step ${abortAfter}`);
        for (const file of ["model.safetensors", "optimizer.safetensors"]) {
          assert.deepEqual(
            await readFile(join(second.checkpoint, file)),
            await readFile(join(checkpoint, file)),
            `${file}, aborted after step ${abortAfter}`,
          );
        }
      }
    });
  }

  it("forgets what was logged behind its checkpoint", async () => {
    const whole = await newDir();
    await runTiny({ runDir: whole });
    const killed = await newDir();
    // As after kill -9: a log that is ahead of the checkpoint, and half a line at its end.
    await runTiny({ runDir: killed, abortAfter: 9 });
    const later = await newDir();
    await cp(killed, later, { recursive: true });
    const [oldest] = (await readdir(join(later, "checkpoints"))).sort();
    for (const name of await readdir(join(later, "checkpoints"))) {
      if (name !== oldest) await rm(join(later, "checkpoints", name), { recursive: true });
    }
    await runTiny({ runDir: later, resume: true });
    assert.deepEqual(await curveOf(later), await curveOf(whole));
  });

  it("of a finished run does nothing", async () => {
    const dir = await newDir();
    const first = await runTiny({ runDir: dir });
    const before = await curveOf(dir);
    const again = await runTiny({ runDir: dir, resume: true });
    assert.deepEqual(await curveOf(dir), before);
    assert.deepEqual(again.summary, first.summary);
  });
});

describe("weights are published at fixed points", () => {
  it("staleness changes what is written, as the source depends on the weights", async () => {
    const fresh = await newDir();
    const stale = await newDir();
    await runTiny({ runDir: fresh });
    await runTiny({ runDir: stale, training: { staleness: 1 } });
    assert.notDeepEqual(await curveOf(fresh), await curveOf(stale));
  });
});
