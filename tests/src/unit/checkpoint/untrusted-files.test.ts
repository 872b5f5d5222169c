import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { parseModelConfig, readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { parseSafetensorsHeader } from "@tandem/shared/checkpoint/safetensors-header.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { readModelText } from "@tandem/shared/files/model-file.js";
import { tokenizerIdentity } from "@tandem/shared/tokenizer/fingerprint.js";
import type { JsonObject } from "@tandem/shared/tokenizer/tokenizer-files.js";
import { fixtureModel } from "../../helpers/live-server.js";
import { mulberry32 } from "../../helpers/mulberry32.js";

const SEED = 20261122;
const root = mkdtempSync(join(tmpdir(), "tandem-untrusted-"));
after(() => rmSync(root, { recursive: true }));

const tokenizerJson = JSON.parse(
  readFileSync(
    new URL("../../../../tests/fixtures/tokenizer/byte-level/tokenizer.json", import.meta.url),
    "utf8",
  ),
) as JsonObject;
const configJson = JSON.parse(
  readFileSync(join(fixtureModel("llama-tied"), "config.json"), "utf8"),
) as JsonObject;

describe("a model's directory", () => {
  it("may be a snapshot of the hub's cache, whose files are links to blobs", async () => {
    const repository = join(root, "models--org--name");
    mkdirSync(join(repository, "blobs"), { recursive: true });
    mkdirSync(join(repository, "snapshots", "abc"), { recursive: true });
    for (const name of ["config.json", "model.safetensors"]) {
      cpSync(join(fixtureModel("llama-tied"), name), join(repository, "blobs", name));
      symlinkSync(join("..", "..", "blobs", name), join(repository, "snapshots", "abc", name));
    }
    const snapshot = join(repository, "snapshots", "abc");
    symlinkSync(snapshot, join(root, "linked-directory"));
    for (const dir of [snapshot, join(root, "linked-directory")]) {
      assert.equal((await readModelConfig(dir)).family, "llama");
      assert.ok((await CheckpointWeights.open(dir)).names.length > 0);
    }
  });

  it("has no links that lead out of it", async () => {
    const dir = join(root, "escaping");
    mkdirSync(dir);
    symlinkSync(join(fixtureModel("llama-tied"), "config.json"), join(dir, "config.json"));
    symlinkSync("/etc/hostname", join(dir, "chat_template.jinja"));
    symlinkSync(
      join(fixtureModel("llama-tied"), "model.safetensors"),
      join(dir, "model.safetensors"),
    );
    const refused = { code: "PERMISSION_DENIED", message: /outside .*escaping/ };
    await assert.rejects(readModelConfig(dir), refused);
    await assert.rejects(CheckpointWeights.open(dir), refused);
    await assert.rejects(readModelText(dir, "chat_template.jinja", 1000), refused);
  });

  it("has an index that names files beside it only", async () => {
    for (const [i, name] of [
      "../model.safetensors",
      "/etc/passwd",
      "a/b.safetensors",
      "x",
    ].entries()) {
      const dir = join(root, `index-${i}`);
      mkdirSync(dir);
      const index = JSON.stringify({ weight_map: { a: name } });
      writeFileSync(join(dir, "model.safetensors.index.json"), index);
      await assert.rejects(CheckpointWeights.open(dir), { code: "DATA_LOSS" });
    }
  });

  it("has no text beyond the size of its kind", async () => {
    writeFileSync(join(root, "large.json"), "x".repeat(1001));
    await assert.rejects(readModelText(root, "large.json", 1000), {
      code: "DATA_LOSS",
      limit: 1000,
    });
    assert.equal(await readModelText(root, "none.json", 1000), undefined);
  });
});

const ODD = [null, true, -1, 0, 0.5, 1e308, 2 ** 53, "", "x", "__proto__", [], {}, [null], [[]]];

/** The value with one part of it, anywhere, replaced, left out or said twice. */
function mutated(value: unknown, random: () => number): unknown {
  const odd = () => ODD[Math.floor(random() * ODD.length)];
  if (typeof value !== "object" || value === null || random() < 0.15) return odd();
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  const keys = Object.keys(copy);
  const key = keys[Math.floor(random() * keys.length)];
  if (key === undefined) return odd();
  if (random() < 0.1) delete copy[key];
  else copy[key] = mutated(copy[key], random);
  return copy;
}

const parsers: readonly (readonly [string, unknown, (json: unknown) => unknown])[] = [
  ["config.json", configJson, parseModelConfig],
  [
    "tokenizer.json",
    {
      ...tokenizerJson,
      model: {
        type: "Unigram",
        vocab: [
          ["a", 0],
          ["b", -1],
        ],
      },
    },
    (json) => tokenizerIdentity((json ?? {}) as JsonObject),
  ],
  ["tokenizer.json with merges", tokenizerJson, (json) => tokenizerIdentity(json as JsonObject)],
  [
    "a safetensors header",
    {
      __metadata__: { format: "pt" },
      a: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
      b: { dtype: "BF16", shape: [1, 2], data_offsets: [8, 12] },
    },
    (json) =>
      parseSafetensorsHeader(JSON.stringify(json), { file: "f", dataStart: 8, fileBytes: 20 }),
  ],
];

describe("files that somebody has tampered with", () => {
  for (const [name, sound, parse] of parsers) {
    it(`${name} is understood or refused, never a crash`, () => {
      parse(sound);
      const random = mulberry32(SEED);
      let refused = 0;
      for (let i = 0; i < 300; i++) {
        // Through JSON, which has no holes and no -0.
        const json: unknown = JSON.parse(JSON.stringify(mutated(mutated(sound, random), random)));
        if (typeof json !== "object" || json === null) continue;
        try {
          parse(json);
        } catch (error) {
          assert.ok(error instanceof TandemError, `case ${i}: ${String(error)}`);
          assert.notEqual(error.code, "INTERNAL", `case ${i}: ${error.message}`);
          refused++;
        }
      }
      assert.ok(refused > 20, `${refused} were refused`);
    });
  }

  it("a config that asks for a billion layers is refused before anything is built", () => {
    for (const [field, value] of [
      ["num_hidden_layers", 1e9],
      ["vocab_size", 2 ** 31],
      ["hidden_size", 2 ** 40],
    ] as const) {
      assert.throws(() => parseModelConfig({ ...configJson, [field]: value }), {
        code: "INVALID_ARGUMENT",
        field,
      });
    }
  });
});
