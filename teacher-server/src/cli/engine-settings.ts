import { availableParallelism } from "node:os";
import { defaultCacheDir } from "../engine/default-cache-dir.js";
import type { EngineSettings } from "../engine/engine-messages.js";
import type { ServerConfig } from "./server-config.js";

/** What the engine is told of the configuration. */
export function engineSettings(config: ServerConfig, modelDir: string): EngineSettings {
  return {
    modelDir,
    quantization: config.quantization,
    cacheDir: config.cacheDir === "" ? defaultCacheDir(process.env) : config.cacheDir,
    maxModelLen: config.maxModelLen,
    kvCacheBytes: config.kvCacheMemoryBytes,
    spin: config.spin,
    threads: config.threads === 0 ? availableParallelism() : config.threads,
  };
}
