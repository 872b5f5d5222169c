// Runs the compiled tests of the named groups (folders of tests/dist) with node:test. A list of files works on every Node, where
// `node --test FOLDER` works on 20 only and a glob on 22 only.
import { availableParallelism } from "node:os";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../tests/dist", import.meta.url));
const groups = process.argv.slice(2);
const files = groups.flatMap((group) =>
  readdirSync(join(dist, group), { recursive: true })
    .filter((file) => file.endsWith(".test.js"))
    .map((file) => join(dist, group, file))
    .sort(),
);
if (files.length === 0) {
  console.error(
    `no tests in ${groups.map((group) => relative(process.cwd(), join(dist, group))).join(", ")}`,
  );
  process.exit(1);
}
const stream = run({ files, concurrency: Math.min(2, availableParallelism()), timeout: 900_000 });
let failed = false;
stream.on("test:fail", () => (failed = true));
stream.on("end", () => (process.exitCode = failed ? 1 : 0));
stream.compose(new spec()).pipe(process.stdout);
