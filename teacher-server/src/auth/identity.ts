/** Whom a call belongs to, as fairness, quotas and the audit log see it. One client may have many calls open. */
export interface ClientIdentity {
  /** The client's name in the file of clients; without credentials `peer:` and the host it calls from. */
  readonly name: string;
  /** Share of the engine when several clients compete for it, relative to theirs; > 0. */
  readonly weight: number;
}

/** The identity of a caller who shows no credentials, on a server that asks for none. `peer` is `host:port` as gRPC names it. */
export function anonymousIdentity(peer: string): ClientIdentity {
  return { name: `peer:${peer.replace(/:\d+$/, "")}`, weight: 1 };
}

export function isAnonymous({ name }: ClientIdentity): boolean {
  return name.startsWith("peer:");
}
