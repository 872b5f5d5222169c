import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { readSafetensorsFile } from "@tandem/shared/checkpoint/safetensors-file.js";
import { writeSafetensors } from "@tandem/shared/checkpoint/write-safetensors.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { tinyModelDir } from "../../helpers/tiny-models.js";

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "tandem-safetensors-"));
});
after(() => rm(dir, { recursive: true }));

/** A file with this header, whatever it says, and `dataBytes` zeros behind it. */
async function fileWith(name: string, header: unknown, dataBytes: number): Promise<string> {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  const path = join(dir, name);
  await writeFile(path, Buffer.concat([size, json, Buffer.alloc(dataBytes)]));
  return path;
}

function failsWith(code: string, message: RegExp) {
  return (caught: unknown) => {
    assert.ok(caught instanceof TandemError, String(caught));
    assert.equal(caught.code, code);
    assert.match(caught.message, message);
    return true;
  };
}

describe("readSafetensorsFile", () => {
  const entry = (begin: number, end: number) => ({
    dtype: "F32",
    shape: [2],
    data_offsets: [begin, end],
  });
  const refused: readonly (readonly [string, unknown, number, RegExp])[] = [
    ["truncated data", { a: entry(0, 8) }, 7, /truncated.*"a" needs/],
    ["overlapping tensors", { a: entry(0, 8), b: entry(4, 12) }, 12, /"b" overlaps/],
    ["offsets that contradict the shape", { a: entry(0, 4) }, 8, /should hold 8 bytes but spans 4/],
    [
      "a negative size",
      { a: { dtype: "F32", shape: [-2], data_offsets: [0, 8] } },
      8,
      /lacks a valid/,
    ],
    [
      "an unknown dtype",
      { a: { dtype: "Q7", shape: [2], data_offsets: [0, 8] } },
      8,
      /unknown dtype "Q7"/,
    ],
    ["a header that is no JSON", "{", 0, /not JSON/],
    ["a header that is a list", [], 0, /not a JSON object/],
  ];
  for (const [what, header, bytes, message] of refused) {
    it(`refuses ${what}, naming the file`, async () => {
      const path = await fileWith("bad.safetensors", header, bytes);
      await assert.rejects(readSafetensorsFile(path), failsWith("DATA_LOSS", message));
      await assert.rejects(readSafetensorsFile(path), /bad\.safetensors/);
    });
  }

  it("refuses a header longer than the file or the limit without allocating it", async () => {
    const path = join(dir, "huge.safetensors");
    const size = Buffer.alloc(16);
    size.writeBigUInt64LE(1n << 60n);
    await writeFile(path, size);
    await assert.rejects(
      readSafetensorsFile(path),
      failsWith("DATA_LOSS", /header of 1152921504606\d+ bytes/),
    );
    size.writeBigUInt64LE(1000n);
    await writeFile(path, size);
    await assert.rejects(readSafetensorsFile(path), failsWith("DATA_LOSS", /truncated/));
    await truncate(path, 3);
    await assert.rejects(readSafetensorsFile(path), failsWith("DATA_LOSS", /truncated/));
  });

  it("resolves links, as hub caches have them, and reports dangling ones", async () => {
    await writeSafetensors(join(dir, "blob"), [
      { name: "a", shape: [1], data: Float32Array.of(1) },
    ]);
    await symlink("blob", join(dir, "link.safetensors"));
    assert.match((await readSafetensorsFile(join(dir, "link.safetensors"))).path, /blob$/);
    await symlink("nothing", join(dir, "dangling.safetensors"));
    await assert.rejects(
      readSafetensorsFile(join(dir, "dangling.safetensors")),
      failsWith("NOT_FOUND", /dangling/),
    );
  });
});

