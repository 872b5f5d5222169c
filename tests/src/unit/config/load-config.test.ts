import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { z } from "zod";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { loadConfig } from "@tandem/shared/config/load-config.js";
import { configDigest, printConfig } from "@tandem/shared/config/print-config.js";
import { parse } from "yaml";

const schema = z.strictObject({
  model: z.string(),
  maxModelLen: z.number().int().positive().default(512),
  optim: z
    .strictObject({
      learningRate: z.number().default(1e-3),
      betas: z.array(z.number()).default([0.9, 0.99]),
    })
    .prefault({}),
  losses: z.array(z.strictObject({ name: z.string(), weight: z.number().default(1) })).default([]),
  level: z.enum(["info", "debug"]).default("info"),
});

const folder = mkdtempSync(join(tmpdir(), "tandem-config-"));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function refusal(run: () => unknown): TandemError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof TandemError);
    return error;
  }
  return assert.fail("nothing was thrown");
}

describe("loadConfig", () => {
  it("prefers --set over flags over environment over file over defaults", () => {
    const config = loadConfig({
      schema,
      prefix: "TANDEM_",
      file: file(
        "a.yaml",
        "model: from-file\nmax_model_len: 1\noptim: {learning-rate: 0.1}\nlevel: debug\n",
      ),
      env: { TANDEM_MAX_MODEL_LEN: "2", TANDEM_OPTIM_LEARNING_RATE: "0.2", TANDEM_PYTHON: "x" },
      overrides: { maxModelLen: 3, level: undefined },
      assignments: ["optim.learning-rate=0.4", "optim.betas=[0.5, 0.6]"],
    });
    assert.deepEqual(config, {
      model: "from-file",
      maxModelLen: 3,
      optim: { learningRate: 0.4, betas: [0.5, 0.6] },
      losses: [],
      level: "debug",
    });
  });

  it("reads JSON as well and keeps a text that looks like a number a text", () => {
    const config = loadConfig({
      schema,
      file: file("a.json", '{"model": "7"}'),
      assignments: ["model=007"],
    });
    assert.equal(config.model, "007");
  });

  it("lays a file over the one it extends, variants and lists whole, whatever the spelling", () => {
    const variants = schema.extend({
      accept: z.union([z.strictObject({ rank: z.number() }), z.strictObject({ topP: z.number() })]),
    });
    file(
      "base.yaml",
      "model: base\noptim: {learning-rate: 0.1, betas: [0.1, 0.2]}\naccept: {rank: 2}\n",
    );
    file(
      "middle.yaml",
      "extends: ./base.yaml\nmax-model-len: 7\nlosses: [{name: kl}, {name: ce}]\n",
    );
    const config = loadConfig({
      schema: variants,
      file: file(
        "top.yaml",
        "extends: middle.yaml\nmodel: top\noptim: {learningRate: 0.2}\naccept: {topP: 0.5}\nlosses: [{name: ce}]\n",
      ),
    });
    assert.deepEqual(config, {
      model: "top",
      maxModelLen: 7,
      optim: { learningRate: 0.2, betas: [0.1, 0.2] },
      accept: { topP: 0.5 },
      losses: [{ name: "ce", weight: 1 }],
      level: "info",
    });
  });

  it("assigns into lists by index", () => {
    const config = loadConfig({
      schema,
      overrides: { model: "m", losses: [{ name: "kl" }, { name: "ce" }] },
      assignments: ["losses.1.weight=0.25"],
    });
    assert.deepEqual(config.losses[1], { name: "ce", weight: 0.25 });
  });

  it("freezes the result all the way down", () => {
    const config = loadConfig({ schema, overrides: { model: "m" } });
    assert.ok(
      Object.isFrozen(config) &&
        Object.isFrozen(config.optim) &&
        Object.isFrozen(config.optim.betas),
    );
  });

  const refused: readonly (readonly [string, () => unknown, RegExp, string])[] = [
    [
      "an unknown key of the file",
      () => loadConfig({ schema, file: file("b.yaml", "model: m\nmax-modle-len: 3\n") }),
      /did you mean maxModelLen\?/,
      "max-modle-len",
    ],
    [
      "an unknown nested key",
      () => loadConfig({ schema, overrides: { model: "m", optim: { lerningRate: 1 } } }),
      /did you mean optim\.learningRate\?/,
      "optim.lerningRate",
    ],
    [
      "an unknown key far from any",
      () => loadConfig({ schema, overrides: { model: "m", xyzzy: 1 } }),
      /known here: model, maxModelLen/,
      "xyzzy",
    ],
    [
      "an unknown path of --set",
      () => loadConfig({ schema, overrides: { model: "m" }, assignments: ["optim.rate=1"] }),
      /unknown option optim\.rate in --set/,
      "optim.rate",
    ],
    [
      "--set without a value",
      () => loadConfig({ schema, overrides: { model: "m" }, assignments: ["model"] }),
      /path\.to\.option=value/,
      "set",
    ],
    ["a missing required field", () => loadConfig({ schema }), /^model is required$/, "model"],
    [
      "a missing required field that has a twin",
      () => loadConfig({ schema, prefix: "T_" }),
      /^model is required \(in the environment: T_MODEL\)$/,
      "model",
    ],
    [
      "a value of the wrong type",
      () =>
        loadConfig({
          schema,
          overrides: { model: "m" },
          prefix: "T_",
          env: { T_MAX_MODEL_LEN: "many" },
        }),
      /^maxModelLen is "many" \(from T_MAX_MODEL_LEN\): expected a number$/,
      "maxModelLen",
    ],
    [
      "a value out of bounds, which is not the environment's",
      () =>
        loadConfig({
          schema,
          overrides: { model: "m", maxModelLen: -1 },
          prefix: "T_",
          env: { T_MAX_MODEL_LEN: "7" },
        }),
      /^maxModelLen is -1: expected number to be >0$/,
      "maxModelLen",
    ],
    [
      "a name that is none of a list",
      () => loadConfig({ schema, overrides: { model: "m", level: "loud" } }),
      /^level is "loud": expected one of "info"\|"debug"$/,
      "level",
    ],
    [
      "what is no variant, with what each would take",
      () =>
        loadConfig({
          schema: schema.extend({ files: z.union([z.string(), z.array(z.string())]) }),
          overrides: { model: "m", files: 3 },
        }),
      /^files is 3: expected a text, or expected a list$/,
      "files",
    ],
    [
      "what is no variant, in the words of its rule",
      () =>
        loadConfig({
          schema: schema.extend({ rate: z.union([z.number(), z.null()], "give a rate") }),
          overrides: { model: "m", rate: "x".repeat(200) },
        }),
      /^rate is "x{79}…: give a rate$/,
      "rate",
    ],
    [
      "an unknown key inside a list",
      () => loadConfig({ schema, overrides: { model: "m", losses: [{ nane: "kl" }] } }),
      /did you mean losses\.0\.name\?/,
      "losses.0.nane",
    ],
    [
      "a file that is a list",
      () => loadConfig({ schema, file: file("c.yaml", "- 1\n") }),
      /holds a list/,
      "config",
    ],
    [
      "files that extend each other",
      () => {
        file("e.yaml", "extends: f.yaml\n");
        return loadConfig({ schema, file: file("f.yaml", "extends: e.yaml\n") });
      },
      /f\.yaml extends itself/,
      "extends",
    ],
    [
      "a list of files to extend",
      () => loadConfig({ schema, file: file("g.yaml", "extends: [a.yaml]\n") }),
      /one file/,
      "extends",
    ],
    [
      "a file that is no YAML",
      () => loadConfig({ schema, file: file("d.yaml", "a: [1\n") }),
      /no YAML or JSON/,
      "config",
    ],
  ];
  for (const [what, run, message, field] of refused) {
    it(`refuses ${what}`, () => {
      const error = refusal(run);
      assert.equal(error.code, "INVALID_ARGUMENT");
      assert.match(error.message, message);
      assert.equal(error.field, field);
    });
  }

  it("says which file is missing", () => {
    const error = refusal(() => loadConfig({ schema, file: join(folder, "none.yaml") }));
    assert.equal(error.code, "NOT_FOUND");
    assert.match(error.message, /none\.yaml/);
  });
});

describe("printConfig", () => {
  it("prints YAML that loads as the same configuration", () => {
    const config = loadConfig({ schema, overrides: { model: "m: x", losses: [{ name: "kl" }] } });
    assert.deepEqual(parse(printConfig(config)), config);
  });

  it("digests equal configurations equally whatever the order of keys", () => {
    assert.equal(
      configDigest({ a: 1, b: { c: 2, d: 3 } }),
      configDigest({ b: { d: 3, c: 2 }, a: 1 }),
    );
    assert.notEqual(configDigest({ a: 1 }), configDigest({ a: 2 }));
  });
});
