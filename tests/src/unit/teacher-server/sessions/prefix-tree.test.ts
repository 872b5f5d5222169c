import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { PrefixTree, type BlockSave } from "@tandem/teacher-server/sessions/prefix-tree.js";

/** Sixteen times each of these tokens: a letter is a block. */
function blocksOf(letters: string): Uint32Array {
  return Uint32Array.from({ length: 16 * letters.length }, (_, i) => letters.charCodeAt(i >> 4));
}

function store(tree: PrefixTree, letters: string): readonly BlockSave[] {
  tree.beginPlan();
  const saves = tree.save(blocksOf(letters), { from: 0, to: 16 * letters.length });
  tree.settle(saves, true);
  return saves;
}

function matched(tree: PrefixTree, letters: string): number {
  return tree.match(blocksOf(letters), 16 * letters.length).length / 16;
}

describe("PrefixTree", () => {
  it("finds the longest beginning, whole blocks only", () => {
    const tree = new PrefixTree(8);
    store(tree, "abc");
    assert.equal(matched(tree, "abcd"), 3);
    assert.equal(matched(tree, "abx"), 2);
    assert.equal(matched(tree, "bc"), 0);
    const cut = tree.match(blocksOf("abc").subarray(0, 47), 47);
    assert.equal(cut.length, 32);
    assert.deepEqual(
      cut.blocks.map(({ start }) => start),
      [0, 16],
    );
    assert.equal(tree.match(blocksOf("abc"), 17).length, 32, "of the second block one position");
    assert.equal(tree.match(blocksOf("abc"), 16).length, 16);
  });

  it("tells blocks apart by each of their tokens", () => {
    const tree = new PrefixTree(64);
    const stored = blocksOf("ab");
    tree.beginPlan();
    tree.settle(tree.save(stored, { from: 0, to: 32 }), true);
    for (let place = 0; place < 32; place++) {
      const other = stored.slice();
      other[place] = 7;
      assert.equal(tree.match(other, 32).length, place < 16 ? 0 : 16, `token ${place}`);
    }
  });

  it("keeps what several sequences share once", () => {
    const tree = new PrefixTree(8);
    store(tree, "abc");
    assert.equal(store(tree, "abx").length, 1);
    assert.equal(tree.storedBlocks, 4);
  });

  it("has nothing to keep where no block is completed", () => {
    const tree = new PrefixTree(8);
    tree.beginPlan();
    assert.deepEqual(tree.save(blocksOf("ab"), { from: 16, to: 31 }), []);
    assert.equal(tree.save(blocksOf("ab"), { from: 31, to: 32 }).length, 2, "gaps before it too");
  });

  it("does not offer what a step has not saved yet, nor what it failed to save", () => {
    const tree = new PrefixTree(2);
    const saves = tree.save(blocksOf("ab"), { from: 0, to: 32 });
    assert.equal(matched(tree, "ab"), 0);
    tree.settle(saves, false);
    assert.equal(matched(tree, "ab"), 0);
    assert.equal(store(tree, "ab").length, 2, "the numbers are free again");
    assert.equal(matched(tree, "ab"), 2);
  });

  it("gives up what was of use longest ago, the end of a chain before its beginning", () => {
    const tree = new PrefixTree(4);
    store(tree, "ab");
    store(tree, "xy");
    tree.beginPlan();
    matched(tree, "ab");
    store(tree, "n");
    assert.deepEqual([matched(tree, "ab"), matched(tree, "xy"), matched(tree, "n")], [2, 1, 1]);
    assert.equal(tree.evictions, 1);
  });

  it("does not eat its own beginning when a sequence is longer than all room", () => {
    const tree = new PrefixTree(3);
    assert.equal(store(tree, "abcdef").length, 3);
    assert.equal(matched(tree, "abcdef"), 3);
    assert.equal(store(tree, "abcdef").length, 0);
  });

  it("says who computes the next block until that job is forgotten", () => {
    const tree = new PrefixTree(8);
    store(tree, "a");
    tree.promise(7, blocksOf("abc"), { from: 16, to: 48 });
    assert.equal(tree.match(blocksOf("abz"), 48).promisedBy, 7);
    assert.equal(tree.match(blocksOf("az"), 32).promisedBy, undefined);
    tree.promise(9, blocksOf("abc"), { from: 16, to: 48 });
    tree.forget(7);
    assert.equal(tree.match(blocksOf("abc"), 48).promisedBy, 9, "the latest promise counts");
    tree.forget(9);
    assert.equal(tree.match(blocksOf("abc"), 48).promisedBy, undefined);
  });

  it("promises nothing when it can keep nothing", () => {
    const tree = new PrefixTree(0);
    tree.promise(1, blocksOf("ab"), { from: 0, to: 32 });
    assert.equal(tree.match(blocksOf("ab"), 32).promisedBy, undefined);
    assert.deepEqual(tree.save(blocksOf("ab"), { from: 0, to: 32 }), []);
  });

  it("forgets everything with the engine", () => {
    const tree = new PrefixTree(2);
    store(tree, "ab");
    tree.clear();
    assert.deepEqual([matched(tree, "ab"), tree.storedBlocks], [0, 0]);
    assert.equal(store(tree, "cd").length, 2);
  });

  it("never names a block that holds something else, whatever is saved, lost and evicted", () => {
    const sequence = fc
      .array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 6 })
      .map((letters) => letters.join(""));
    const action = fc.record({
      sequence,
      kind: fc.constantFrom("save", "save", "lose", "look", "promise"),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 9 }),
        fc.array(action, { maxLength: 60 }),
        (capacity, actions) => {
          const tree = new PrefixTree(capacity);
          // What the engine holds: block → the letters from the first on that it is the end of.
          const engine = new Map<number, string>();
          actions.forEach(({ sequence: letters, kind }, job) => {
            tree.beginPlan();
            const tokens = blocksOf(letters);
            const { blocks } = tree.match(tokens, tokens.length);
            for (const { block, start } of blocks)
              assert.equal(engine.get(block), letters.slice(0, start / 16 + 1));
            if (kind === "look") return;
            if (kind === "promise")
              return tree.promise(job, tokens, { from: 0, to: tokens.length });
            const saves = tree.save(tokens, { from: 0, to: tokens.length });
            assert.equal(new Set(saves.map(({ place }) => place.block)).size, saves.length);
            for (const { place } of saves) {
              assert.ok(place.block < capacity);
              engine.set(
                place.block,
                kind === "lose" ? "?" : letters.slice(0, place.start / 16 + 1),
              );
            }
            tree.settle(saves, kind === "save");
            tree.forget(job - 1);
          });
          assert.ok(tree.storedBlocks <= capacity);
        },
      ),
      { seed: 11, numRuns: 400 },
    );
  });
});
