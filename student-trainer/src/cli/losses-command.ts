import { Command } from "commander";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { describeRequirement, plainBytes } from "../evaluate-loss/describe-requirement.js";
import { listLosses, type LossListing } from "../evaluate-loss/list-losses.js";
import { EXAMPLE_SIZES, type ModelSize } from "../losses/model-sizes.js";
import { formatTable } from "./format-table.js";
import { asUsage } from "./usage-error.js";

const EXAMPLES = `
Examples:
  student-trainer losses                      every loss, what it is, what it asks the teacher for, its options and source
  student-trainer losses ranking              its options
  student-trainer losses --json               the same for programs
In a configuration: losses: [{name: ranking, k: 10, weight: 2}, {name: forward-kl}]`;

export function createLossesCommand(): Command {
  return new Command("losses")
    .description("List the losses: names, options, what they ask the teacher for, sources")
    .argument("[name]", "one loss, with its options")
    .option("--json", "JSON instead of a table", false)
    .addHelpText("after", EXAMPLES)
    .action((name: string | undefined, { json }: { readonly json: boolean }) => {
      const losses = name === undefined ? listLosses() : [asUsage(() => lossNamed(name))];
      const lines = json
        ? [JSON.stringify(losses, null, 2)]
        : name === undefined
          ? overview(losses)
          : losses.flatMap(details);
      process.stdout.write(`${lines.join("\n")}\n`);
    });
}

function lossNamed(name: string): LossListing {
  const found = listLosses().find((loss) => loss.name === name);
  if (found !== undefined) return found;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `there is no loss "${name}"; \`student-trainer losses\` lists the names`,
  );
}

/** A row for each loss, below it where it comes from and what can be set. */
function overview(losses: readonly LossListing[]): readonly string[] {
  const [header = "", ...rows] = formatTable(
    ["name", "asks the teacher for", "bytes", "per position"],
    losses.map(({ name, requires, summary }) => [
      name,
      describeRequirement(requires),
      String(plainBytes(requires, EXAMPLE_SIZES.vocabulary, EXAMPLE_SIZES.teacher)),
      summary,
    ]),
  );
  return [
    header,
    ...rows.flatMap((row, at) => [row, below(losses[at] as LossListing)]),
    "",
    `bytes: per position in the PLAIN encoding with default options, V = ${EXAMPLE_SIZES.vocabulary.toLocaleString("en")}, ${sizeOf(EXAMPLE_SIZES.teacher)} (student: ${sizeOf(EXAMPLE_SIZES.student)}); COMPACT takes less.`,
    "student-trainer losses NAME says what a loss's options mean; docs/methods.md describes them all.",
  ];
}

function below({ source, options }: LossListing): string {
  const names = options.map(({ name }) => name).join(", ");
  return `  ${source}; options: ${names === "" ? "none" : names}`;
}

function sizeOf({ layers, width }: ModelSize): string {
  return `${layers} layers of width ${width}`;
}

function details({ name, summary, source, requires, options }: LossListing): readonly string[] {
  const rows = options.map((option) => [
    option.name,
    typeof option.default === "string" ? option.default : JSON.stringify(option.default),
    option.description,
  ]);
  return [
    `${name}: ${summary}`,
    `asks the teacher for: ${describeRequirement(requires)}`,
    `source: ${source}`,
    "",
    ...(rows.length === 0 ? ["no options"] : formatTable(["option", "default", ""], rows)),
  ];
}
