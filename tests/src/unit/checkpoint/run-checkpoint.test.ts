import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { listCheckpoints } from "@tandem/student-trainer/checkpoint/checkpoint-names.js";
import {
  loadCheckpoint,
  loadLatestCheckpoint,
} from "@tandem/student-trainer/checkpoint/load-checkpoint.js";
import { loadStudent } from "@tandem/student-trainer/checkpoint/load-student.js";
import {
  removeUnfinished,
  saveCheckpoint,
} from "@tandem/student-trainer/checkpoint/save-checkpoint.js";
import { tinyModelDir } from "../../helpers/tiny-models.js";
import { contentOf } from "./checkpoint-content.js";

let dir = "";
let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "tandem-checkpoint-"));
});
beforeEach(async () => {
  dir = await mkdtemp(join(root, "run-"));
});
after(async () => rm(root, { recursive: true, force: true }));

describe("a run's checkpoint", () => {
  it("gives back weights, moments, state and rollouts bit by bit", async () => {
    const content = await contentOf(tinyModelDir("llama-bias"), 12);
    const path = await saveCheckpoint({ ...content, dir, keep: 2 });
    assert.equal(path, join(dir, "step-000012"));
    const loaded = await loadLatestCheckpoint(dir);
    assert.deepEqual(loaded.state, content.state);
    assert.deepEqual(loaded.moments, content.moments);
    assert.deepEqual(loaded.batches, content.batches);
    assert.deepEqual(loaded.model.weights, content.model.weights);
    assert.deepEqual(loaded.model.config, content.model.config);
  });

  it("is a Hugging Face directory itself", async () => {
    const content = await contentOf(tinyModelDir("gpt2"), 3);
    const path = await saveCheckpoint({ ...content, dir, keep: 1 });
    assert.deepEqual((await loadStudent(path)).weights, content.model.weights);
  });

  it("pushes out the oldest", async () => {
    for (const step of [5, 10, 100, 15]) {
      await saveCheckpoint({
        ...(await contentOf(tinyModelDir("llama-tied"), step)),
        dir,
        keep: 2,
      });
    }
    assert.deepEqual(
      (await listCheckpoints(dir)).map(({ step }) => step),
      [15, 100],
    );
  });

  it("may be saved again by a resumed run", async () => {
    const content = await contentOf(tinyModelDir("llama-tied"), 5);
    await saveCheckpoint({ ...content, dir, keep: 2 });
    await saveCheckpoint({ ...content, dir, keep: 2 });
    assert.deepEqual((await loadLatestCheckpoint(dir)).state, content.state);
    assert.deepEqual(await readdir(dir), ["step-000005"]);
  });

  it("half-written by a killed process is no checkpoint, and is cleared away", async () => {
    await saveCheckpoint({ ...(await contentOf(tinyModelDir("llama-tied"), 5)), dir, keep: 2 });
    const unfinished = join(dir, ".writing-1-step-000006");
    await mkdir(unfinished);
    await writeFile(join(unfinished, "state.json"), "{");
    assert.equal((await loadLatestCheckpoint(dir)).state.step, 5);
    await removeUnfinished(dir);
    assert.deepEqual(await readdir(dir), ["step-000005"]);
  });
});

describe("a full disk", () => {
  it("leaves the old checkpoint intact and says what to do", async () => {
    await saveCheckpoint({ ...(await contentOf(tinyModelDir("llama-tied"), 5)), dir, keep: 1 });
    const before = await readFile(join(dir, "step-000005", "model.safetensors"));
    // The file size limit stands for the disk: 8 blocks of 512 bytes are too few for the weights. The kernel's signal is ignored, so that
    // the write itself fails, as on a full disk.
    const script = fileURLToPath(new URL("./save-checkpoint-child.js", import.meta.url));
    const { stdout } = await promisify(execFile)("sh", [
      "-c",
      `trap '' XFSZ; ulimit -f 8; exec "$0" "$@"`,
      process.execPath,
      script,
      dir,
      tinyModelDir("llama-tied"),
    ]);
    const error = JSON.parse(stdout) as { code: string; message: string };
    assert.equal(error.code, "RESOURCE_EXHAUSTED");
    assert.match(
      error.message,
      /step-000006; older checkpoints are intact: free some space and run again with --resume/,
    );
    assert.deepEqual(await readdir(dir), ["step-000005"]);
    assert.deepEqual(await readFile(join(dir, "step-000005", "model.safetensors")), before);
    assert.equal((await loadLatestCheckpoint(dir)).state.step, 5);
  });
});

describe("a damaged checkpoint is refused", () => {
  const damages: readonly [string, (path: string) => Promise<void>, RegExp][] = [
    [
      "no state",
      (path) => writeFile(join(path, "state.json"), "{}"),
      /state\.json is not the state of a checkpoint/,
    ],
    [
      "rollouts cut off",
      (path) => truncate(join(path, "rollouts.bin"), 3),
      /rollouts\.bin is damaged/,
    ],
    [
      "moments cut off",
      (path) => truncate(join(path, "optimizer.safetensors"), 2000),
      /optimizer\.safetensors/,
    ],
    [
      "weights cut off",
      (path) => truncate(join(path, "model.safetensors"), 2000),
      /model\.safetensors/,
    ],
  ];
  for (const [what, damage, message] of damages) {
    it(what, async () => {
      const path = await saveCheckpoint({
        ...(await contentOf(tinyModelDir("llama-tied"), 5)),
        dir,
        keep: 1,
      });
      await damage(path);
      await assert.rejects(loadCheckpoint(path), { code: "DATA_LOSS", message });
    });
  }

  it("and a missing one is not found", async () => {
    await assert.rejects(loadLatestCheckpoint(join(dir, "nowhere")), { code: "NOT_FOUND" });
  });
});
