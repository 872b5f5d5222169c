import { unreachable } from "@tandem/shared/errors/invariant.js";
import type { Graph } from "@tandem/shared/onnx/graph.js";
import { replay } from "@tandem/shared/onnx/replay.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor, type HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { stateWidth } from "@tandem/shared/wire/state-number.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { ReferenceOps } from "../engines/reference/reference-ops.js";
import { referenceTensor } from "../engines/reference/reference-tensor.js";
import { reductionCoefficients } from "../losses/reduction.js";
import type { SignalRequirement, TeacherRequirement } from "../losses/signal-requirement.js";
import { assertEvaluation, assertSignals } from "./assert-evaluation.js";
import { EXAMPLE_SIZES } from "../losses/model-sizes.js";
import { buildLossGraph, buildLossProbeGraph, layerName } from "./loss-graph.js";
import type { LossEvaluation, LossValue } from "./loss-evaluation.js";
import { singleLoss } from "./single-loss.js";
import { packLossRows, parameterKey } from "./pack-loss-rows.js";

/** A loss on given logits: value, value of each position, gradient.
 * @throws TandemError INVALID_ARGUMENT for an unknown loss, wrong options, sizes or numbers; FAILED_PRECONDITION when the signal lacks what
 * the loss needs, or the positions have no pair for a loss on pairs. */
export async function evaluateLoss(evaluation: LossEvaluation): Promise<LossValue> {
  const { loss, options, targets, vocabulary, studentLogits, progress = 0 } = evaluation;
  assertEvaluation(evaluation);
  const losses = singleLoss(loss, options, { ...EXAMPLE_SIZES, ...evaluation.sizes, vocabulary });
  assertSignals(evaluation, losses);
  const rows = targets.length;
  const weights = evaluation.weights ?? new Uint8Array(rows).fill(1);
  const coefficients = reductionCoefficients([weights], "token")[0]!;
  const requirement = inFormOf(losses.requirement(progress), evaluation);
  const packing = { evaluation, losses, requirement, coefficients, progress };
  let feeds = packLossRows(packing);
  const padded = feeds["coefficients"]!.shape[0]!;
  const sizes = { losses, requirement, rows: padded, vocabulary };
  if (losses.probeCount > 0) {
    const probed = await runGraph(buildLossProbeGraph(sizes), evaluation, feeds);
    feeds = packLossRows({ ...packing, probe: probed.get("probe")! });
  }
  const graph = buildLossGraph(sizes);
  const outputs = await runGraph(graph, evaluation, feeds);
  const perToken = outputs.get("perToken")!;
  return {
    value: perToken
      .subarray(0, rows)
      .reduce((sum, value, row) => sum + coefficients[row]! * value, 0),
    perToken: perToken.slice(0, rows),
    gradient: outputs.get("gradient")!.slice(0, studentLogits.length),
    layerGradients: Object.fromEntries(
      losses.studentLayers.map((layer) => {
        const gradient = outputs.get(`gradient.${layerName(layer)}`)!;
        return [layer, gradient.slice(0, rows * stateWidth(layer, losses.sizes!.student))];
      }),
    ),
    parameterGradients: Object.fromEntries(
      losses.parameters.map(({ name }) => [parameterKey(name), outputs.get(`gradient.${name}`)!]),
    ),
  };
}

/** Losses that read a few log-probabilities take logits with their `lse` as well: whichever the caller has. */
function inFormOf(
  requirement: SignalRequirement,
  { signal, signals = {} }: LossEvaluation,
): SignalRequirement {
  const fit = <R extends TeacherRequirement>(asked: R, given: TeacherSignal | undefined): R =>
    given === undefined || given.logProbs
      ? asked
      : { ...asked, spec: { ...asked.spec, logProbs: false, omitTopIds: false } };
  const { named = {} } = requirement;
  return {
    ...fit(requirement, signal),
    named: Object.fromEntries(
      Object.entries(named).map(([teacher, own]) => [teacher, fit(own, signals[teacher])]),
    ),
  };
}

async function runGraph(
  graph: Graph,
  evaluation: LossEvaluation,
  feeds: Readonly<Record<string, HostTensor>>,
): Promise<ReadonlyMap<string, Float64Array>> {
  const { engine = "onnx" } = evaluation;
  const rows = feeds["coefficients"]!.shape[0]!;
  const given = studentTensors(evaluation);
  switch (engine) {
    case "onnx": {
      const own = given.map(({ name, values, width }) => {
        const padded = new Float32Array(rows * width);
        padded.set(values);
        return [name, f32Tensor(padded, [rows, width])] as const;
      });
      const session = await createOrtSession(serializeGraph(graph), { threads: 1 });
      try {
        const names = graph.outputs.map(({ name }) => name);
        const inputs = [...Object.entries(feeds), ...own];
        const used = inputs.filter(([name]) => session.inputNames.includes(name));
        const results = await session.run(Object.fromEntries(used), names);
        return new Map(
          names.map((name) => [name, Float64Array.from(results[name]!.data as Float32Array)]),
        );
      } finally {
        await session.close();
      }
    }
    case "reference": {
      const inputs = new Map(
        Object.entries(feeds).map(
          ([name, { data, shape: sizes, dtype }]) =>
            [name, referenceTensor(data, sizes, dtype)] as const,
        ),
      );
      for (const { name, values, width } of given) {
        const padded = new Float64Array(rows * width);
        padded.set(values);
        inputs.set(name, referenceTensor(padded, [rows, width]));
      }
      const results = replay(graph, new ReferenceOps(), inputs);
      return new Map([...results].map(([name, { data }]) => [name, data]));
    }
    default:
      return unreachable(engine);
  }
}

interface StudentTensor {
  readonly name: string;
  readonly values: Float32Array | Float64Array;
  readonly width: number;
}

/** What has a gradient: the logits, and the hidden states that were given. */
function studentTensors({
  studentLogits,
  studentLayers = {},
  targets,
  vocabulary,
}: LossEvaluation): readonly StudentTensor[] {
  const layers = Object.entries(studentLayers).map(([layer, values]) => ({
    name: layerName(Number(layer)),
    values,
    width: values.length / targets.length,
  }));
  return [{ name: "logits", values: studentLogits, width: vocabulary }, ...layers];
}
