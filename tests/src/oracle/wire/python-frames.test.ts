import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { decodeCompact } from "@tandem/shared/wire/compact/decode-compact.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

interface PythonFrame {
  readonly name: string;
  readonly frame: string;
  readonly values: Readonly<Record<string, unknown>>;
}

const frames = JSON.parse(
  readFileSync(
    new URL("../../../../tests/fixtures/wire/python-frames.json", import.meta.url),
    "utf8",
  ),
) as PythonFrame[];

function camelCase(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

describe("decodeCompact against frames that numpy wrote from the description alone", () => {
  for (const { name, frame, values } of frames) {
    it(`reads the same numbers: ${name}`, () => {
      const { signal, vocabSize } = decodeCompact(Buffer.from(frame, "base64"));
      assert.equal(vocabSize, values["vocab_size"]);
      for (const [key, expected] of Object.entries(values)) {
        if (key === "vocab_size" || key === "hidden") continue;
        const actual = signal[camelCase(key) as keyof TeacherSignal];
        if (typeof expected !== "object") assert.equal(actual, expected, key);
        else {
          const numbers = (expected as (number | null)[]).map((value) => value ?? -Infinity);
          assert.deepEqual([...(actual as Float32Array)], numbers, key);
        }
      }
      const layers = [...(signal.hidden ?? [])].map(([layer, rows]) => [String(layer), [...rows]]);
      assert.deepEqual(Object.fromEntries(layers), values["hidden"]);
    });
  }
});
