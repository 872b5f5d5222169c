import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fuzzRequests } from "../../../helpers/fuzz-requests.js";
import { limits } from "../admission/raw-items.js";

describe("damaged requests", () => {
  it("are taken or refused with a reason, never with a bug", () => {
    const { refused, taken } = fuzzRequests({ seed: 20261122, cases: 20_000, limits });
    assert.ok(refused > 5_000 && taken > 500, `${refused} refused, ${taken} taken`);
  });
});
