import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

interface Example {
  readonly prompt: string;
  readonly answer: string;
}
interface MakeData {
  readonly writeExample: (multiplicand: number, multiplier: number) => Example;
  readonly examplesOf: (split: string) => readonly Example[];
  readonly writeData: (options: {
    directory: string;
    heldOutCount: number;
    validationCount: number;
  }) => { train: string; validation: string; heldOut: string };
}

const { writeExample, examplesOf, writeData } = (await import(
  new URL("../../../../examples/demo/make-data.mjs", import.meta.url).href
)) as MakeData;

describe("the demo's task", () => {
  it("writes the steps from the last digit on", () => {
    // By hand: 8·6=48; 3·6+4=22; 7·6+2=44; 4·6+4=28; 4738·6=28428.
    assert.deepEqual(writeExample(4738, 6), {
      prompt: "4738*6=",
      answer: "8*6+0=48;3*6+4=22;7*6+2=44;4*6+4=28:28428",
    });
    // 0·2=0; 0·2=0; 0·2=0; 1·2=2: two digits each, the product without a leading zero.
    assert.equal(writeExample(1000, 2).answer, "0*2+0=00;0*2+0=00;0*2+0=00;1*2+0=02:2000");
  });

  it("is right in every step and in the product", () => {
    for (const { prompt, answer } of examplesOf("validation")) {
      const [a, b] = prompt.slice(0, -1).split("*").map(Number) as [number, number];
      const [steps, product] = answer.split(":") as [string, string];
      assert.equal(Number(product), a * b);
      for (const step of steps.split(";")) {
        const [digit, times, carry, sum] = step.split(/[*+=]/).map(Number) as number[];
        assert.equal(sum, (digit as number) * (times as number) + (carry as number));
        assert.equal(times, b);
      }
    }
  });

  it("puts each of the 72,000 problems into one split, a tenth of them held out", () => {
    const splits = ["train", "validation", "held-out"].map((split) =>
      examplesOf(split).map((example) => example.prompt),
    );
    const all = splits.flat();
    assert.equal(all.length, 72_000);
    assert.equal(new Set(all).size, 72_000);
    for (const share of splits.slice(1)) {
      assert.ok(Math.abs(share.length - 7200) < 300, `${share.length} of 72,000`);
    }
  });

  describe("its files", () => {
    let directory = "";
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), "tandem-data-"));
    });
    after(() => rm(directory, { recursive: true }));

    it("hold one JSON object a line, and only as many as asked for", async () => {
      const paths = writeData({ directory, heldOutCount: 5, validationCount: 3 });
      const lines = async (path: string): Promise<readonly Example[]> =>
        (await readFile(path, "utf8"))
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as Example);
      assert.deepEqual(await lines(paths.heldOut), examplesOf("held-out").slice(0, 5));
      assert.deepEqual(await lines(paths.validation), examplesOf("validation").slice(0, 3));
      assert.equal((await lines(paths.train)).length, examplesOf("train").length);
    });
  });
});
