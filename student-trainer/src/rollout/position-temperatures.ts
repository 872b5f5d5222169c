import {
  NO_SIGNAL,
  type SignalSpec,
  type TeacherSignal,
} from "@tandem/shared/wire/teacher-signal.js";

import type { TeacherRequirement } from "../losses/signal-requirement.js";

/** What is asked of a teacher at first: everything, unless temperatures depend on its moments. */
export function firstSpec({ spec, positionTaus = [] }: TeacherRequirement): SignalSpec {
  return positionTaus.length === 0 ? spec : { ...NO_SIGNAL, moments: true };
}

/** f32 [n,J]: those that are the same everywhere, then those of each position, from both sides' moments. */
export function temperaturesOf(
  { spec, positionTaus = [] }: TeacherRequirement,
  { teacher, student }: { readonly teacher: TeacherSignal; readonly student: TeacherSignal },
): Float32Array {
  const width = spec.taus.length + positionTaus.length;
  const taus = new Float32Array(teacher.count * width);
  const at = ({ meanLogit, maxLogit }: TeacherSignal, row: number) => ({
    mean: meanLogit![row]!,
    max: maxLogit![row]!,
  });
  for (let row = 0; row < teacher.count; row++) {
    const moments = { teacher: at(teacher, row), student: at(student, row) };
    taus.set(spec.taus, row * width);
    positionTaus.forEach((temperature, slot) => {
      taus[row * width + spec.taus.length + slot] = temperature(moments);
    });
  }
  return taus;
}
