import { resolveModel } from "@tandem/shared/checkpoint/resolve-model.js";
import { Command } from "commander";

import { exportModel } from "../checkpoint/export-model.js";
import { exportOnnx } from "../checkpoint/export-onnx.js";
import { loadStudent } from "../checkpoint/load-student.js";
import { assertApart } from "./assert-apart.js";
import { oneOf } from "./parse-flag.js";

const EXAMPLES = `
Example:
  student-trainer export --model runs/demo/checkpoints/step-000300 --out my-student --dtype f16
  student-trainer export --model runs/demo/checkpoints/step-000300 --out my-student --onnx
The directory loads with transformers: AutoModelForCausalLM.from_pretrained("my-student"); with --onnx also with transformers.js and onnxruntime`;

interface Flags {
  readonly model: string;
  readonly out: string;
  readonly dtype: "f32" | "f16" | "bf16";
  readonly onnx?: boolean;
}

export function createExportCommand(): Command {
  return new Command("export")
    .description("Write a checkpoint as a Hugging Face directory")
    .requiredOption("--model <dir>", "checkpoint, directory or hub id")
    .requiredOption("--out <dir>", "where to write")
    .option("--dtype <type>", "f32, f16 or bf16", oneOf("f32", "f16", "bf16"), "f32")
    .option("--onnx", "add onnx/model.onnx (f32), as transformers.js and optimum lay it out")
    .addHelpText("after", EXAMPLES)
    .action(async ({ model: source, out, dtype, onnx = false }: Flags) => {
      const dir = await resolveModel(source, { env: process.env });
      await assertApart(out, [dir]);
      const model = await loadStudent(dir);
      await exportModel({ model, outDir: out, dtype, tokenizerDir: dir });
      if (onnx) await exportOnnx({ model, outDir: out });
      process.stdout.write(`${out}\n`);
    });
}
