import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { after, before, describe, it } from "node:test";
import { assertAllClose } from "../../helpers/all-close.js";

const url = new URL("../../../../docs/methods.md", import.meta.url);
const section = (await readFile(url, "utf8"))
  .split(/^## /m)
  .find((own) => own.startsWith("As a library"))!;
const blocks = [...section.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
const CLOSE = { rtol: 1e-6, atol: 1e-7 };

interface Shown {
  readonly value: number;
  readonly gradient: Float64Array;
}

describe("the library's examples in docs/methods.md", () => {
  let folder: string;
  // Beside this file, whence packages are found.
  before(
    async () => (folder = await mkdtemp(fileURLToPath(new URL("./example-", import.meta.url)))),
  );
  after(() => rm(folder, { recursive: true }));

  /** Runs an example as it is printed. */
  async function run(index: number): Promise<Shown> {
    const path = `${folder}/${index}.mjs`;
    await writeFile(path, `${blocks[index]!}\nexport { value, gradient };\n`);
    return (await import(path)) as Shown;
  }

  it("are two", () => assert.equal(blocks.length, 2));

  it("of one response: skew reverse KL of two rows", async () => {
    const { value, gradient } = await run(0);
    const law = (logits: readonly number[]) => {
      const sum = logits.reduce((total, x) => total + Math.exp(x), 0);
      return logits.map((x) => Math.exp(x) / sum);
    };
    const loss = (student: readonly number[]) =>
      [0, 1].reduce((total, row) => {
        const q = law(student.slice(3 * row, 3 * row + 3));
        const p = law(
          [
            [3, 2, 1],
            [0, 1, 0],
          ][row]!,
        );
        return (
          total + q.reduce((sum, x, id) => sum + x * Math.log(x / (0.9 * p[id]! + 0.1 * x)), 0) / 2
        );
      }, 0);
    const student = [1, 2, 3, 0, 0, 0];
    assertAllClose([value], [loss(student)], CLOSE);
    const slopes = student.map(
      (x, at) => (loss(student.with(at, x + 1e-6)) - loss(student.with(at, x - 1e-6))) / 2e-6,
    );
    assertAllClose(gradient, slopes, CLOSE);
  });

  it("of a pair: DPKD's formula", async () => {
    const { value, gradient } = await run(1);
    const logQ = (logits: readonly number[], id: number) =>
      logits[id]! - Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
    const loss = (student: readonly number[]) => {
      const row = (at: number) => student.slice(3 * at, 3 * at + 3);
      const preferred = (logQ(row(0), 2) + 0.5 + logQ(row(1), 0) + 0.25) / 2;
      return Math.log1p(Math.exp(-0.7 * (preferred - (logQ(row(2), 1) + 2))));
    };
    const student = [1, 2, 3, 0, 0, 0, 2, 1, 0];
    assertAllClose([value], [loss(student)], CLOSE);
    const slopes = student.map(
      (x, at) => (loss(student.with(at, x + 1e-6)) - loss(student.with(at, x - 1e-6))) / 2e-6,
    );
    assertAllClose(gradient, slopes, CLOSE);
  });
});
