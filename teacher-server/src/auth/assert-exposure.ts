import { isLoopback } from "@tandem/shared/config/is-loopback.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

export interface Exposure {
  readonly host: string;
  readonly tls: boolean;
  readonly allowInsecure: boolean;
}

/** Plain text leaves this machine only where somebody said so.
 * @throws TandemError FAILED_PRECONDITION. */
export function assertExposure({ host, tls, allowInsecure }: Exposure): void {
  if (tls || allowInsecure || isLoopback(host)) return;
  throw new TandemError(
    "FAILED_PRECONDITION",
    `--host ${host} is reached from other machines, and there is no certificate: give --ssl-certfile and --ssl-keyfile, or say --allow-insecure on where the network itself is trusted`,
    { field: "host" },
  );
}
