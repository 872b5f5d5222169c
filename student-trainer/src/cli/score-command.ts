import { NO_SIGNAL, type TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { Command } from "commander";
import { resolveModel } from "@tandem/shared/checkpoint/resolve-model.js";

import { TEACHER_DEFAULTS } from "../teacher/teacher-options.js";
import { openTeacher } from "./open-teacher.js";
import { loadTokenizer, type Tokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { wholeNumber } from "./parse-flag.js";
import { formatTable } from "./format-table.js";
import { asUsage } from "./usage-error.js";

const EXAMPLES = `
Examples:
  student-trainer score --teacher 127.0.0.1:50051 --tokenizer student "The capital of France is Paris."
  student-trainer score --teacher gpu-node:50051 --tokenizer student --prompt "4738*6=" "8*6+0=48" --top-k 3
  student-trainer score --teacher gpu-node:50051 --tokenizer student --json "Some text" > scores.jsonl`;

interface Flags {
  readonly teacher: string;
  readonly tokenizer: string;
  readonly prompt?: string;
  readonly topK: number;
  readonly json: boolean;
  readonly retryTimeoutMs: number;
  readonly tlsCaFile?: string;
  readonly tokenFile?: string;
}

/** What the teacher thinks of one token. */
interface ScoredToken {
  readonly position: number;
  readonly id: number;
  readonly piece: string;
  readonly rank: number;
  readonly logProbability: number;
  readonly entropy: number;
  readonly top: readonly (readonly [string, number])[];
}

export function createScoreCommand(): Command {
  return new Command("score")
    .description("A table of what the teacher thinks of each token of a text")
    .argument("<text>", "the text to score")
    .requiredOption("--teacher <host:port>", "address of teacher-server")
    .requiredOption("--tokenizer <dir>", "directory or hub id with the shared tokenizer")
    .option("--prompt <text>", "what stands in front of the text and is not scored")
    .option("--top-k <k>", "how many of the teacher's best ids to show", wholeNumber(1), 5)
    .option("--json", "one JSON object a token instead of a table", false)
    .option(
      "--retry-timeout-ms <ms>",
      "how long to wait for a teacher that does not answer",
      wholeNumber(1),
      10_000,
    )
    .option("--tls-ca-file <pem>", "speak TLS; who may have signed the teacher's certificate")
    .option("--token-file <file>", "the token that names you; or set TANDEM_TEACHER_TOKEN")
    .addHelpText("after", EXAMPLES)
    .action(async (text: string, flags: Flags) => {
      const tokens = await scoreText(text, flags);
      const lines = flags.json
        ? tokens.map((token) => JSON.stringify(token))
        : formatTable(
            ["pos", "token", "id", "rank", "log p", "entropy", `top ${flags.topK}`],
            tokens.map(toCells),
          );
      process.stdout.write(`${lines.join("\n")}\n`);
    });
}

async function scoreText(text: string, flags: Flags): Promise<ScoredToken[]> {
  const dir = await resolveModel(flags.tokenizer, { env: process.env });
  const tokenizer = await loadTokenizer(dir);
  const { tokens, from } = asUsage(() => encode(tokenizer, text, flags.prompt));
  const teacher = await openTeacher(
    {
      ...TEACHER_DEFAULTS,
      address: flags.teacher,
      retryTimeoutMs: flags.retryTimeoutMs,
      tokenFile: flags.tokenFile,
      ...(flags.tlsCaFile !== undefined && { tls: { caFile: flags.tlsCaFile } }),
    },
    {
      student: {
        ...tokenizer.identity,
        entry: (id) => tokenizer.entry(id),
        paddedVocabularySize: tokenizer.vocabularySize,
      },
      note: (line) => process.stderr.write(`${line}\n`),
    },
  );
  try {
    const topK = Math.min(flags.topK, tokenizer.vocabularySize);
    const { signal } = await teacher.score({
      tokens,
      from,
      signal: { ...NO_SIGNAL, topK, token: true, moments: true },
    });
    return signal === undefined ? [] : toScoredTokens(tokens, signal, tokenizer);
  } finally {
    teacher.close();
  }
}

/** Row 0 has no law in front of it: without a prompt the first token is not scored. */
function encode(
  tokenizer: Tokenizer,
  text: string,
  prompt: string | undefined,
): { readonly tokens: Uint32Array; readonly from: number } {
  const head = prompt === undefined ? undefined : tokenizer.encode(prompt, { special: true });
  const body = tokenizer.encode(text, { special: head === undefined });
  const tokens = Uint32Array.of(...(head ?? []), ...body);
  const from = Math.max(1, head?.length ?? 0);
  if (tokens.length <= from) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "nothing to score: give at least two tokens, or one behind --prompt",
      { field: "text" },
    );
  }
  return { tokens, from };
}

function toScoredTokens(
  tokens: Uint32Array,
  signal: TeacherSignal,
  tokenizer: Tokenizer,
): ScoredToken[] {
  const { count, from, topK } = signal;
  return Array.from({ length: count }, (_, r) => {
    const lse = signal.lse?.[r] ?? 0;
    const id = tokens[from + r] as number;
    const top = Array.from({ length: topK }, (__, j): [string, number] => [
      tokenizer.piece(signal.topIds?.[r * topK + j] ?? 0),
      Math.exp((signal.topLogits?.[r * topK + j] ?? -Infinity) - lse),
    ]);
    return {
      position: from + r,
      id,
      piece: tokenizer.piece(id),
      rank: signal.rank?.[r] ?? 0,
      logProbability: (signal.tokenLogit?.[r] ?? 0) - lse,
      entropy: signal.entropy?.[r] ?? 0,
      top,
    };
  });
}

function toCells(token: ScoredToken): string[] {
  return [
    String(token.position),
    JSON.stringify(token.piece),
    String(token.id),
    String(token.rank),
    token.logProbability.toFixed(3),
    token.entropy.toFixed(3),
    token.top.map(([piece, p]) => `${JSON.stringify(piece)} ${(100 * p).toFixed(1)} %`).join("  "),
  ];
}
