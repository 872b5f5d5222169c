import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { unreachable } from "@tandem/shared/errors/invariant.js";
import type { Logger } from "@tandem/shared/telemetry/logger.js";
import { fromEngineFailure } from "./engine-failure.js";
import type { EngineDescription, EngineSettings, FromEngine, ToEngine } from "./engine-messages.js";
import type { EngineStep, EngineStepResult } from "../scheduler/engine-step.js";

export interface EngineClientOptions {
  readonly settings: EngineSettings;
  readonly logger: Logger;
}

export interface EngineListener {
  /** The engine is there (again) and has computed its first step. */
  readonly onUp: (description: EngineDescription) => void;
  /** The engine process is gone; everything it was computing is lost. Steps pending here are rejected after this call. */
  readonly onDown: (error: TandemError) => void;
}

interface PendingStep {
  readonly id: number;
  readonly resolve: (result: EngineStepResult) => void;
  readonly reject: (error: TandemError) => void;
}

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 10_000;

/** The engine process seen from the gRPC process: starts it (before the rest of the server is there: loading takes longest), hands it steps one at a time, starts it again with growing pauses when it dies.
 * `run()` of a native session blocks its thread and an abort takes its process along: hence a process of its own. */
export class EngineClient {
  readonly #options: EngineClientOptions;
  readonly #firstDescription: Promise<EngineDescription>;
  #firstLoad:
    | {
        readonly resolve: (d: EngineDescription) => void;
        readonly reject: (e: TandemError) => void;
      }
    | undefined;
  #listener: EngineListener | undefined;
  #child: ChildProcess | undefined;
  #pending: PendingStep | undefined;
  #nextStepId = 1;
  #backoffMs = FIRST_BACKOFF_MS;
  #restartTimer: NodeJS.Timeout | undefined;
  #closing = false;
  #up = false;
  #restarts = 0;
  #description: EngineDescription | undefined;

  constructor(options: EngineClientOptions) {
    this.#options = options;
    this.#firstDescription = new Promise((resolve, reject) => {
      this.#firstLoad = { resolve, reject };
    });
    // A failure is for whoever attaches; it may come before.
    this.#firstDescription.catch(() => {});
  }

  get up(): boolean {
    return this.#up;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts the process, which begins to load the model. */
  start(): void {
    this.#spawn();
  }

  /** From now on the listener hears of the engine, at once if it is up already; resolves when the model has been loaded.
   * @throws TandemError of the engine when this first load fails; later losses are repaired by restarts. */
  attach(listener: EngineListener): Promise<EngineDescription> {
    this.#listener = listener;
    if (this.#up) listener.onUp(this.#description as EngineDescription);
    return this.#firstDescription;
  }

  /** Computes one step.
   * @throws TandemError UNAVAILABLE when the engine is gone or goes meanwhile, the engine's own error when the step is refused. */
  run(step: EngineStep): Promise<EngineStepResult> {
    if (!this.#up) return Promise.reject(engineGone("the engine is restarting"));
    if (this.#pending !== undefined)
      return Promise.reject(new TandemError("INTERNAL", "a step is being computed already"));
    return new Promise((resolve, reject) => {
      this.#pending = { id: this.#nextStepId++, resolve, reject };
      this.#send({ kind: "step", id: this.#pending.id, step });
    });
  }

  /** Ends the process; a step in flight is rejected. */
  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#restartTimer);
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    this.#send({ kind: "close" });
    // A native run cannot be interrupted and nobody waits for its result any more; while it loads there is nothing yet to be closed.
    const killer = setTimeout(() => child.kill("SIGKILL"), this.#up ? 2000 : 0);
    await gone;
    clearTimeout(killer);
  }

  #spawn(): void {
    const entry = fileURLToPath(new URL("./process/main.js", import.meta.url));
    const child = fork(entry, [], {
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child = child;
    child.on("message", (message) => this.#receive(message as FromEngine));
    child.on("error", (error) =>
      this.#options.logger.error({ event: "engine.error", err: error }, "engine process error"),
    );
    child.on("exit", (code, signal) => this.#lost(signal ?? `exit code ${code}`));
    this.#options.logger.info(
      { event: "engine.started", engine: child.pid },
      "engine process started",
    );
    const known = this.#description?.weights;
    const settings = { ...this.#options.settings, ...(known && { known }) };
    this.#send({ kind: "load", settings });
  }

  #send(message: ToEngine): void {
    // A send that fails means that the process is going; its exit event settles everything.
    this.#child?.send(message, (error) => {
      if (error !== null)
        this.#options.logger.debug(
          { event: "engine.send_failed", err: error },
          "message to the engine failed",
        );
    });
  }

  #receive(message: FromEngine): void {
    switch (message.kind) {
      case "loaded":
        return this.#loaded(message.description);
      case "load-failed":
        return this.#loadFailed(fromEngineFailure(message.failure));
      case "stepped":
        return this.#settle(message.id)?.resolve(message.result);
      case "step-failed":
        return this.#settle(message.id)?.reject(fromEngineFailure(message.failure));
      default:
        return unreachable(message);
    }
  }

  #loaded(description: EngineDescription): void {
    this.#up = true;
    this.#description = description;
    this.#backoffMs = FIRST_BACKOFF_MS;
    this.#options.logger.info(
      { event: "engine.ready", engine: description.pid, loadMs: Math.round(description.loadMs) },
      "engine ready",
    );
    this.#listener?.onUp(description);
    this.#firstLoad?.resolve(description);
    this.#firstLoad = undefined;
  }

  #loadFailed(error: TandemError): void {
    this.#options.logger.error({ event: "engine.load_failed", code: error.code }, error.message);
    if (this.#firstLoad === undefined) return;
    this.#closing = true;
    this.#firstLoad.reject(error);
    this.#firstLoad = undefined;
  }

  #settle(id: number): PendingStep | undefined {
    const pending = this.#pending;
    if (pending?.id !== id) return undefined;
    this.#pending = undefined;
    return pending;
  }

  #lost(reason: string): void {
    const wasUp = this.#up;
    this.#up = false;
    const pending = this.#pending;
    this.#pending = undefined;
    const error = engineGone(
      this.#closing
        ? "the server is shutting down"
        : `the engine process was lost (${reason}) and restarts`,
    );
    if (this.#firstLoad !== undefined) {
      this.#closing = true;
      this.#firstLoad.reject(
        new TandemError(
          "INTERNAL",
          `the engine process died while loading the model (${reason}); is there enough memory?`,
        ),
      );
      this.#firstLoad = undefined;
    }
    if (wasUp) this.#listener?.onDown(error);
    pending?.reject(error);
    if (!this.#closing) this.#restartLater(reason);
  }

  #restartLater(reason: string): void {
    const delayMs = this.#backoffMs;
    this.#backoffMs = Math.min(LONGEST_BACKOFF_MS, delayMs * 2);
    this.#restarts++;
    this.#options.logger.error(
      { event: "engine.lost", reason, delayMs },
      "engine process lost; restarting",
    );
    this.#restartTimer = setTimeout(() => this.#spawn(), delayMs);
  }
}

function engineGone(what: string): TandemError {
  return new TandemError("UNAVAILABLE", `${what}; send the item again`, { retryDelayMs: 500 });
}
