import { nearestName } from "@tandem/shared/config/nearest-name.js";
import { stateWidth } from "@tandem/shared/wire/state-number.js";
import type { LossSet } from "../losses/loss-set.js";
import type { ModelSize } from "../losses/model-sizes.js";
import { assertDistinct } from "./assert-distinct.js";
import {
  assertArray,
  assertNumbers,
  below,
  FINITE,
  invalid,
  LOG_PROBABILITY,
  NOT_NEGATIVE,
  ZERO_OR_ONE,
} from "./assert-numbers.js";
import { assertSignal } from "./assert-signal.js";
import { sequencesOf } from "./cut-sequences.js";
import type { LossEvaluation } from "./loss-evaluation.js";

/** All of them: what is written otherwise would be ignored. */
const FIELDS: Readonly<Record<keyof LossEvaluation, true>> = {
  loss: true,
  options: true,
  studentLogits: true,
  vocabulary: true,
  targets: true,
  sequences: true,
  signal: true,
  signals: true,
  atIds: true,
  sizes: true,
  studentLayers: true,
  oldLogProbs: true,
  byStudent: true,
  weights: true,
  parameters: true,
  progress: true,
  engine: true,
};

/** What can be said of an evaluation before its loss is known.
 * @throws TandemError INVALID_ARGUMENT naming the field. */
export function assertEvaluation(evaluation: LossEvaluation): void {
  for (const field of Object.keys(evaluation)) {
    if (field in FIELDS) continue;
    const nearest = nearestName(field, Object.keys(FIELDS));
    const hint = nearest
      ? `did you mean ${nearest}?`
      : `there are ${Object.keys(FIELDS).join(", ")}`;
    throw invalid(field, `is no field of an evaluation; ${hint}`);
  }
  const { progress = 0, engine = "onnx", vocabulary, sizes } = evaluation;
  if (!(progress >= 0 && progress <= 1)) {
    throw invalid("progress", `is ${progress}; give the done fraction of a run, 0 to 1`);
  }
  if (engine !== "onnx" && engine !== "reference") {
    throw invalid("engine", `is ${JSON.stringify(engine)}; give "onnx" or "reference"`);
  }
  if (!isCount(vocabulary)) {
    throw invalid("vocabulary", `is ${vocabulary}; give V, the number of ids`);
  }
  if (sizes !== undefined) {
    assertSize(sizes.student, "sizes.student");
    assertSize(sizes.teacher, "sizes.teacher");
    for (const [name, size] of Object.entries(sizes.named ?? {})) {
      assertSize(size, `sizes.named.${name}`);
    }
  }
  assertPositions(evaluation);
}

function assertSize(size: ModelSize | undefined, field: string): void {
  const { layers, width, queryWidth, keyWidth } = size ?? {};
  for (const [name, value] of Object.entries({ layers, width, queryWidth, keyWidth })) {
    if (value === undefined && name.endsWith("Width")) continue;
    if (!isCount(value))
      throw invalid(`${field}.${name}`, `is ${value}; give a whole number above 0`);
  }
}

function isCount(value: number | undefined): boolean {
  return Number.isSafeInteger(value) && value! >= 1;
}

/** Everything that has a number for each position, or a row. */
function assertPositions(evaluation: LossEvaluation): void {
  const { targets, vocabulary, studentLogits, oldLogProbs, byStudent, weights } = evaluation;
  assertArray(targets, "targets", [Uint32Array]);
  const count = targets.length;
  if (count === 0) throw invalid("targets", "is empty; give at least one position");
  const of = `${count} positions`;
  assertNumbers(targets, { field: "targets", range: below(vocabulary, "token ids") });
  assertArray(studentLogits, "studentLogits", [Float32Array, Float64Array]);
  assertNumbers(studentLogits, {
    field: "studentLogits",
    count: count * vocabulary,
    of: `${of} × ${vocabulary} ids`,
    range: FINITE,
  });
  if (oldLogProbs !== undefined) {
    assertArray(oldLogProbs, "oldLogProbs", [Float32Array]);
    assertNumbers(oldLogProbs, { field: "oldLogProbs", count, of, range: LOG_PROBABILITY });
  }
  if (byStudent !== undefined) {
    assertNumbers(byStudent, { field: "byStudent", count, of, range: ZERO_OR_ONE });
  }
  if (weights !== undefined) {
    assertNumbers(weights, { field: "weights", count, of, range: NOT_NEGATIVE });
  }
  assertSequences(evaluation);
}

