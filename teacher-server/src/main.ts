import { CommanderError } from "commander";
import { loadConfig } from "@tandem/shared/config/load-config.js";
import { printConfig } from "@tandem/shared/config/print-config.js";
import { resolveModel } from "@tandem/shared/checkpoint/resolve-model.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { endWithReader } from "@tandem/shared/telemetry/end-with-reader.js";
import { createLogger, type Logger } from "@tandem/shared/telemetry/logger.js";
import { checkServerConfig } from "./cli/check-server-config.js";
import { withoutPassword } from "./cli/redis-address.js";
import { createProgram, ENVIRONMENT_PREFIX, type CommandLine } from "./cli/create-program.js";
import { serverConfigSchema, type ServerConfig } from "./cli/server-config.js";
import { engineSettings } from "./cli/engine-settings.js";
import { EngineClient } from "./engine/engine-client.js";
import type { RunningServer } from "./server.js";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

/** A fault of the command line, the environment or the configuration file. */
class UsageError extends Error {}

async function run(line: CommandLine): Promise<void> {
  const config = resolveConfig(line);
  if (line.printConfig) {
    process.stdout.write(printConfig(showable(config)));
    return;
  }
  await serve(config);
}

function resolveConfig(line: CommandLine): ServerConfig {
  try {
    const config = loadConfig({
      schema: serverConfigSchema,
      prefix: ENVIRONMENT_PREFIX,
      env: process.env,
      file: line.configFile,
      overrides: line.flags,
    });
    checkServerConfig(config, line.flags);
    return config;
  } catch (error) {
    throw new UsageError(TandemError.from(error).message, { cause: error });
  }
}

/** The configuration as others may see it. */
function showable(config: ServerConfig): ServerConfig {
  return { ...config, storeRedisUrl: withoutPassword(config.storeRedisUrl) };
}

async function serve(config: ServerConfig): Promise<void> {
  const logger = createLogger({
    name: "teacher-server",
    level: config.logLevel,
    format: config.logFormat,
  });
  logger.info({ event: "config.resolved", config: showable(config) }, "configuration");
  const interrupted = new Promise<NodeJS.Signals>((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      // Somebody insists.
      if (asked) process.exit(EXIT_INTERRUPTED);
      asked = true;
      logger.info({ event: "signal", signal }, "shutting down; a second signal ends at once");
      resolve(signal);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
  const started = start(config, logger);
  reloadOnHangup(config, started);
  const first = await Promise.race([started, interrupted]);
  // Interrupted while loading: nobody is served yet.
  if (typeof first === "string") process.exit(first === "SIGINT" ? EXIT_INTERRUPTED : 0);
  process.stdout.write(
    `teacher ready grpc=${first.grpcAddress} http=${first.httpAddress} model=${first.modelName}${precisionOf(first)}\n`,
  );
  logger.info(
    {
      event: "server.ready",
      grpc: first.grpcAddress,
      http: first.httpAddress,
      model: first.modelName,
      dtype: first.dtype,
      ...first.divergence,
    },
    "ready",
  );
  const signal = await interrupted;
  await first.shutdown();
  logger.info({ event: "server.stopped" }, "stopped");
  process.exit(signal === "SIGINT" ? EXIT_INTERRUPTED : 0);
}

/** The engine goes first: to load a model takes longest, and the modules of the server are read meanwhile. */
async function start(config: ServerConfig, logger: Logger): Promise<RunningServer> {
  const modelDir = await resolveModel(config.model);
  const engine = new EngineClient({ settings: engineSettings(config, modelDir), logger });
  engine.start();
  try {
    const { startServer } = await import("./server.js");
    return await startServer(config, { logger, engine });
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** SIGHUP: what daemons are told after a file of theirs was replaced. Without such files it ends the program, as the end of a terminal does. */
function reloadOnHangup(config: ServerConfig, started: Promise<RunningServer>): void {
  if (config.sslCertfile === "" && config.authFile === "") return;
  process.on("SIGHUP", () => {
    started.then(
      (server) => server.reloadCredentials(),
      // Nothing was started.
      () => {},
    );
  });
}

/** Nothing for float32. */
function precisionOf({ dtype, divergence }: RunningServer): string {
  if (divergence === undefined) return "";
  const { meanKl, p99Kl, top1Agreement } = divergence;
  return ` precision=${dtype} mean_kl=${meanKl.toPrecision(3)} p99_kl=${p99Kl.toPrecision(3)} top1_agreement=${top1Agreement.toFixed(3)}`;
}

endWithReader();
try {
  await createProgram(run).parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Prints what went wrong and says with which code to exit. */
function report(error: unknown): number {
  // commander has printed its own message, help and version included.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof UsageError) {
    process.stderr.write(`teacher-server: ${error.message}\n`);
    return EXIT_USAGE;
  }
  const failure = TandemError.from(error);
  process.stderr.write(`teacher-server: ${failure.code}: ${failure.message}\n`);
  if (failure.code === "INTERNAL") process.stderr.write(`${failure.stack}\n`);
  return EXIT_FAILED;
}