describe("writeSafetensors", () => {
  // Exact in bf16 (8 bits of fraction), so every dtype must give them back; 2⁻²⁴ is f16's smallest number.
  const values = Float32Array.of(0, -0, 1, -1.5, 2 ** -24, 65280, Infinity, -0.0078125);
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    it(`gives ${dtype} values back`, async () => {
      const path = join(dir, "model.safetensors");
      await writeSafetensors(
        path,
        [
          { name: "b", shape: [2, 4], data: values },
          { name: "a", shape: [], data: Float32Array.of(3) },
        ],
        { dtype },
      );
      const weights = await CheckpointWeights.open(dir);
      assert.deepEqual(weights.names, ["a", "b"]);
      assert.deepEqual(await weights.read(weights.require("b", [2, 4])), values);
      assert.deepEqual(await weights.read(weights.require("b", [2, 4]), 1), values.slice(0, 4));
      assert.deepEqual(await weights.read(weights.require("a", [])), Float32Array.of(3));
      await rm(path);
    });
  }

  it("leaves no temporary file behind and starts the data at a multiple of 8", async () => {
    const path = join(dir, "aligned.safetensors");
    await writeSafetensors(path, [{ name: "x".repeat(13), shape: [1], data: Float32Array.of(1) }]);
    const { entries, metadata } = await readSafetensorsFile(path);
    assert.equal(entries[0]!.offset % 8, 0);
    assert.deepEqual(metadata, { format: "pt" });
    assert.deepEqual(
      (await readdir(dir)).filter((name) => name.includes(".tmp")),
      [],
    );
  });

  it("keeps the old file when the directory cannot be written", async () => {
    const path = join(dir, "missing", "model.safetensors");
    await assert.rejects(writeSafetensors(path, []), /ENOENT/);
  });
});

describe("CheckpointWeights", () => {
  it("has the same digest for one file and for shards", async () => {
    const shards = await CheckpointWeights.open(tinyModelDir("llama-sharded"));
    const whole = join(dir, "whole");
    await mkdir(whole);
    const weights = await Promise.all(
      shards.names.map(async (name) => {
        const entry = shards.find(name)!;
        return { name, shape: entry.shape, data: await shards.read(entry) };
      }),
    );
    await writeSafetensors(join(whole, "model.safetensors"), weights);
    const single = await CheckpointWeights.open(whole);
    assert.equal(await single.digest(), await shards.digest());
    weights[0]!.data[0]! += 1;
    await writeSafetensors(join(whole, "model.safetensors"), weights);
    assert.notEqual(await (await CheckpointWeights.open(whole)).digest(), await shards.digest());
  });

  it("finds weights of a bare model by their full names", async () => {
    const weights = await CheckpointWeights.open(tinyModelDir("gpt2-bare"));
    assert.equal(weights.find("transformer.wte.weight")!.name, "wte.weight");
  });

  it("names what is missing or misshapen", async () => {
    const weights = await CheckpointWeights.open(tinyModelDir("llama-tied"));
    assert.throws(
      () => weights.require("lm_head.weight", [97, 16]),
      failsWith("DATA_LOSS", /no weight "lm_head\.weight"/),
    );
    assert.throws(
      () => weights.require("model.norm.weight", [17]),
      failsWith("DATA_LOSS", /has shape \[16\], config\.json asks for \[17\]/),
    );
    await assert.rejects(
      CheckpointWeights.open(join(dir, "nowhere")),
      failsWith("NOT_FOUND", /neither model\.safetensors/),
    );
  });

  it("refuses an index that points outside its directory or to a missing shard", async () => {
    const sub = join(dir, "sharded");
    await mkdir(sub);
    const index = join(sub, "model.safetensors.index.json");
    await writeFile(index, JSON.stringify({ weight_map: { a: "../blob.safetensors" } }));
    await assert.rejects(CheckpointWeights.open(sub), failsWith("DATA_LOSS", /weight_map/));
    await writeFile(
      index,
      JSON.stringify({ weight_map: { a: "model-00001-of-00002.safetensors" } }),
    );
    await assert.rejects(
      CheckpointWeights.open(sub),
      failsWith("NOT_FOUND", /model-00001-of-00002/),
    );
    await writeFile(index, "{");
    await assert.rejects(CheckpointWeights.open(sub), failsWith("DATA_LOSS", /not JSON/));
  });
});
