// Lints the contract and writes its TypeScript types (proto/src/gen). With --check nothing is written: stale types, lint findings and
// changes that break the wire contract of the last release tag (or of HEAD) fail.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (name) => join(root, "node_modules", ".bin", name);
const run = (command, args, cwd = root) => execFileSync(command, args, { cwd, stdio: "inherit" });
const check = process.argv.includes("--check");

function generate(outDir) {
  run(bin("proto-loader-gen-types"), [
    "--longs=Number",
    "--enums=String",
    "--defaults",
    "--oneofs",
    "--includeComments",
    "--grpcLib=@grpc/grpc-js",
    "--importFileExtension=.js",
    "--includeDirs=proto",
    `--outDir=${relative(root, outDir)}`,
    "tandem/v1/teacher.proto",
  ]);
}

function files(dir) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)))
    .sort();
}

run(bin("buf"), ["lint"], join(root, "proto"));
const committed = join(root, "proto", "src", "gen");
if (!check) {
  rmSync(committed, { recursive: true, force: true });
  generate(committed);
} else {
  const fresh = mkdtempSync(join(tmpdir(), "tandem-proto-"));
  try {
    generate(fresh);
    const stale = new Set([...files(fresh), ...files(committed)]);
    for (const file of files(fresh)) {
      const same = files(committed).includes(file);
      if (
        same &&
        readFileSync(join(fresh, file), "utf8") === readFileSync(join(committed, file), "utf8")
      )
        stale.delete(file);
    }
    if (stale.size > 0) {
      console.error(`proto/src/gen is stale (run npm run proto): ${[...stale].join(", ")}`);
      process.exit(1);
    }
    breakingCheck(fresh);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Against the newest release tag, or HEAD before the first release. */
function breakingCheck(scratch) {
  const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8" });
  const tag = git("tag", "--list", "v*", "--sort=-v:refname").split("\n")[0];
  const base = tag === "" ? "HEAD" : tag;
  const before = join(scratch, "before");
  for (const file of git("ls-tree", "-r", "--name-only", base, "--", "proto/tandem").split("\n")) {
    if (file === "") continue;
    const target = join(before, relative("proto", file));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, git("show", `${base}:${file}`));
  }
  run(bin("buf"), ["breaking", "--against", before], join(root, "proto"));
}
