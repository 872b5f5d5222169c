import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { sampleRow } from "@tandem/shared/sampling/sample-row.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";

interface Fixture {
  readonly uniforms: readonly number[];
  readonly rows: readonly {
    readonly logits: readonly (number | null)[];
    readonly draws: readonly (SamplingParams & { readonly ids: readonly number[] })[];
  }[];
}

const fixture = JSON.parse(
  readFileSync(new URL("../../../../tests/fixtures/sampling/warped.json", import.meta.url), "utf8"),
) as Fixture;

/** The rule written down naively: sort everything, cut, renormalise, walk. */
function sampleNaively(logits: Float32Array, params: SamplingParams, uniform: number): number {
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (params.temperature === 0) return order[0]!;
  const maximum = logits[order[0]!]!;
  let kept = order.slice(0, params.topK > 0 ? params.topK : order.length);
  // below e^-50 of the largest there is no mass, by definition: what matters only for a uniform of exactly 0
  const weight = (id: number): number => {
    const exponent = (logits[id]! - maximum) / params.temperature;
    return exponent < -50 ? 0 : Math.exp(exponent);
  };
  if (params.topP < 1) {
    const goal = params.topP * kept.reduce((sum, id) => sum + weight(id), 0);
    let mass = 0;
    let size = 0;
    while (size < kept.length && mass < goal) mass += weight(kept[size++]!);
    kept = kept.slice(0, size);
  }
  kept.sort((a, b) => a - b);
  const target = uniform * kept.reduce((sum, id) => sum + weight(id), 0);
  let running = 0;
  for (const id of kept) if ((running += weight(id)) > target) return id;
  return kept[kept.length - 1]!;
}

function normalRow(size: number, seed: number, spread: number): Float32Array {
  return Float32Array.from({ length: size }, (_, position) => {
    const point = { runSeed: seed, rngKey: 0, position, stream: "coin" } as const;
    const radius = Math.sqrt(-2 * Math.log(1 - uniformAt(point)));
    return spread * radius * Math.cos(2 * Math.PI * uniformAt({ ...point, index: 1 }));
  });
}

describe("sampleRow against oracles", () => {
  it("takes the ids that transformers' warpers and an inverse CDF take", () => {
    for (const { logits, draws } of fixture.rows) {
      const row = Float32Array.from(logits, (value) => value ?? -Infinity);
      for (const { ids, ...params } of draws) {
        const drawn = fixture.uniforms.map((uniform) => sampleRow(row, params, uniform));
        assert.deepEqual(drawn, ids, JSON.stringify(params));
      }
    }
  });

  it("equals a full sort over many rows, settings and uniforms", () => {
    for (const [size, spread] of [
      [2000, 3],
      [2000, 0.01],
      [500, 30],
      [7, 2],
    ] as const) {
      for (let seed = 0; seed < 3; seed++) {
        const row = normalRow(size, seed, spread);
        // values on a coarse grid, so that ties happen at every cut
        if (seed === 1) row.forEach((value, i) => (row[i] = Math.round(value * 2) / 2));
        if (seed === 2) for (let i = 0; i < size; i += 3) row[i] = -Infinity;
        for (const temperature of [0, 0.2, 1, 3])
          for (const topK of [0, 1, 2, 25, 400])
            for (const topP of [0.1, 0.5, 0.95, 1])
              for (const uniform of [0, 0.123, 0.5, 0.9, 1 - 2 ** -53]) {
                const params = { temperature, topK, topP };
                assert.equal(
                  sampleRow(row, params, uniform),
                  sampleNaively(row, params, uniform),
                  JSON.stringify({ size, spread, seed, ...params, uniform }),
                );
              }
      }
    }
  });

  it("draws each token as often as its probability says", () => {
    const row = Float32Array.from([0, Math.log(2), Math.log(3), Math.log(4)]);
    const counts = [0, 0, 0, 0];
    for (let position = 0; position < 20_000; position++) {
      const uniform = uniformAt({ runSeed: 3, rngKey: 9, position, stream: "draft" });
      counts[sampleRow(row, { temperature: 1, topK: 0, topP: 1 }, uniform)]!++;
    }
    // probabilities 0.1 … 0.4; five standard deviations of the largest: 5·sqrt(20000·0.24) = 346
    counts.forEach((count, i) => assert.ok(Math.abs(count - 2000 * (i + 1)) < 346, String(counts)));
  });
});
