/** A process of its own, so that limits can be put on it: `node save-checkpoint-child.js CHECKPOINTS MODEL` prints how saving failed. */
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { saveCheckpoint } from "@tandem/student-trainer/checkpoint/save-checkpoint.js";
import { contentOf } from "./checkpoint-content.js";

const [dir, modelDir] = process.argv.slice(2) as [string, string];
try {
  await saveCheckpoint({ ...(await contentOf(modelDir, 6)), dir, keep: 1 });
  console.log("{}");
} catch (caught) {
  const { code, message } = TandemError.from(caught);
  console.log(JSON.stringify({ code, message }));
}
