// Compiles the codec's inner loops (shared/assembly/compact, AssemblyScript) to WebAssembly and writes it as a TypeScript file, so that nothing is
// compiled or read at run time. With --check nothing is written: a stale file fails.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { main as compile } from "assemblyscript/asc";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = "shared/assembly/compact/index.ts";
const target = "shared/src/wire/compact/gen/kernel-module.ts";
const BASE64_LINE = 96;

async function compiled() {
  let wasm;
  const options = ["-O3", "--runtime", "stub", "--noAssert", "--enable", "simd"];
  // vectors pass between functions of the module only, whatever the warning says
  const quiet = ["--disableWarning", "112"];
  const { error } = await compile(
    [source, "--baseDir", root, "--outFile", "kernels.wasm", ...options, ...quiet],
    { stderr: process.stderr, writeFile: (_, contents) => (wasm = contents) },
  );
  if (error !== null || wasm === undefined) {
    throw new Error(`${source} does not compile`, { cause: error });
  }
  return Buffer.from(wasm);
}

const lines = (await compiled()).toString("base64").match(new RegExp(`.{1,${BASE64_LINE}}`, "g"));
const module = `/** Made from ${dirname(source)} by scripts/build-kernels.mjs; do not edit. Base64. */
export const KERNEL_MODULE = \`
${lines.join("\n")}
\`;
`;
const file = join(root, target);
if (!process.argv.includes("--check")) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, module);
} else if (readFileSync(file, "utf8") !== module) {
  console.error(`${target} is stale (run npm run kernels)`);
  process.exit(1);
}
