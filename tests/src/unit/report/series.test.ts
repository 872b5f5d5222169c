import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { smooth, thin } from "@tandem/student-trainer/report/series.js";
import { assertAllClose } from "../../helpers/all-close.js";

const line = (count: number, y: (x: number) => number) =>
  Array.from({ length: count }, (_, x) => ({ x, y: y(x) }));

describe("smooth", () => {
  it("leaves a straight line as it is, ends included", () => {
    const points = line(50, (x) => 3 - 0.5 * x);
    assertAllClose(
      smooth(points, 7).map((point) => point.y),
      points.map((point) => point.y),
      { rtol: 1e-12, atol: 1e-12 },
    );
  });

  it("takes the mean over the window", () => {
    const [, , middle] = smooth(
      line(5, (x) => x * x),
      5,
    );
    // (0 + 1 + 4 + 9 + 16) / 5
    assert.equal(middle?.y, 6);
  });

  it("keeps a single point", () => {
    assert.deepEqual(smooth([{ x: 4, y: 2 }], 3), [{ x: 4, y: 2 }]);
  });
});

describe("thin", () => {
  it("keeps a short series", () => {
    const points = line(3, (x) => x);
    assert.equal(thin(points, 3), points);
  });

  it("averages neighbours and loses none", () => {
    const thinned = thin(
      line(1000, (x) => x),
      10,
    );
    assert.equal(thinned.length, 10);
    // Points 0…99 have mean 49.5, points 900…999 have mean 949.5.
    assert.equal(thinned[0]?.y, 49.5);
    assert.equal(thinned[9]?.y, 949.5);
  });
});
