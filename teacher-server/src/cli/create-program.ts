import { Command, Option, InvalidArgumentError } from "commander";
import { z } from "zod";
import { environmentName } from "@tandem/shared/config/config-layers.js";
import { innermost } from "@tandem/shared/config/schema-walk.js";
import { serverConfigSchema } from "./server-config.js";

export const ENVIRONMENT_PREFIX = "TANDEM_";

export interface CommandLine {
  /** Values of flags by field name; only those that were given. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly configFile: string | undefined;
  readonly printConfig: boolean;
}

const EXAMPLES = `
Every flag has an environment twin (--max-model-len: TANDEM_MAX_MODEL_LEN) and a key in --config (max-model-len).
Order: defaults < --config < environment < flags.

Examples:
  $ teacher-server --model ./SmolLM2-135M-Instruct
  $ teacher-server --model ./teacher --port 0 --http-port 0 --threads 4
  $ TANDEM_MODEL=./teacher teacher-server --config server.yaml --max-num-batched-tokens 1024
  $ teacher-server --model ./teacher --print-config > server.yaml

When the model answers, one line appears on stdout:
  teacher ready grpc=127.0.0.1:50051 http=127.0.0.1:50052 model=teacher

Exit codes: 0 ended as asked, 1 failed, 2 wrong usage, 130 interrupted.`;

/** The command line of teacher-server. `run` gets what was given; parsing errors throw CommanderError. */
export function createProgram(run: (line: CommandLine) => Promise<void>): Command {
  const program = new Command("teacher-server")
    .description("Serves a language model as a teacher over gRPC (tandem.v1.Teacher).")
    .exitOverride()
    .addOption(
      new Option("--config <file>", "YAML or JSON file of options").env(
        `${ENVIRONMENT_PREFIX}CONFIG`,
      ),
    )
    .addOption(
      new Option("--print-config", "print the resolved configuration as YAML and exit").env(
        `${ENVIRONMENT_PREFIX}PRINT_CONFIG`,
      ),
    )
    .addHelpText("after", EXAMPLES);
  for (const [field, schema] of Object.entries(serverConfigSchema.shape))
    for (const option of toOptions(field, schema)) program.addOption(option);
  return program.action(async (options: Record<string, unknown>) => {
    const { config, printConfig, ...flags } = options;
    await run({
      flags,
      configFile: config as string | undefined,
      printConfig: printConfig === true,
    });
  });
}

function toOptions(field: string, schema: z.ZodType): readonly Option[] {
  const inner = innermost(schema);
  const flag = environmentName([field]).toLowerCase().replaceAll("_", "-");
  const help = `${schema.description ?? ""}${defaultText(schema)}`;
  if (inner instanceof z.ZodBoolean) {
    return [
      new Option(`--${flag} [on|off]`, `${help}; off: --no-${flag}`).argParser(parseSwitch),
      new Option(`--no-${flag}`).hideHelp(),
    ];
  }
  if (inner instanceof z.ZodEnum)
    return [new Option(`--${flag} <name>`, help).choices(inner.options.map(String))];
  if (inner instanceof z.ZodNumber)
    return [new Option(`--${flag} <number>`, help).argParser(parseNumber)];
  return [new Option(`--${flag} <text>`, help)];
}

function defaultText(schema: z.ZodType): string {
  if (!(schema instanceof z.ZodDefault)) return " (required)";
  const value = schema.def.defaultValue;
  return value === "" ? "" : ` (default: ${String(value)})`;
}

function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value))
    throw new InvalidArgumentError("a number is needed");
  return value;
}

function parseSwitch(text: string): boolean {
  if (["on", "true"].includes(text)) return true;
  if (["off", "false"].includes(text)) return false;
  throw new InvalidArgumentError("on or off");
}
