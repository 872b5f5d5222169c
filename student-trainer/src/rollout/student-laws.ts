import { invariant } from "@tandem/shared/errors/invariant.js";
import { NO_SIGNAL, type TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

import { joinTokens } from "./score-rollouts.js";
import type { Rollout } from "./rollout.js";
import type { StudentEngine } from "./student-engine.js";

/** What the student itself thought at every response position of some sequences, with the weights published last: its k best ids, in one
 * forward pass. Empty responses have no law and give undefined. */
export async function studentLaws(
  engine: StudentEngine,
  rollouts: readonly Rollout[],
  topK: number,
): Promise<readonly (TeacherSignal | undefined)[]> {
  const written = rollouts.filter(({ response }) => response.length > 0);
  if (written.length === 0) return rollouts.map(() => undefined);
  const laws = await engine.exclusive(async () => {
    const caches = written.map(() => engine.newCache());
    const result = await engine.step(
      written.map(({ prompt, response }, i) => ({
        cache: caches[i] as number,
        past: 0,
        // The last token is judged, not read.
        tokens: joinTokens({ prompt, response }).subarray(0, -1),
        maxLength: prompt.length + response.length,
        head: {
          first: prompt.length - 1,
          targets: response,
          spec: { ...NO_SIGNAL, topK: Math.min(topK, engine.runner.vocabulary) },
        },
      })),
    );
    for (const cache of caches) engine.release(cache);
    return result.rows.map(({ signal }) => signal);
  });
  const bySequence = new Map(written.map((rollout, i) => [rollout, laws[i]]));
  return rollouts.map((rollout) => {
    const law = bySequence.get(rollout);
    invariant(law !== undefined || rollout.response.length === 0, "a top list was asked for");
    return law;
  });
}
