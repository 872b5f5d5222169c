/** What a client may be allowed. `admin` is every call that no other scope names. */
export const SCOPES = ["describe", "score", "interleave", "generate", "metrics", "admin"] as const;

export type Scope = (typeof SCOPES)[number];

/** What a client gets that names no scopes: everything a trainer needs. */
export const TRAINER_SCOPES: readonly Scope[] = ["describe", "score", "interleave", "generate"];

const SCOPE_OF_SERVICE: readonly (readonly [prefix: string, scope: Scope])[] = [
  ["/tandem.v1.Teacher/Describe", "describe"],
  ["/tandem.v1.Teacher/Score", "score"],
  ["/tandem.v1.Teacher/Interleave", "interleave"],
  ["/tandem.v1.Teacher/Generate", "generate"],
  ["/grpc.health.v1.", "describe"],
  ["/grpc.reflection.", "describe"],
];

/** What a gRPC path (`/package.Service/Method`) needs. */
export function scopeOf(path: string): Scope {
  return SCOPE_OF_SERVICE.find(([prefix]) => path.startsWith(prefix))?.[1] ?? "admin";
}
