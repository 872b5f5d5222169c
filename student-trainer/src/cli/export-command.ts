import { resolveModel } from "@tandem/shared/checkpoint/resolve-model.js";
import { Command } from "commander";

import { exportModel } from "../checkpoint/export-model.js";
import { loadStudent } from "../checkpoint/load-student.js";
import { oneOf } from "./parse-flag.js";

const EXAMPLES = `
Example:
  student-trainer export --model runs/demo/checkpoints/step-000300 --out my-student --dtype f16
The directory loads with transformers: AutoModelForCausalLM.from_pretrained("my-student")`;

interface Flags {
  readonly model: string;
  readonly out: string;
  readonly dtype: "f32" | "f16" | "bf16";
}

export function createExportCommand(): Command {
  return new Command("export")
    .description("Write a checkpoint as a Hugging Face directory")
    .requiredOption("--model <dir>", "checkpoint, directory or hub id")
    .requiredOption("--out <dir>", "where to write")
    .option("--dtype <type>", "f32, f16 or bf16", oneOf("f32", "f16", "bf16"), "f32")
    .addHelpText("after", EXAMPLES)
    .action(async ({ model, out, dtype }: Flags) => {
      const dir = await resolveModel(model, { env: process.env });
      await exportModel({ model: await loadStudent(dir), outDir: out, dtype, tokenizerDir: dir });
      process.stdout.write(`${out}\n`);
    });
}
