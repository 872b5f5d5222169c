import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { assertExposure } from "../auth/assert-exposure.js";
import { assertRedisAddress } from "./redis-address.js";
import type { ServerConfig } from "./server-config.js";

/** Refuses combinations of options that cannot work, before anything is loaded. `flags`: those that stood on the command line.
 * @throws TandemError with the reason. */
export function checkServerConfig(
  config: ServerConfig,
  flags: Readonly<Record<string, unknown>>,
): void {
  const { host, allowInsecure, sslCertfile, sslKeyfile, sslCaCerts } = config;
  if ((sslCertfile === "") !== (sslKeyfile === "") || (sslCaCerts !== "" && sslCertfile === "")) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "--ssl-certfile and --ssl-keyfile belong together, and --ssl-ca-certs needs both",
      { field: "ssl-certfile" },
    );
  }
  if (config.dtype === "f16" || config.dtype === "bf16") {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `--dtype ${config.dtype}: on the CPU onnxruntime has no ${config.dtype} products; use --dtype f32 (weights may be stored as ${config.dtype}), --quantization int8 for speed or int4 for memory`,
      { field: "dtype" },
    );
  }
  assertExposure({ host, tls: sslCertfile !== "", allowInsecure });
  assertRedisAddress({
    url: config.storeRedisUrl,
    onCommandLine: flags["storeRedisUrl"] !== undefined,
    allowInsecure,
  });
}
