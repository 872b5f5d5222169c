import { ServerInterceptingCall, type Metadata, type ServerInterceptor } from "@grpc/grpc-js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Gate } from "../auth/gate.js";
import type { Credentials, Principal } from "../auth/principal.js";
import { scopeOf } from "../auth/scope.js";
import { toStatus } from "./to-status.js";

export interface AuthenticateOptions {
  readonly gate: Gate;
  /** Health checks are answered without credentials: Kubernetes' own probes can show none. */
  readonly exemptHealth: boolean;
  readonly onRefused: (path: string, peer: string, error: TandemError) => void;
}

const principals = new WeakMap<Metadata, Principal>();

/** Who makes a call: what the interceptor found out. `metadata` is the call's own. */
export function principalOf(metadata: Metadata): Principal {
  const principal = principals.get(metadata);
  if (principal !== undefined) return principal;
  throw new TandemError("INTERNAL", "a call reached its handler without having passed the gate");
}

/** Asks every call, of every service, who makes it, before its handler hears of it. */
export function createAuthenticator(options: AuthenticateOptions): ServerInterceptor {
  const { gate, exemptHealth, onRefused } = options;
  return (method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            if (exemptHealth && method.path.startsWith("/grpc.health.v1.")) return pass(metadata);
            try {
              const names = certificateNames(call.getAuthContext().sslPeerCertificate);
              principals.set(
                metadata,
                gate.enter(toCredentials(metadata, call.getPeer(), names), scopeOf(method.path)),
              );
            } catch (caught) {
              const error = TandemError.from(caught);
              onRefused(method.path, call.getPeer(), error);
              call.sendStatus(toStatus(error));
              return;
            }
            pass(metadata);
          },
        }),
    });
}

function toCredentials(metadata: Metadata, peer: string, names: readonly string[]): Credentials {
  const [authorization] = metadata.get("authorization");
  return {
    peer,
    authorization: authorization?.toString(),
    certificateNames: names,
  };
}

interface CertificateNames {
  readonly subject?: { readonly CN?: string | string[] };
  /** `DNS:a.example, IP Address:10.0.0.1`. */
  readonly subjectaltname?: string | undefined;
}

function certificateNames(certificate: CertificateNames | undefined): readonly string[] {
  if (certificate === undefined) return [];
  const alternatives = (certificate.subjectaltname ?? "")
    .split(/, */)
    .flatMap((name) => /^DNS:(.+)$/.exec(name)?.[1] ?? []);
  return [...alternatives, ...[certificate.subject?.CN ?? []].flat()];
}
