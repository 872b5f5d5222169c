import type { ModelConfig } from "@tandem/shared/checkpoint/model-config.js";
import { invariant, unreachable } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { elementCount } from "@tandem/shared/numeric/shape.js";
import { listParameters, type Initialiser } from "@tandem/shared/models/parameters.js";
import { loadStudent } from "./load-student.js";
import { fillNormal } from "@tandem/shared/numeric/normal-numbers.js";
import type { StudentModel } from "./student-model.js";

/** A new model with `transformers`' initialisation: matrices normal with `initializerRange`, norms one, biases zero. The same seed gives
 * the same bits everywhere. */
export function initFromScratch(config: ModelConfig, seed: number): StudentModel {
  const weights = new Map(
    listParameters(config).map(({ name, shape, initialiser }, tensor) => {
      const values = new Float32Array(elementCount(shape));
      initialise(values, initialiser, seed, tensor);
      return [name, values] as const;
    }),
  );
  return { config, weights };
}

function initialise(
  values: Float32Array,
  initialiser: Initialiser,
  seed: number,
  tensor: number,
): void {
  switch (initialiser.kind) {
    case "normal":
      return fillNormal(values, { std: initialiser.std, seed, tensor });
    case "ones":
      values.fill(1);
      return;
    case "zeros":
      return;
    default:
      return unreachable(initialiser);
  }
}

/** A student made of some of a teacher's layers, in the given order, with its embedding, final norm and head. A layer may be used twice.
 * @throws TandemError INVALID_ARGUMENT for a layer that the teacher does not have. */
export async function initFromTeacher(
  teacherDir: string,
  layers: readonly number[],
): Promise<StudentModel> {
  const teacher = await loadStudent(teacherDir);
  return pickLayers(teacher, layers);
}

export function pickLayers(teacher: StudentModel, layers: readonly number[]): StudentModel {
  const wrong = layers.find(
    (layer) => !Number.isInteger(layer) || layer < 0 || layer >= teacher.config.layers,
  );
  if (wrong !== undefined || layers.length === 0) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `layers [${layers.join(",")}]: the teacher has the layers 0 to ${teacher.config.layers - 1}; name at least one of them`,
      { field: "layers" },
    );
  }
  const config = { ...teacher.config, layers: layers.length };
  const weights = new Map<string, Float32Array>();
  for (const { name } of listParameters(config)) {
    const source = teacher.weights.get(sourceName(name, layers));
    invariant(source !== undefined, `the teacher has a weight for ${name}`);
    weights.set(name, source.slice());
  }
  return { config, weights };
}

/** `model.layers.1.…` or `transformer.h.1.…` with the teacher's number in the place of the student's. */
function sourceName(name: string, layers: readonly number[]): string {
  return name.replace(
    /^(model\.layers|transformer\.h)\.(\d+)\./,
    (_, prefix: string, index: string) => `${prefix}.${layers[Number(index)]}.`,
  );
}
