import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseStateNumber, stateNumber, stateWidth } from "@tandem/shared/wire/state-number.js";

describe("numbers of hidden states", () => {
  it("are those of the contract", () => {
    assert.equal(stateNumber({ kind: "stream", layer: 0 }), 0);
    assert.equal(stateNumber({ kind: "queries", layer: 3 }), 65_536 + 3);
    assert.equal(stateNumber({ kind: "keys", layer: 3 }), 131_072 + 3);
    assert.equal(stateNumber({ kind: "values", layer: 3 }), 196_608 + 3);
  });

  it("name states of blocks that are there: the embedding projects nothing", () => {
    assert.deepEqual(parseStateNumber(0, 2), { kind: "stream", layer: 0 });
    assert.deepEqual(parseStateNumber(65_538, 2), { kind: "queries", layer: 2 });
    for (const number of [3, -1, 0.5, 65_536, 65_539, 131_075, 262_144, 2 ** 32 - 1]) {
      assert.equal(parseStateNumber(number, 2), undefined, `${number}`);
    }
  });

  it("have the widths of their kinds", () => {
    const widths = { width: 24, queryWidth: 32, keyWidth: 8 };
    const own = [2, 65_537, 131_073, 196_609].map((number) => stateWidth(number, widths));
    assert.deepEqual(own, [24, 32, 8, 8]);
    assert.equal(stateWidth(131_073, { width: 24 }), 24);
  });
});
