import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { loadTokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { AUTHOR, NO_STATS } from "@tandem/student-trainer/rollout/rollout.js";
import { scoreRollouts } from "@tandem/student-trainer/rollout/score-rollouts.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";

import { assertAllClose } from "../../helpers/all-close.js";
import { startLiveServer } from "../../helpers/live-server.js";
import { readTensors } from "../../helpers/tiny-models.js";

const MODEL = "SmolLM2-135M-Instruct";

function environment(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} must be set: see tests/peers/requirements.txt and docs on testing`);
  return value;
}

describe(`${MODEL} as a teacher that knows more than the student`, () => {
  it("scores a response behind its own prompt as transformers does, whatever the prompts' lengths", async () => {
    const dir = join(environment("TANDEM_TEST_MODELS"), MODEL);
    const tokenizer = await loadTokenizer(dir);
    const chat = (system: string, question: string) =>
      tokenizer.encode(
        tokenizer.renderChat([
          { role: "system", content: system },
          { role: "user", content: question },
        ]),
        { special: false },
      );
    const texts = [
      ["What is 17 * 23?", "The answer is 391: 17 * 20 = 340 and 17 * 3 = 51.", "17 * 23 is 391."],
      ["Name a river.", "Short.", "The Danube flows through ten countries."],
    ] as const;
    const rollouts = texts.map(([question, hint, answer], row) => {
      const response = tokenizer.encode(answer, { special: false });
      const prompt = chat("You are a helpful assistant that always thinks step by step.", question);
      return {
        row,
        sample: 0,
        epoch: 0,
        prompt,
        teacherPrompt: chat(hint, question),
        response,
        finish: "length" as const,
        stats: NO_STATS,
        authors: new Uint8Array(response.length).fill(AUTHOR.data),
      };
    });
    const folder = await mkdtemp(join(tmpdir(), "tandem-peers-"));
    const server = await startLiveServer({ model: dir });
    const teacher = await TeacherClient.connect({
      ...TEACHER_DEFAULTS,
      addresses: [server.grpcAddress],
      random: () => 0,
    });
    try {
      const rows = rollouts.map(({ teacherPrompt, response }) => ({
        prompt: [...teacherPrompt],
        response: [...response],
      }));
      const [input, out] = [join(folder, "rows.json"), join(folder, "log-p.safetensors")];
      await writeFile(input, JSON.stringify(rows));
      const script = fileURLToPath(
        new URL("../../../peers/score_behind_prompts.py", import.meta.url),
      );
      await promisify(execFile)(environment("TANDEM_PYTHON"), [script, dir, input, out]);
      const expected = await readTensors(out);
      const scored = await scoreRollouts(rollouts, {
        teachers: new Map([[undefined, teacher]]),
        engine: undefined,
        concurrency: 1,
        spec: { ...NO_SIGNAL, token: true, lse: true },
        studentTopK: 0,
        runSeed: 0,
      });
      for (const [i, { prompt, signal }] of scored.rollouts.entries()) {
        assert.equal(signal?.from, prompt.length);
        const logP = signal!.tokenLogit!.map((logit, r) => logit - signal!.lse![r]!);
        // Two f32 implementations of thirty layers, as in the comparison of whole rows.
        assertAllClose(logP, expected.get(`log_p.${i}`)!, { rtol: 0, atol: 6e-4 }, `row ${i}`);
      }
    } finally {
      teacher.close();
      await server.stop();
      await rm(folder, { recursive: true });
    }
  });
});
