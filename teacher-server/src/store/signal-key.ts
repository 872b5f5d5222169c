import { createHash } from "node:crypto";
import type { ValidScoreItem } from "../admission/admit-score.js";

/** Changes whenever equal requests may get other answers from the same weights, or what is stored is written differently. */
const KEY_FORMAT = "tandem-signal-3";

/** What answers depend on beside the request. */
export interface TeacherIdentity {
  readonly weightsDigest: string;
  readonly numericsId: string;
  readonly vocabSize: number;
}

/** SHA-256 over everything that decides an answer's bytes: the teacher, the tokens, which rows, which parts, the encoding; seed and key of the random
 * numbers only where something is drawn. 32 bytes. */
export function signalKey(teacher: TeacherIdentity, item: ValidScoreItem): Buffer {
  const { spec, encoding } = item.signal;
  const { weightsDigest, numericsId, vocabSize } = teacher;
  const { from, rows, tokens, taus, atOffsets, atIds } = item;
  const tempered = spec.drawTemperature === 1 ? [] : [spec.drawTemperature];
  const random = spec.draws > 0 ? [item.runSeed, item.rngKey, ...tempered] : [];
  const arrays = [tokens, taus, atOffsets, atIds];
  const facts = [
    KEY_FORMAT,
    weightsDigest,
    numericsId,
    vocabSize,
    from,
    rows,
    spec.topK,
    spec.topPMass,
    spec.omitTopIds,
    spec.logProbs,
    spec.lse,
    spec.token,
    spec.moments,
    spec.taus,
    spec.draws,
    spec.dense,
    spec.hiddenLayers,
    encoding.encoding,
    // PLAIN has no error to choose.
    encoding.encoding === "compact" ? encoding.maxLogitError : 0,
    random,
    arrays.map((array) => array?.length ?? -1),
  ];
  const hash = createHash("sha256").update(JSON.stringify(facts));
  for (const array of arrays) if (array !== undefined) hash.update(array);
  return hash.digest();
}
