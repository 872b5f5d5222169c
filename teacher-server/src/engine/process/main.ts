/** Entry of the engine process: loads a model when told to, computes one step after another, ends when its parent does. */
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { unreachable } from "@tandem/shared/errors/invariant.js";
import { toEngineFailure } from "../engine-failure.js";
import type { EngineSettings, FromEngine, ToEngine } from "../engine-messages.js";
import type { EngineStep } from "../../scheduler/engine-step.js";
import { goFirst } from "./go-first.js";
import { loadModel, type LoadedModel } from "./loaded-model.js";

if (process.send === undefined) {
  throw new TandemError(
    "FAILED_PRECONDITION",
    "this is the engine process of teacher-server; start teacher-server instead",
  );
}

goFirst();

let model: LoadedModel | undefined;

function reply(message: FromEngine): void {
  process.send?.(message);
}

async function load(settings: EngineSettings): Promise<void> {
  try {
    model = await loadModel(settings);
    reply({ kind: "loaded", description: model.description });
  } catch (caught) {
    // The parent decides whether that is the end; without a model there is nothing left to do here.
    process.send?.(
      { kind: "load-failed", failure: toEngineFailure(caught) } satisfies FromEngine,
      () => process.exit(1),
    );
  }
}

async function compute(id: number, step: EngineStep): Promise<void> {
  try {
    if (model === undefined)
      throw new TandemError("FAILED_PRECONDITION", "a step arrived before the model was loaded");
    reply({ kind: "stepped", id, result: await model.run(step) });
  } catch (caught) {
    reply({ kind: "step-failed", id, failure: toEngineFailure(caught) });
  }
}

async function receive(message: ToEngine): Promise<void> {
  switch (message.kind) {
    case "load":
      return load(message.settings);
    case "step":
      return compute(message.id, message.step);
    case "close":
      await model?.close();
      return process.exit(0);
    default:
      return unreachable(message);
  }
}

process.on("message", (message) => void receive(message as ToEngine));
// A terminal's Ctrl-C and its end reach the whole process group; when this process ends is the server's decision.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
process.on("SIGHUP", () => {});
process.on("disconnect", () => process.exit(0));
