import { createHash, timingSafeEqual } from "node:crypto";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Clock } from "@tandem/shared/telemetry/clock.js";
import { Budget } from "./budget.js";
import type { ClientEntry } from "./client-entry.js";
import type { ClientIdentity } from "./identity.js";
import type { Credentials, Principal } from "./principal.js";
import type { Scope } from "./scope.js";

interface KnownClient {
  readonly entry: ClientEntry;
  readonly tokens: readonly Buffer[];
  readonly identity: ClientIdentity;
  readonly scopes: ReadonlySet<Scope>;
  readonly budget: Budget;
}

/** The clients that may call, and who of them somebody is. */
export class ClientDirectory {
  readonly #clock: Clock;
  #clients: readonly KnownClient[] = [];

  constructor(entries: readonly ClientEntry[], clock: Clock) {
    this.#clock = clock;
    this.replace(entries);
  }

  /** Other clients from now on. One that stays keeps what it has used of its quota. */
  replace(entries: readonly ClientEntry[]): void {
    const before = new Map(this.#clients.map((client) => [client.entry.name, client.budget]));
    this.#clients = entries.map((entry) => {
      const budget = before.get(entry.name) ?? new Budget(entry.name, entry.quota, this.#clock);
      budget.setQuota(entry.quota);
      return {
        entry,
        tokens: entry.tokenSha256.map((hash) => Buffer.from(hash, "hex")),
        identity: { name: entry.name, weight: entry.weight },
        scopes: new Set(entry.scopes),
        budget,
      };
    });
  }

  /** A token counts before a certificate: several clients may share a machine.
   * @throws TandemError UNAUTHENTICATED; the message does not say what was nearly right. */
  authenticate({ authorization, certificateNames }: Credentials): Principal {
    const find = () =>
      authorization === undefined
        ? this.#clientOfCertificate(certificateNames)
        : this.#clientOfToken(authorization);
    const client = find();
    if (client === undefined) {
      throw new TandemError(
        "UNAUTHENTICATED",
        authorization === undefined
          ? "no token was sent and no client has this certificate; send `authorization: Bearer TOKEN`"
          : "the token is not known here",
      );
    }
    const { name } = client.entry;
    return { ...client, isCurrent: () => find()?.entry.name === name };
  }

  /** Compares with every token, however early one fits: the time says nothing about them. */
  #clientOfToken(authorization: string): KnownClient | undefined {
    const token = /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? "";
    const hash = createHash("sha256").update(token).digest();
    let found: KnownClient | undefined;
    for (const client of this.#clients) {
      for (const known of client.tokens) if (timingSafeEqual(known, hash)) found = client;
    }
    return found;
  }

  #clientOfCertificate(names: readonly string[]): KnownClient | undefined {
    return this.#clients.find(({ entry }) => names.includes(entry.certificate ?? ""));
  }
}
