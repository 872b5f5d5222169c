import { parseArgs } from "node:util";
import { fuzzFrames } from "../helpers/fuzz-frames.js";
import { fuzzRequests } from "../helpers/fuzz-requests.js";

const LIMITS = {
  vocabSize: 100,
  contextLength: 20,
  layers: 2,
  hiddenSize: 16,
  queryWidth: 16,
  keyWidth: 8,
  maxMessageBytes: 1 << 20,
  maxTopK: 50,
  maxTaus: 2,
  maxDraws: 4,
  maxAtIds: 3,
  maxDenseBytes: 4000,
  maxDraftTokens: 4,
  maxSequences: 3,
  maxItemsInFlight: 8,
  maxCachedLength: 18,
};

/** Damaged frames and damaged requests by the million: `--cases 1000000 --seed 1`. Ends with an error at the first that is not refused as it should. */
export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: {
      cases: { type: "string", default: "1000000" },
      seed: { type: "string", default: "1" },
    },
    strict: false,
  });
  const [cases, seed] = [Number(values.cases), Number(values.seed)];
  return {
    frames: fuzzFrames({ seed, cases }),
    requests: fuzzRequests({ seed, cases, limits: LIMITS }),
  };
}
