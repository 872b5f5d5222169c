import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { portions, shuffledOrder } from "@tandem/student-trainer/training/minibatches.js";

const POINT = { seed: 1, batch: 2, iteration: 0 };

describe("the order of sequences", () => {
  it("is a permutation", () => {
    for (const count of [0, 1, 2, 33]) {
      const order = shuffledOrder(count, POINT);
      assert.deepEqual(
        [...order].sort((a, b) => a - b),
        Array.from({ length: count }, (_, at) => at),
      );
    }
  });

  it("depends on seed, batch and pass, and on nothing else", () => {
    const order = shuffledOrder(50, POINT);
    assert.deepEqual(shuffledOrder(50, POINT), order);
    for (const other of [{ seed: 2 }, { batch: 3 }, { iteration: 1 }]) {
      assert.notDeepEqual(shuffledOrder(50, { ...POINT, ...other }), order);
    }
  });

  it("puts every sequence everywhere, about equally often", () => {
    const counts = [0, 0, 0];
    for (let batch = 0; batch < 3000; batch++)
      counts[shuffledOrder(3, { ...POINT, batch })[0]!]! += 1;
    // Binomial(3000, 1/3): standard deviation 26.
    for (const count of counts) assert.ok(Math.abs(count - 1000) < 130, counts.join(", "));
  });
});

describe("portions", () => {
  it("cuts what is left over into a smaller one", () => {
    assert.deepEqual(portions([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]]);
    assert.deepEqual(portions([], 2), []);
  });
});
