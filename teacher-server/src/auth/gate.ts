import { createHash } from "node:crypto";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Clock } from "@tandem/shared/telemetry/clock.js";
import type { Logger } from "@tandem/shared/telemetry/logger.js";
import { Budget } from "./budget.js";
import { ClientDirectory } from "./client-directory.js";
import { readClientEntries, type ClientEntry } from "./client-entry.js";
import { anonymousIdentity } from "./identity.js";
import type { Credentials, Principal } from "./principal.js";
import { NO_QUOTA } from "./quota.js";
import { SCOPES, TRAINER_SCOPES, type Scope } from "./scope.js";
import { WatchedFiles } from "./watched-files.js";

export interface GateOptions {
  /** The file of clients; absent: none. */
  readonly file?: string | undefined;
  /** One more client's token, from the environment. */
  readonly token?: string | undefined;
  readonly reloadMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Somebody may have lost what they were let in with. */
  readonly onChange: () => void;
}

const ALL_SCOPES: ReadonlySet<Scope> = new Set(SCOPES);

/** Lets callers in. Without clients everybody is let in, under the name of their certificate or their host. */
export class Gate {
  readonly #options: GateOptions;
  readonly #directory: ClientDirectory | undefined;
  readonly #watched: WatchedFiles | undefined;

  /** @throws TandemError as `readClientEntries`. */
  constructor(options: GateOptions) {
    this.#options = options;
    const { file, token, reloadMs, clock } = options;
    if (file === undefined && token === undefined) return;
    this.#directory = new ClientDirectory(this.#entries(), clock);
    if (file === undefined) return;
    this.#watched = new WatchedFiles({
      paths: [file],
      intervalMs: reloadMs,
      onChange: () => this.#reload(),
    });
  }

  /** Whether callers must say who they are. */
  get closed(): boolean {
    return this.#directory !== undefined;
  }

  /** @throws TandemError UNAUTHENTICATED, PERMISSION_DENIED. */
  enter(credentials: Credentials, scope: Scope): Principal {
    const principal = this.#directory?.authenticate(credentials) ?? this.#anyone(credentials);
    if (principal.scopes.has(scope)) return principal;
    throw new TandemError(
      "PERMISSION_DENIED",
      `client ${principal.identity.name} lacks the scope ${scope}; it has ${[...principal.scopes].join(", ") || "none"}`,
      { field: "scopes" },
    );
  }

  /** Reads the file of clients now, if there is one. */
  reload(): void {
    this.#watched?.takeForChanged();
  }

  close(): void {
    this.#watched?.close();
  }

  #anyone({ peer, certificateNames }: Credentials): Principal {
    const [name] = certificateNames;
    const identity =
      name === undefined ? anonymousIdentity(peer) : { name: `certificate:${name}`, weight: 1 };
    const budget = new Budget(identity.name, NO_QUOTA, this.#options.clock);
    return { identity, scopes: ALL_SCOPES, budget, isCurrent: () => true };
  }

  #entries(): readonly ClientEntry[] {
    const { file, token } = this.#options;
    const listed = file === undefined ? [] : readClientEntries(file);
    return token === undefined ? listed : [...listed, entryOfToken(token)];
  }

  #reload(): void {
    const { logger, onChange } = this.#options;
    try {
      const entries = this.#entries();
      this.#directory?.replace(entries);
      logger.info(
        { event: "auth.reloaded", clients: entries.length },
        "the clients were read again",
      );
    } catch (caught) {
      const error = TandemError.from(caught);
      logger.error(
        { event: "auth.reload_failed", code: error.code },
        `the clients stay as they were: ${error.message}`,
      );
      return;
    }
    onChange();
  }
}

/** The client of a token that comes without a file. */
function entryOfToken(token: string): ClientEntry {
  return {
    name: "environment",
    tokenSha256: [createHash("sha256").update(token).digest("hex")],
    scopes: [...TRAINER_SCOPES, "metrics"],
    weight: 1,
    quota: {},
  };
}
