import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows, seeded, softmax } from "./method-rows.js";

const [vocabulary, positions, draws] = [6, 10_000, 5];
const u = [2, 1, 0.5, 0, -1, -3];
const v = [-0.5, 1, 0, 0.7, -2, 1.5];
const [p, q] = [softmax(u), softmax(v)];

/** Value and summed gradient of the mean over 10⁴ positions with samples of softmax(u/τ). */
async function estimate(options: { readonly drawTemperature?: number; renormalised?: boolean }) {
  const proposal = softmax(u.map((x) => x / (options.drawTemperature ?? 1)));
  const random = seeded(77);
  const sample = (): number => {
    let left = random();
    return proposal.findIndex((mass) => (left -= mass) < 0);
  };
  const drawn = Array.from({ length: positions }, () => {
    const counts = new Map<number, number>();
    for (let draw = 0; draw < draws; draw++) {
      const id = sample();
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return [...counts].sort(([a], [b]) => a - b).map(([id, count]) => ({ id, count }));
  });
  const repeat = (row: readonly number[]) =>
    Float32Array.from({ length: positions * vocabulary }, (_, at) => row[at % vocabulary]!);
  const { value, gradient } = await evaluateRows(
    { loss: "rs-kd", options: { draws, ...options } },
    { vocabulary, student: repeat(v), teacher: repeat(u), draws: drawn, engine: "onnx" },
  );
  const summed = Array.from({ length: vocabulary }, (_, id) =>
    gradient.reduce((sum, x, at) => (at % vocabulary === id ? sum + x : sum), 0),
  );
  return { value, summed };
}

const crossEntropy = -p.reduce((sum, mass, id) => sum + mass * Math.log(q[id]!), 0);
const exact = q.map((mass, id) => mass - p[id]!);

/** Four standard errors of the mean of `positions` estimates, each a mean of `draws` samples of f under softmax(u/τ), weighed by p/s. */
function bound(f: readonly number[], drawTemperature: number): number {
  const s = softmax(u.map((x) => x / drawTemperature));
  const mean = f.reduce((sum, x, id) => sum + p[id]! * x, 0);
  const second = f.reduce((sum, x, id) => sum + (p[id]! ** 2 / s[id]!) * x * x, 0);
  return 4 * Math.sqrt((second - mean * mean) / (draws * positions));
}

describe("rs-kd", () => {
  for (const drawTemperature of [1, 2, 0.7]) {
    it(`estimates value and gradient of the full cross-entropy without bias over 10⁴ positions of samples at temperature ${drawTemperature}`, async () => {
      const { value, summed } = await estimate({ drawTemperature });
      // A sample i contributes −(p/s)·log q_i to the value and (p/s)·(q_j − [i = j]) to the gradient at j.
      const logs = q.map((mass) => -Math.log(mass));
      assertAllClose([value], [crossEntropy], { rtol: 0, atol: bound(logs, drawTemperature) });
      q.forEach((own, j) => {
        const slopes = q.map((_, i) => own - (i === j ? 1 : 0));
        const tolerance = { rtol: 0, atol: bound(slopes, drawTemperature) };
        assertAllClose([summed[j]!], [exact[j]!], tolerance, `gradient at ${j}`);
      });
    });
  }

  it("renormalised has the expectation that all 6⁵ samples give it, biased", async () => {
    const s = softmax(u.map((x) => x / 2));
    const [mean, square] = Array.from({ length: vocabulary ** draws }, (_, number) => number)
      .map((number) => {
        const ids = Array.from(
          { length: draws },
          (_, at) => Math.floor(number / vocabulary ** at) % vocabulary,
        );
        const worth = ids.map((id) => p[id]! / s[id]!);
        const own = ids.reduce((sum, id, at) => sum - worth[at]! * Math.log(q[id]!), 0);
        const chance = ids.reduce((product, id) => product * s[id]!, 1);
        return [chance, own / worth.reduce((sum, x) => sum + x)] as const;
      })
      .reduce(([a, b], [chance, x]) => [a + chance * x, b + chance * x * x], [0, 0]);
    assert.ok(Math.abs(mean - crossEntropy) > 0.02, "its bias");
    const { value } = await estimate({ drawTemperature: 2, renormalised: true });
    const atol = 4 * Math.sqrt((square - mean * mean) / positions);
    assertAllClose([value], [mean], { rtol: 0, atol });
  });

  it("equals PyTorch with tempered samples, weighed and renormalised, on both engines", async () => {
    const path = new URL("../../../fixtures/losses/tempered-draws.json", import.meta.url);
    const fixture = JSON.parse(await readFile(fileURLToPath(path), "utf8")) as DrawFixture;
    for (const own of fixture.cases) {
      for (const engine of ["onnx", "reference"] as const) {
        const rows = {
          vocabulary: fixture.vocabulary,
          student: Float32Array.from(fixture.student.flat()),
          teacher: Float32Array.from(fixture.teacher.flat()),
          draws: own.draws,
        };
        const choice = { loss: "rs-kd", options: own.options };
        const { perToken, gradient } = await evaluateRows(choice, { ...rows, engine });
        // Weights travel as float32.
        const tolerance = { rtol: 2e-6, atol: 2e-6 };
        assertAllClose(perToken, own.value, tolerance, `value, ${engine}`);
        const summed = gradient.map((x) => x * own.value.length);
        assertAllClose(summed, own.gradient.flat(), tolerance, `gradient, ${engine}`);
      }
    }
  });
});

interface DrawFixture {
  readonly vocabulary: number;
  readonly student: readonly (readonly number[])[];
  readonly teacher: readonly (readonly number[])[];
  readonly cases: readonly {
    readonly options: Readonly<Record<string, unknown>>;
    readonly draws: readonly (readonly { readonly id: number; readonly count: number }[])[];
    readonly value: readonly number[];
    readonly gradient: readonly (readonly number[])[];
  }[];
}
