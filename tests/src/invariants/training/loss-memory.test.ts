import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Graph } from "@tandem/shared/onnx/graph.js";
import type { Shape } from "@tandem/shared/tensor/tensor-ops.js";
import { listLosses } from "@tandem/student-trainer";
import { buildLossGraph } from "@tandem/student-trainer/evaluate-loss/loss-graph.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { lossBlockRows } from "@tandem/student-trainer/training/row-blocks.js";

const vocabulary = 49_152;
const rows = 256;
const SIZES = { student: { layers: 2, width: 16 }, teacher: { layers: 3, width: 24 }, vocabulary };

/** The inputs and results of a graph's operations that have at least `count` numbers, by input's name or kind of operation; those of a
 * shape in `but`, transposed or not, left out. */
function tensorsOf(
  graph: Graph,
  count: number,
  but: readonly (readonly number[])[] = [],
): readonly string[] {
  const sorted = (shape: Shape) =>
    shape
      .map(Number)
      .sort((a, b) => a - b)
      .join();
  const leftOut = new Set(but.map(sorted));
  const isLarge = (shape: Shape) => shape.map(Number).reduce((a, b) => a * b, 1) >= count;
  return graph.nodes.flatMap((node) =>
    node.outputs
      .filter(({ shape }) => isLarge(shape) && !leftOut.has(sorted(shape)))
      .map(() => (node.kind === "input" ? node.attributes.name : node.kind)),
  );
}

function lossGraph(loss: object): { readonly losses: LossSet; readonly graph: Graph } {
  const losses = new LossSet(lossesSchema.parse([loss]), SIZES);
  const requirement = losses.requirement(0);
  return { losses, graph: buildLossGraph({ losses, requirement, rows, vocabulary }) };
}

const FORMS = listLosses().flatMap(({ name, options }) =>
  options.some((option) => option.name === "dense")
    ? [
        { name, dense: false },
        { name, dense: true },
      ]
    : [{ name }],
);

/** Does a loss relate the positions of a sequence to each other, by laws or hidden states, so that it sees them at once? */
function isWhole(loss: object): boolean {
  return lossGraph(loss).losses.keepsSequences;
}

describe("a loss and its gradient over 256 positions of 49,152 ids", () => {
  for (const form of FORMS.filter((each) => !isWhole(each))) {
    it(`has no more [tokens, V] than forward KL: ${JSON.stringify(form)}`, () => {
      const { losses, graph } = lossGraph(form);
      const dense = losses.asksAllLogits;
      const { graph: plain } = lossGraph({ name: "forward-kl", dense });
      const [own, allowed] = [graph, plain].map((each) => tensorsOf(each, rows * vocabulary));
      assert.deepEqual(allowed, ["logits", ...(dense ? ["dense"] : []), "rowBlocks"]);
      assert.deepEqual(own, allowed);
      const block = lossBlockRows(vocabulary, { dense }) * vocabulary;
      const parameters = losses.parameters.map(({ shape }) => shape);
      for (const node of graph.nodes) {
        if (node.kind !== "rowBlocks") continue;
        assert.deepEqual(tensorsOf(node.attributes.body as Graph, block + 1, parameters), []);
      }
    });
  }

  it("relates positions to each other, and sees them at once, in few losses", () => {
    const names = FORMS.filter((form) => lossGraph(form).losses.keepsSequences);
    assert.deepEqual(
      new Set(names.map(({ name }) => name)),
      new Set(["attention-relations", "hidden-relations", "span-products", "gold"]),
    );
  });
});
