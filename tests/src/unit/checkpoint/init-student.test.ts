import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { listParameters } from "@tandem/shared/models/parameters.js";
import {
  initFromScratch,
  initFromTeacher,
  pickLayers,
} from "@tandem/student-trainer/checkpoint/init-student.js";
import { loadStudent } from "@tandem/student-trainer/checkpoint/load-student.js";
import { tinyModelDir } from "../../helpers/tiny-models.js";

const { config } = await loadStudent(tinyModelDir("gpt2"));

describe("a student from scratch", () => {
  const wide = { ...config, hiddenSize: 64, headDim: 16, intermediateSize: 256, vocabSize: 500 };

  it("has normal matrices, norms of one and biases of zero", () => {
    const { weights } = initFromScratch(wide, 3);
    for (const { name, initialiser } of listParameters(wide)) {
      const values = weights.get(name)!;
      if (initialiser.kind !== "normal") {
        const constant = initialiser.kind === "ones" ? 1 : 0;
        assert.ok(
          values.every((value) => value === constant),
          name,
        );
        continue;
      }
      const count = values.length;
      const mean = values.reduce((a, b) => a + b, 0) / count;
      const std = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / count);
      // Five standard errors: std/√n of the mean, std/√(2n) of the deviation.
      assert.ok(Math.abs(mean) < (5 * initialiser.std) / Math.sqrt(count), `${name}: mean ${mean}`);
      const slack = (5 * initialiser.std) / Math.sqrt(2 * count);
      assert.ok(
        Math.abs(std - initialiser.std) < slack,
        `${name}: deviation ${std}, wanted ${initialiser.std}`,
      );
    }
  });

  it("has GPT-2's smaller projections into the residual stream", () => {
    const specs = new Map(listParameters(config).map((spec) => [spec.name, spec.initialiser]));
    // 0.02/√(2·2 layers)
    assert.deepEqual(specs.get("transformer.h.0.attn.c_proj.weight"), {
      kind: "normal",
      std: 0.01,
    });
    assert.deepEqual(specs.get("transformer.h.0.attn.c_attn.weight"), {
      kind: "normal",
      std: 0.02,
    });
  });

  it("depends on the seed, and no two tensors are alike", () => {
    const name = "transformer.h.0.mlp.c_fc.weight";
    const values = initFromScratch(config, 3).weights.get(name);
    assert.deepEqual(initFromScratch(config, 3).weights.get(name), values);
    assert.notDeepEqual(initFromScratch(config, 4).weights.get(name), values);
    const twin = initFromScratch(config, 3).weights.get("transformer.h.1.mlp.c_fc.weight");
    assert.notDeepEqual(twin, values);
  });
});

describe("a student of a teacher's layers", () => {
  for (const name of ["gpt2", "llama-bias"]) {
    it(`${name}: takes them in the given order, with embedding, final norm and head`, async () => {
      const teacher = await loadStudent(tinyModelDir(name));
      const { config: own, weights } = await initFromTeacher(tinyModelDir(name), [1, 0, 1]);
      assert.equal(own.layers, 3);
      const from = [1, 0, 1];
      for (const [weight, values] of weights) {
        const source = weight.replace(
          /(layers|h)\.(\d+)\./,
          (_, word, layer) => `${word}.${from[Number(layer)]}.`,
        );
        assert.deepEqual(values, teacher.weights.get(source), weight);
      }
      assert.equal(weights.size, listParameters(own).length);
    });
  }

  it("owns its weights, also when a layer is used twice", async () => {
    const teacher = await loadStudent(tinyModelDir("gpt2"));
    const { weights } = pickLayers(teacher, [0, 0]);
    const name = (layer: number) => `transformer.h.${layer}.attn.c_attn.weight`;
    weights.get(name(0))!.fill(9);
    assert.notEqual(weights.get(name(1))![0], 9);
    assert.notEqual(teacher.weights.get(name(0))![0], 9);
  });

  it("refuses layers that are not there", async () => {
    for (const layers of [[2], [-1], [0.5], []]) {
      await assert.rejects(initFromTeacher(tinyModelDir("gpt2"), layers), {
        code: "INVALID_ARGUMENT",
        message: /the teacher has the layers 0 to 1/,
      });
    }
  });
});
