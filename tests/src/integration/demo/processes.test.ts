import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";

const processes = new URL("../../../../scripts/demo/processes.mjs", import.meta.url).href;

/** A stand-in for the demo: starts a child that lives for ever, says so, and does what `rest` says. */
const parent = (rest: string) => `
  import { endAll, guardProcesses, Interrupted, runNode, startNode } from ${JSON.stringify(processes)};
  guardProcesses();
  try {
    await startNode(["-e", "console.log('ready'); setInterval(() => {}, 1000)"], /^ready$/);
    console.log("started");
    ${rest}
  } catch (error) {
    process.exitCode = error instanceof Interrupted ? 130 : 1;
  } finally {
    await endAll();
  }`;

const FOREVER = `await runNode(["-e", "setInterval(() => {}, 1000)"]);`;

async function start(rest: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", parent(rest)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stderr.resume();
  await once(createInterface({ input: child.stdout }), "line");
  return child;
}

/** The exit code, once the process and everything that it started are gone: children hold its standard error, and Node tells of the close
 * only when nobody does. */
async function end(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, "close")) as [number | null];
  return code;
}

describe("the demo's processes", { timeout: 60_000 }, () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it(`end with it on ${signal}, exit code 130`, async () => {
      const demo = await start(FOREVER);
      // A moment for the second child, so that the signal finds one in the foreground too.
      await new Promise((resolve) => setTimeout(resolve, 200));
      demo.kill(signal);
      assert.equal(await end(demo), 130);
    });
  }

  it("end with it when it is done", async () => {
    assert.equal(await end(await start("")), 0);
  });

  it("end with it when a command fails", async () => {
    assert.equal(await end(await start(`await runNode(["-e", "process.exit(3)"]);`)), 1);
  });

  it("end with it when it exits without asking them", async () => {
    assert.equal(await end(await start("process.exit(5);")), 5);
  });
});
