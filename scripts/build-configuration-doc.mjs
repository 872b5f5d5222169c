// Writes docs/configuration.md from the configuration schemas, so that it cannot be wrong. `--check` only compares. Run it after `npm run build`.
import { readFileSync, writeFileSync } from "node:fs";
import { format, resolveConfig } from "prettier";

import { environmentName } from "../shared/dist/config/config-layers.js";
import { leafPaths, schemaAt } from "../shared/dist/config/schema-walk.js";
import { runSchema } from "../student-trainer/dist/config/run-config.js";
import { configureLoss, LOSS_NAMES } from "../student-trainer/dist/losses/loss-registry.js";
import { serverConfigSchema } from "../teacher-server/dist/cli/server-config.js";

const FILE = new URL("../docs/configuration.md", import.meta.url);

/** What a field accepts, in words, from its JSON schema. */
function typeOf(json) {
  if (json.enum !== undefined) return json.enum.map((value) => `\`${value}\``).join(" · ");
  if (json.const !== undefined) return `\`${json.const}\``;
  const variants = json.anyOf ?? json.oneOf;
  if (variants !== undefined) {
    return [...new Set(variants.map(typeOf))].filter((type) => type !== "null").join(" or ");
  }
  if (json.type === "array") return `list of ${typeOf(json.items)}`;
  if (json.type !== "object") return json.type === "integer" ? "integer" : (json.type ?? "any");
  const keys = Object.entries(json.properties ?? {});
  return `{${keys.map(([key]) => key).join(", ")}}`;
}

/** The description may stand on any of the wrappers (default, optional, nullable). */
function descriptionOf(schema) {
  for (let current = schema; current !== undefined;) {
    if (current.description !== undefined) return current.description;
    current = current._zod.def.innerType ?? current._zod.def.in;
  }
  return "";
}

function defaultOf(schema, json) {
  if (json.default !== undefined) {
    const shown = json.default === "" ? "" : JSON.stringify(json.default);
    return shown === "" ? "" : `\`${shown.replaceAll('"', "")}\``;
  }
  return schema.safeParse(undefined).success ? "" : "**required**";
}

function cell(text) {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function rowsOf(schema, nameOf) {
  return leafPaths(schema).map((path) => {
    const field = schemaAt(schema, path);
    const json = field.toJSONSchema({ io: "input", unrepresentable: "any" });
    // The help of a program may speak of the machine it runs on; this page is the same everywhere.
    const meaning = descriptionOf(field).replace(/ \(\d+ here\)/, "");
    const cells = [nameOf(path), typeOf(json), defaultOf(field, json), meaning];
    return `| ${cells.map(cell).join(" | ")} |`;
  });
}

const HEAD = "| option | value | default | meaning |\n| --- | --- | --- | --- |";

function trainerTables() {
  const sections = new Map();
  for (const path of leafPaths(runSchema)) {
    sections.set(path[0], [...(sections.get(path[0]) ?? []), path]);
  }
  const rows = rowsOf(runSchema, (path) => `\`${path.join(".")}\``);
  let at = 0;
  return [...sections].map(([section, paths]) => {
    const table = [HEAD, ...rows.slice(at, (at += paths.length))].join("\n");
    return `### ${section}\n\n${table}`;
  });
}

function flagOf([field]) {
  return `\`--${environmentName([field]).toLowerCase().replaceAll("_", "-")}\``;
}

const text = `# Configuration

Written by \`scripts/build-configuration-doc.mjs\` from the schemas.

Both programs take their options from four places, later ones winning: defaults, a YAML or JSON file (\`--config\`), the environment, flags. Unknown keys are
errors and name the nearest known one; keys may be written in camel, kebab or snake case. A file that begins with \`extends: base.yaml\` (a path relative to itself)
only says what differs: groups of options merge, lists and variants are replaced. \`teacher-server --print-config\` prints what came out; a run keeps it
in \`config.resolved.yaml\`.

## teacher-server

The environment twin of \`--max-model-len\` is \`TANDEM_MAX_MODEL_LEN\`; the key in a file is \`max-model-len\`.

${[HEAD, ...rowsOf(serverConfigSchema, flagOf)].join("\n")}

## student-trainer

Values are given in the file, by \`--set optimizer.learningRate=1e-3\`, or in the environment: \`TANDEM_OPTIMIZER_LEARNING_RATE\`.

${trainerTables().join("\n\n")}

The losses are ${LOSS_NAMES.map((name) => `\`${name}\``).join(", ")}; their options stand beside the name and are described in [losses.md](losses.md).
`;
// A loss that is listed can be configured.
for (const name of LOSS_NAMES) configureLoss(name, {}, "losses");

const formatted = await format(text, { ...(await resolveConfig(FILE)), parser: "markdown" });
if (process.argv.includes("--check")) {
  if (readFileSync(FILE, "utf8") !== formatted) {
    console.error(
      "docs/configuration.md is not current; run node scripts/build-configuration-doc.mjs",
    );
    process.exitCode = 1;
  }
} else {
  writeFileSync(FILE, formatted);
}
