import { broadcastShapes, formatShape, sameShape } from "../broadcast.js";
import { addDims, dimProduct, subtractDims } from "../dim.js";
import type { ShapeOpName } from "../op-attributes.js";
import type { Dim, Shape } from "../tensor-ops.js";
import type { TypeRules } from "./type-rule.js";
import { describe, inputsOf, requireThat, tensorType } from "./type-rule.js";

function withDim(shape: Shape, axis: number, dim: Dim): Shape {
  return shape.with(axis, dim);
}

export const shapeTypes = {
  reshape: (inputs, { shape }) => {
    const [x] = inputsOf(inputs, 1);
    requireThat(dimProduct(x.shape) === dimProduct(shape), () => {
      return `reshape: ${describe(x)} does not have the elements of ${formatShape(shape)}`;
    });
    return [tensorType(x.dtype, shape)];
  },
  transpose: (inputs, { permutation }) => {
    const [x] = inputsOf(inputs, 1);
    const sorted = permutation.toSorted((a, b) => a - b);
    const complete = sorted.length === x.shape.length && sorted.every((axis, at) => axis === at);
    requireThat(
      complete,
      () => `transpose: [${permutation.join(",")}] permutes not ${describe(x)}`,
    );
    return [
      tensorType(
        x.dtype,
        permutation.map((axis) => x.shape[axis] as Dim),
      ),
    ];
  },
  slice: (inputs, { axis, start, end }) => {
    const [x] = inputsOf(inputs, 1);
    return [tensorType(x.dtype, withDim(x.shape, axis, subtractDims(end, start)))];
  },
  pad: (inputs, { axis, before, after }) => {
    const [x] = inputsOf(inputs, 1);
    const size = addDims(addDims(x.shape[axis] as Dim, before), after);
    return [tensorType(x.dtype, withDim(x.shape, axis, size))];
  },
  concat: (inputs, { axis }) => {
    const [first, ...rest] = inputs;
    requireThat(first !== undefined, () => "concat needs at least one tensor");
    const head = first as (typeof inputs)[number];
    let size = head.shape[axis] as Dim;
    for (const x of rest) {
      const fits =
        x.dtype === head.dtype &&
        x.shape.length === head.shape.length &&
        sameShape(withDim(x.shape, axis, 0), withDim(head.shape, axis, 0));
      requireThat(fits, () => `concat along axis ${axis}: ${describe(head)} and ${describe(x)}`);
      size = addDims(size, x.shape[axis] as Dim);
    }
    return [tensorType(head.dtype, withDim(head.shape, axis, size))];
  },
  sizeOf: () => [tensorType("f32", [])],
  expand: (inputs, { shape }) => {
    const [x] = inputsOf(inputs, 1);
    const fits = sameShape(broadcastShapes(x.shape, shape, "expand"), shape);
    requireThat(fits, () => `expand: ${describe(x)} is larger than ${formatShape(shape)}`);
    return [tensorType(x.dtype, shape)];
  },
} satisfies TypeRules<ShapeOpName>;
