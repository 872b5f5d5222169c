import assert from "node:assert/strict";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { DescribeResponse__Output } from "@tandem/proto/gen/tandem/v1/DescribeResponse.js";
import type { ScoreRequest } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import type { TeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { fixtureModel, runTeacherServer, startLiveServer } from "../../helpers/live-server.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";

const folder = mkdtempSync(join(tmpdir(), "tandem-quantized-server-"));
after(() => rmSync(folder, { recursive: true }));
const tiny = fixtureModel("llama-tied");

interface Served {
  readonly description: DescribeResponse__Output;
  /** Frames of a scored sequence. */
  readonly answer: string;
  readonly line: string;
}

async function serve(args: readonly string[], model = tiny): Promise<Served> {
  const server = await startLiveServer({ model, args });
  try {
    const description = await describeTeacher(server.client);
    return { description, answer: await score(server.client), line: server.readyLine };
  } finally {
    await server.stop();
  }
}

function describeTeacher(client: TeacherClient): Promise<DescribeResponse__Output> {
  return new Promise((resolve, reject) =>
    client.describe({}, (error, value) => (value === undefined ? reject(error) : resolve(value))),
  );
}

async function score(client: TeacherClient): Promise<string> {
  const stream = new TeacherStream<ScoreRequest, ScoreResponse__Output>(client.score());
  const tokens = u32(Uint32Array.from({ length: 20 }, (_, i) => (i * 13) % 97));
  stream.send({ items: [{ id: 1, tokens, from: 1, signal: { topK: 5, token: true } }] });
  const message = await stream.next();
  await stream.finish();
  assert.deepEqual(message?.errors, []);
  return JSON.stringify(message?.results[0]?.frames);
}

function filesOf(cache: string): readonly string[] {
  return readdirSync(cache, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return `${path} ${statSync(path).mtimeMs}`;
    })
    .sort();
}

describe("teacher-server --quantization", { timeout: 120_000 }, () => {
  it("states precision and divergence, and starts from its cache with the same bits", async () => {
    const cache = join(folder, "cache");
    const args = ["--quantization", "int8", "--cache-dir", cache];
    const plain = await serve(["--cache-dir", cache]);
    assert.equal(plain.description.dtype, "f32");
    assert.equal(plain.description.divergence ?? undefined, undefined);
    const first = await serve(args);
    const { divergence, dtype, numericsId } = first.description;
    assert.equal(dtype, "int8");
    assert.notEqual(numericsId, plain.description.numericsId);
    assert.match(numericsId, /int8/);
    assert.equal(first.description.weightsDigest, plain.description.weightsDigest);
    assert.ok(divergence!.meanKl > 0 && divergence!.meanKl < 0.1, `mean ${divergence!.meanKl}`);
    assert.ok(divergence!.p99Kl >= divergence!.meanKl);
    assert.ok(divergence!.top1Agreement > 0.8 && divergence!.top1Agreement <= 1);
    assert.match(first.line, / precision=int8 mean_kl=\S+ p99_kl=\S+ top1_agreement=\S+$/);
    assert.notEqual(first.answer, plain.answer);

    const kept = filesOf(cache);
    assert.ok(kept.some((file) => file.includes("int8")));
    const second = await serve(args);
    assert.deepEqual(filesOf(cache), kept, "nothing is written again");
    assert.equal(second.answer, first.answer);
    assert.deepEqual(second.description, first.description);

    const weights = kept.find((file) => file.includes(".safetensors "))!.split(" ")[0]!;
    truncateSync(weights, 1000);
    const mended = await serve(args);
    assert.equal(mended.answer, first.answer, "a file that was cut off is made again");
  });

  it("makes quantised weights anew for other weights in the same place", async () => {
    const cache = join(folder, "moving");
    const model = join(folder, "model");
    const args = ["--quantization", "int4", "--cache-dir", cache];
    cpSync(tiny, model, { recursive: true });
    const before = await serve(args, model);
    cpSync(join(fixtureModel("llama-f16"), "model.safetensors"), join(model, "model.safetensors"));
    cpSync(join(fixtureModel("llama-f16"), "config.json"), join(model, "config.json"));
    utimesSync(join(model, "model.safetensors"), 1, 1);
    const behind = await serve(args, model);
    assert.notEqual(behind.description.weightsDigest, before.description.weightsDigest);
    assert.notEqual(behind.answer, before.answer);
  });

  it("serves float32 without a cache it can write", async () => {
    const file = join(folder, "a-file");
    writeFileSync(file, "");
    const { description } = await serve(["--cache-dir", file]);
    assert.equal(description.dtype, "f32");
  });

  for (const dtype of ["f16", "bf16"]) {
    it(`refuses --dtype ${dtype} and says what to use`, async () => {
      const { code, stderr } = await runTeacherServer(["--model", tiny, "--dtype", dtype]);
      assert.equal(code, 2);
      assert.match(stderr, /--dtype f32.*--quantization int8/);
    });
  }
});