function assertSequences(evaluation: LossEvaluation): void {
  const sequences = sequencesOf(evaluation);
  sequences.forEach(({ length, row = 0 }, at) => {
    if (!isCount(length)) {
      throw invalid(`sequences[${at}].length`, `is ${length}; give its number of positions`);
    }
    if (!isCount(row + 1))
      throw invalid(`sequences[${at}].row`, `is ${row}; give a row, 0 or more`);
  });
  const total = sequences.reduce((sum, { length }) => sum + length, 0);
  const { length } = evaluation.targets;
  if (total !== length) throw invalid("sequences", `have ${total} positions, targets ${length}`);
}

/** What depends on the loss: its teachers' signals, and what it reads of the student beside the logits.
 * @throws TandemError INVALID_ARGUMENT naming the field. */
export function assertSignals(evaluation: LossEvaluation, losses: LossSet): void {
  const { signal, signals = {}, vocabulary, loss, targets } = evaluation;
  const asked = losses.teacherNames;
  for (const name of Object.keys(signals)) {
    if (asked.includes(name)) continue;
    const known = asked.length > 0 ? asked.join(", ") : "none by name, so give signal";
    throw invalid(`signals.${name}`, `is of a teacher that ${loss} does not ask; it asks ${known}`);
  }
  const { named = {}, ...own } = losses.requirement(evaluation.progress ?? 0);
  const count = targets.length;
  if (signal !== undefined)
    assertSignal(signal, { field: "signal", count, vocabulary, asked: own });
  for (const [name, each] of Object.entries(signals)) {
    assertSignal(each, { field: `signals.${name}`, count, vocabulary, asked: named[name]! });
  }
  const asksIds = [own, ...Object.values(named)].some(({ studentTopK }) => studentTopK > 0);
  if (asksIds && evaluation.atIds === undefined) {
    throw invalid("atIds", `is missing; ${loss} reads the student's own best ids: give them`);
  }
  if (losses.usesStudentLogProbs && evaluation.oldLogProbs === undefined) {
    throw invalid(
      "oldLogProbs",
      `is missing; ${loss} reads log q of each token when it was written`,
    );
  }
  assertAtIds(evaluation);
  assertLayers(evaluation, losses);
}

function assertAtIds({ atIds, signal, signals = {}, vocabulary }: LossEvaluation): void {
  if (atIds === undefined) return;
  assertArray(atIds, "atIds", [Uint32Array]);
  assertNumbers(atIds, { field: "atIds", range: below(vocabulary, "ids") });
  for (const each of [signal, ...Object.values(signals)]) {
    const offsets = each?.atOffsets;
    if (offsets === undefined) continue;
    if (offsets.at(-1) !== atIds.length) {
      throw invalid("atIds", `has ${atIds.length} ids, atLogits ${offsets.at(-1)} logits at them`);
    }
    assertDistinct(atIds, offsets, "atIds");
  }
}

function assertLayers(evaluation: LossEvaluation, losses: LossSet): void {
  const { studentLayers = {}, targets, loss } = evaluation;
  const { length } = targets;
  for (const layer of losses.studentLayers) {
    const field = `studentLayers[${layer}]`;
    const values = studentLayers[layer];
    const width = stateWidth(layer, losses.sizes!.student);
    if (values === undefined) {
      throw invalid(
        field,
        `is missing; ${loss} compares it: give ${length} positions × width ${width}`,
      );
    }
    assertArray(values, field, [Float32Array, Float64Array]);
    const of = `${length} positions × width ${width} (sizes.student)`;
    assertNumbers(values, { field, count: length * width, of, range: FINITE });
  }
}
