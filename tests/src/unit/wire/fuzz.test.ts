import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fuzzFrames } from "../../helpers/fuzz-frames.js";

describe("damaged frames", () => {
  it("are refused, or are other well-formed frames", () => {
    const { refused, wellFormed, slowestMs } = fuzzFrames({ seed: 20261122, cases: 20_000 });
    // Both kinds occur, or the mutations would prove nothing.
    assert.ok(
      refused > 10_000 && wellFormed > 500,
      `${refused} refused, ${wellFormed} well-formed`,
    );
    assert.ok(slowestMs < 1000, `one frame took ${slowestMs} ms`);
  });
});
