import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { credentials, type ChannelCredentials } from "@grpc/grpc-js";
import { loadTeacherProto } from "@tandem/proto/load-teacher-proto.js";
import type { TeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import type { MemoryGroup } from "./memory-group.js";

/** Not the user's; goes when the tests of the file have ended. */
const CACHE_DIR = mkdtempSync(join(tmpdir(), "tandem-cache-"));
process.once("exit", () => rmSync(CACHE_DIR, { recursive: true, force: true }));
const environment = { ...process.env, TANDEM_CACHE_DIR: CACHE_DIR };

const BIN = fileURLToPath(
  new URL("../../../teacher-server/bin/teacher-server.mjs", import.meta.url),
);

/** The committed tiny models of tests/fixtures/models. */
export function fixtureModel(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/models/${name}`, import.meta.url));
}

export interface LiveServerOptions {
  /** A Hugging Face directory. */
  readonly model: string;
  /** Further flags. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Of `client`; plain text by default. */
  readonly credentials?: ChannelCredentials;
  /** In which it and its engine run. */
  readonly group?: MemoryGroup;
}

export interface LiveServer {
  readonly process: ChildProcess;
  readonly grpcAddress: string;
  readonly httpAddress: string;
  readonly client: TeacherClient;
  /** What it wrote when it was ready. */
  readonly readyLine: string;
  /** Log records so far. */
  readonly logs: readonly Readonly<Record<string, unknown>>[];
  /** The process that holds the model now, as the log says. */
  readonly enginePid: () => number;
  /** Resolves with the exit code (null when killed by a signal). */
  readonly exited: Promise<number | null>;
  /** SIGTERM, and SIGKILL when that does not help; resolves with the exit code. */
  readonly stop: () => Promise<number | null>;
}

/** Starts the real `teacher-server` program on free ports and waits for its ready line. Fails with what it wrote when it exits before. */
export async function startLiveServer(options: LiveServerOptions): Promise<LiveServer> {
  const args = [
    "--model",
    options.model,
    "--port",
    "0",
    "--http-port",
    "0",
    "--threads",
    "1",
    "--log-format",
    "json",
    // Who asks twice wants to see it computed twice; tests of the store say otherwise.
    "--store-memory-bytes",
    "0",
    ...(options.args ?? []),
  ];
  const line = [process.execPath, BIN, ...args];
  const [command = "", ...rest] = options.group?.wrap(line) ?? line;
  const child = spawn(command, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...environment, ...options.env },
  });
  const exited = new Promise<number | null>((resolve) =>
    child.once("exit", (code) => resolve(code)),
  );
  const logs: Record<string, unknown>[] = [];
  let stderr = "";
  onLines(child.stderr, (line) => {
    stderr += `${line}\n`;
    if (line.startsWith("{")) logs.push(JSON.parse(line) as Record<string, unknown>);
  });
  const ready = new Promise<RegExpMatchArray>((resolve) =>
    onLines(child.stdout, (line) => {
      const match = line.match(/^teacher ready grpc=(\S+) http=(\S+) model=(\S+).*$/);
      if (match !== null) resolve(match);
    }),
  );
  const first = await Promise.race([ready, exited]);
  if (first === null || typeof first === "number")
    throw new Error(`teacher-server exited with ${first}:\n${stderr}`);
  const [, grpcAddress, httpAddress] = first as unknown as [string, string, string];
  const client = new (loadTeacherProto().Teacher)(
    grpcAddress,
    options.credentials ?? credentials.createInsecure(),
  );
  return {
    process: child,
    readyLine: first[0],
    grpcAddress,
    httpAddress,
    client,
    logs,
    enginePid: () => logs.findLast(({ event }) => event === "engine.started")?.engine as number,
    exited,
    stop: async () => {
      client.close();
      child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      const code = await exited;
      clearTimeout(killer);
      return code;
    },
  };
}

export interface ServerEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `teacher-server` to its end, for command lines that do not serve. */
export function runTeacherServer(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ServerEnd> {
  return spawnTeacherServer(args, env).ended;
}

/** Starts `teacher-server` without waiting for anything. */
export function spawnTeacherServer(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): {
  readonly ended: Promise<ServerEnd>;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** What it has written to stderr. */
  readonly stderr: () => string;
} {
  const child = spawn(process.execPath, [BIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...environment, ...env },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<ServerEnd>((resolve) =>
    child.once("close", (code) => resolve({ code, stdout, stderr })),
  );
  return { ended, kill: (signal) => child.kill(signal), stderr: () => stderr };
}

function onLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = "";
  stream.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
}
