import { describe, it } from "node:test";

import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { attendWithinRows, decode, logits, placeValues } from "@tandem/shared/models/decoder.js";
import { listParameters } from "@tandem/shared/models/parameters.js";
import { ReferenceOps } from "@tandem/student-trainer/engines/reference/reference-ops.js";
import {
  referenceTensor,
  type ReferenceTensor,
} from "@tandem/student-trainer/engines/reference/reference-tensor.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { readTensors, tinyModelDir, TINY_MODELS } from "../../helpers/tiny-models.js";

/** Ours is float64 throughout; transformers takes norms and angles in f32. */
const TOLERANCE = { rtol: 1e-5, atol: 2e-5 };
const ROWS = 2;
/** Of the fixture's 24: what comes later changes nothing before. */
const T = 9;

describe("the models in float64, attending within whole rows, against transformers", () => {
  for (const name of TINY_MODELS) {
    it(`gives the logits of ${name} for each row of a batch`, async () => {
      const dir = tinyModelDir(name);
      const config = await readModelConfig(dir);
      const files = await CheckpointWeights.open(dir);
      const weights = new Map<string, ReferenceTensor>();
      for (const { name: parameter, shape } of listParameters(config)) {
        weights.set(
          parameter,
          referenceTensor(await files.read(files.require(parameter, shape)), shape),
        );
      }
      const expected = await readTensors(`${dir}/expected.safetensors`);
      const row = expected.get("tokens")!;
      const positions = Array.from({ length: ROWS * T }, (_, n) => n % T);
      const ids = referenceTensor(
        Array.from(positions, (t) => row[t]!),
        [ROWS * T],
        "i64",
      );
      const place = placeValues(config, positions);
      const ops = new ReferenceOps();
      const weight = (parameter: string) => weights.get(parameter)!;
      const { hidden, layers } = decode(ops, config, weight, {
        ids,
        places:
          place.kind === "learned"
            ? { kind: "learned", positions: referenceTensor(place.positions, [ROWS * T], "i64") }
            : {
                kind: "rotary",
                cos: referenceTensor(place.cos, [ROWS * T, place.width]),
                sin: referenceTensor(place.sin, [ROWS * T, place.width]),
              },
        attend: attendWithinRows(ops, config, { rows: ROWS, positions: T }),
      });
      const twice = (part: string) => {
        const values = expected.get(part)!;
        const first = values.subarray(0, (values.length / row.length) * T);
        return [...first, ...first];
      };
      assertAllClose(logits(ops, config, weight, { hidden }).data, twice("logits"), TOLERANCE);
      assertAllClose(layers[0]!.data, twice("hidden_0"), TOLERANCE);
      assertAllClose(layers[1]!.data, twice("hidden_1"), TOLERANCE);
    });
  }
});
