import type { ModelConfig } from "@tandem/shared/checkpoint/model-config.js";
import { invariant } from "@tandem/shared/errors/invariant.js";
import { listParameters, type ParameterSpec } from "@tandem/shared/models/parameters.js";

/** A model that can be trained: its weights lie in memory, f32, by their `transformers` names. */
export interface StudentModel {
  readonly config: ModelConfig;
  readonly weights: ReadonlyMap<string, Float32Array>;
}

/** A trainable tensor, f32, where it lies. */
export interface NamedValues {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface ModelParameter extends ParameterSpec {
  readonly values: Float32Array;
}

/** The parameters in the order of the forward pass, each with its values. */
export function modelParameters({ config, weights }: StudentModel): readonly ModelParameter[] {
  return listParameters(config).map((spec) => {
    const values = weights.get(spec.name);
    invariant(values !== undefined, `the model has the weight ${spec.name}`);
    return { ...spec, values };
  });
}
