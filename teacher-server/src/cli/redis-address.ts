import { isLoopback } from "@tandem/shared/config/is-loopback.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

const FIELD = "store-redis-url";

export interface RedisExposure {
  /** Empty: none. */
  readonly url: string;
  readonly onCommandLine: boolean;
  readonly allowInsecure: boolean;
}

/** Refuses an address that gives a secret away: on the command line, where every user of the machine sees it, or in plain text to another machine.
 * @throws TandemError INVALID_ARGUMENT, FAILED_PRECONDITION. */
export function assertRedisAddress({ url, onCommandLine, allowInsecure }: RedisExposure): void {
  if (url === "") return;
  const address = URL.canParse(url) ? new URL(url) : undefined;
  if (address === undefined || !["redis:", "rediss:"].includes(address.protocol)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "--store-redis-url is no redis://host:port or rediss://host:port; signs like / and @ in a password are written as %2F and %40",
      { field: FIELD },
    );
  }
  if (onCommandLine && isSecret(address)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "--store-redis-url has a password, which every user of this machine can read there: put it into TANDEM_STORE_REDIS_URL or the file of --config",
      { field: FIELD },
    );
  }
  if (address.protocol === "rediss:" || allowInsecure || isLoopback(address.hostname)) return;
  throw new TandemError(
    "FAILED_PRECONDITION",
    `signals would travel to ${address.host} in plain text, and whoever is in between could change them: use rediss://, or say --allow-insecure on where the network itself is trusted`,
    { field: FIELD },
  );
}

/** The address as others may see it. */
export function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return url;
  const address = new URL(url);
  if (!isSecret(address)) return url;
  if (address.password !== "") address.password = "***";
  address.searchParams.delete("password");
  return address.href;
}

function isSecret({ password, searchParams }: URL): boolean {
  return password !== "" || searchParams.has("password");
}
