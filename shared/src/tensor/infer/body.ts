import { formatShape } from "../broadcast.js";
import type { BodyOpName } from "../op-attributes.js";
import type { Dim } from "../tensor-ops.js";
import type { TypeRules } from "./type-rule.js";
import { describe, requireThat, tensorType } from "./type-rule.js";

export const bodyTypes = {
  rowBlocks: (inputs, { body, rowInputs, blockRows, rowResults }) => {
    const rows = inputs[0]?.shape[0];
    requireThat(
      rowInputs > 0 && inputs.slice(0, rowInputs).every(({ shape }) => shape[0] === rows),
      () =>
        `rowBlocks: as many rows in each of ${inputs.slice(0, rowInputs).map(describe).join(", ")}`,
    );
    requireThat(
      typeof rows === "string" || (rows as number) % blockRows === 0,
      () => `rowBlocks: ${rows} rows are no whole number of blocks of ${blockRows}`,
    );
    return body.outputs.map(({ tensor: { dtype, shape } }, index) => {
      if (index >= rowResults) return tensorType(dtype, shape);
      requireThat(
        shape[0] === blockRows,
        () => `rowBlocks: a result ${formatShape(shape)} has not the block's ${blockRows} rows`,
      );
      return tensorType(dtype, [rows as Dim, ...shape.slice(1)]);
    });
  },
} satisfies TypeRules<BodyOpName>;
