import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { QueueAccount } from "@tandem/teacher-server/admission/queue-account.js";
import { assertAllClose } from "../../../helpers/all-close.js";

const [a, b, heavy] = ["a", "b", "heavy"].map((name) => ({
  name,
  weight: name === "heavy" ? 3 : 1,
}));

describe("QueueAccount", () => {
  it("lets one owner wait for all that it has sent", () => {
    const queue = new QueueAccount();
    queue.add(a!, 2, 100);
    queue.add(a!, 2, 50);
    assert.equal(queue.ahead(a!, 2, 10), 150);
  });

  it("lets an owner wait for no more of others than is computed in turn with its own", () => {
    const queue = new QueueAccount();
    queue.add(a!, 2, 10_000);
    // Ten of its own and ten of the other.
    assert.equal(queue.ahead(b!, 2, 10), 10);
    queue.add(b!, 2, 20);
    // 20 before it, and beside these and its own 10 as many of the other.
    assert.equal(queue.ahead(b!, 2, 10), 20 + 30);
    // What is there is all that can be waited for.
    assert.equal(queue.ahead(a!, 2, 10), 10_020);
    // Three positions for each of the others'.
    assert.equal(queue.ahead(heavy!, 2, 30), (30 * 2) / 3);
  });

  it("lets urgent work wait for what is as urgent, and the rest for both", () => {
    const queue = new QueueAccount();
    queue.add(a!, 2, 10_000);
    queue.add(a!, 0, 7);
    assert.equal(queue.ahead(a!, 0, 1), 7);
    assert.equal(queue.ahead(a!, 1, 1), 7);
    assert.equal(queue.ahead(a!, 4, 1), 10_007);
  });

  it("forgets what has gone, weights included", () => {
    const queue = new QueueAccount();
    const gone = [queue.add(a!, 0, 5), queue.add(heavy!, 3, 9), queue.add(a!, 3, 0)];
    for (const take of gone) take();
    assert.equal(queue.positions, 0);
    queue.add({ name: "heavy", weight: 1 }, 3, 9);
    assert.equal(queue.ahead(a!, 3, 2), 2, "the weight of its new place");
  });

  it("never promises less than sharing by weight without end takes", () => {
    const owner = fc.record({
      weight: fc.constantFrom(0.5, 1, 2, 7),
      positions: fc.integer({ min: 0, max: 200 }),
    });
    fc.assert(
      fc.property(
        fc.array(owner, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 50 }),
        (owners, wanted) => {
          const queue = new QueueAccount();
          const named = owners.map(({ weight }, i) => ({ name: String(i), weight }));
          owners.forEach(({ positions }, i) => queue.add(named[i]!, 2, positions));
          const ahead = queue.ahead(named[0]!, 2, wanted);
          const shared = finishBySharing(owners, wanted) - wanted;
          assert.ok(ahead >= shared - 1e-9 * (1 + shared), `${ahead} < ${shared}`);
          const everything = owners.reduce((sum, { positions }) => sum + positions, 0);
          assert.ok(ahead <= everything);
          // Where nobody's queue ends before it, it is exactly that.
          const longest = owners.slice(1).every(({ positions, weight }) => {
            const mine = (owners[0]!.positions + wanted) / owners[0]!.weight;
            return positions === 0 || positions / weight >= mine;
          });
          if (longest) assertAllClose([ahead], [shared], { rtol: 1e-9, atol: 1e-9 });
        },
      ),
      { seed: 20261129 },
    );
  });
});

/** Positions computed by all until the first owner's queue, with `wanted` more behind it, has ended, if everybody who has something is served at once in
 * proportion to its weight (generalised processor sharing): from one queue's end to the next. */
function finishBySharing(
  owners: readonly { readonly weight: number; readonly positions: number }[],
  wanted: number,
): number {
  const left = owners.map(({ positions }, i) => positions + (i === 0 ? wanted : 0));
  let done = 0;
  while (left[0]! > 1e-9) {
    const busy = owners.map((_, i) => i).filter((i) => left[i]! > 1e-9);
    const weights = busy.reduce((sum, i) => sum + owners[i]!.weight, 0);
    const step = Math.min(...busy.map((i) => (left[i]! * weights) / owners[i]!.weight));
    for (const i of busy) left[i] = left[i]! - (step * owners[i]!.weight) / weights;
    done += step;
  }
  return done;
}
