import { Command } from "commander";

import { generateRows } from "../rollout/generate-rows.js";
import { rngKeyOf } from "@tandem/shared/numeric/hash32.js";
import { onInterrupt } from "./interrupt.js";
import { openFileEngine, openStudent } from "./open-student.js";
import { numberBetween, wholeNumber } from "./parse-flag.js";

const EXAMPLES = `
Examples:
  student-trainer generate --model runs/demo/checkpoints/step-000300 "4738*6="
  student-trainer generate --model SmolLM2-135M-Instruct --chat --max-tokens 64 "Why is the sky blue?"
  student-trainer generate --model student --temperature 0.8 --top-p 0.95 --seed 7 "Once" "Twice"`;

interface Flags {
  readonly model: string;
  readonly chat: boolean;
  readonly system?: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  readonly threads: number | null;
}

export function createGenerateCommand(): Command {
  return new Command("generate")
    .description("Let a student continue prompts; prints the continuations")
    .argument("<prompt...>", "texts to continue")
    .requiredOption("--model <dir>", "directory or hub id")
    .option("--chat", "send each prompt through the checkpoint's chat template", false)
    .option("--system <text>", "system message of chats")
    .option(
      "--max-tokens <n>",
      "longest response, as far as the context reaches",
      wholeNumber(1),
      128,
    )
    .option("--temperature <t>", "0 = greedy", numberBetween(0, 100), 0)
    .option("--top-k <k>", "0 = off", wholeNumber(0), 0)
    .option("--top-p <p>", "1 = off", numberBetween(0, 1), 1)
    .option("--seed <n>", "of the random numbers", wholeNumber(0), 0)
    .option("--threads <n>", "default: all cores", wholeNumber(1), null)
    .addHelpText("after", EXAMPLES)
    .action(generate);
}

async function generate(prompts: readonly string[], flags: Flags): Promise<void> {
  const student = await openStudent(flags.model);
  const { tokenizer } = student;
  const system = flags.system === undefined ? [] : [{ role: "system", content: flags.system }];
  const encoded = prompts.map((content) =>
    flags.chat
      ? tokenizer.encode(tokenizer.renderChat([...system, { role: "user", content }]), {
          special: false,
        })
      : tokenizer.encode(content, { special: true }),
  );
  const interrupt = onInterrupt();
  const { engine, close } = await openFileEngine({
    student,
    threads: flags.threads,
    kvMemoryBytes: undefined,
  });
  try {
    const responses = await generateRows({
      engine,
      prompts: encoded.map((prompt, row) => ({ prompt, rngKey: rngKeyOf(0, row, 0) })),
      sampling: { temperature: flags.temperature, topK: flags.topK, topP: flags.topP },
      runSeed: flags.seed,
      maxResponse: flags.maxTokens,
      stopIds: new Set(student.stopIds),
      concurrency: 32,
      abort: interrupt.signal,
    });
    for (const { tokens } of responses) process.stdout.write(`${tokenizer.decode(tokens)}\n`);
  } finally {
    interrupt.dispose();
    await close();
  }
}
