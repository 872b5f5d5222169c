import type { Budget } from "./budget.js";
import type { ClientIdentity } from "./identity.js";
import type { Scope } from "./scope.js";

/** A caller whose credentials were checked. */
export interface Principal {
  readonly identity: ClientIdentity;
  readonly scopes: ReadonlySet<Scope>;
  readonly budget: Budget;
  /** What it showed: false once that is no longer good. */
  readonly isCurrent: () => boolean;
}

/** What a caller shows. */
export interface Credentials {
  /** `host:port` the call came from. */
  readonly peer: string;
  /** The value of `authorization`, if there is one. */
  readonly authorization: string | undefined;
  /** Names in its verified TLS certificate: DNS names, then the common name. */
  readonly certificateNames: readonly string[];
}
