import { readFileSync } from "node:fs";

import {
  credentials,
  InterceptingCall,
  type ChannelCredentials,
  type ClientOptions,
  type Interceptor,
} from "@grpc/grpc-js";
import { isLoopback } from "@tandem/shared/config/is-loopback.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** How the teacher is known to be the teacher. All files are PEM. */
export interface TeacherTls {
  /** Who may have signed the teacher's certificate; default: the authorities Node comes with. */
  readonly caFile?: string | undefined;
  /** The student's own certificate and key, for a teacher that asks for them. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The name in the teacher's certificate where it is not the one in the address. */
  readonly serverName?: string | undefined;
}

/** How student and teacher know each other. Nothing of it: plain text, and nobody asks who calls. */
export interface TeacherSecurity {
  /** Present: TLS. */
  readonly tls?: TeacherTls | undefined;
  /** The secret itself, from the environment. */
  readonly token?: string | undefined;
  /** A file that holds the secret; read again for every call, so that it can be replaced. */
  readonly tokenFile?: string | undefined;
  /** Send the secret in plain text to another machine. */
  readonly allowInsecure?: boolean | undefined;
}

/** What a gRPC client is made with. */
export interface ChannelSecurity {
  readonly credentials: ChannelCredentials;
  readonly options: ClientOptions;
}

/** Reads the files of the configuration.
 * @throws TandemError NOT_FOUND for a file that cannot be read, INVALID_ARGUMENT for files that do not fit together, FAILED_PRECONDITION
 * when a secret would travel in plain text. */
export function createChannelSecurity(
  security: TeacherSecurity,
  addresses: readonly string[],
): ChannelSecurity {
  const { tls, token, tokenFile } = security;
  const secret = token !== undefined || tokenFile !== undefined;
  if (secret && tls === undefined && security.allowInsecure !== true) assertLocal(addresses);
  if (tokenFile !== undefined) readToken(tokenFile);
  const interceptors = secret ? [withToken(() => token ?? readToken(tokenFile as string))] : [];
  if (tls === undefined)
    return { credentials: credentials.createInsecure(), options: { interceptors } };
  const name = tls.serverName;
  return {
    credentials: toCredentials(tls),
    options: {
      interceptors,
      ...(name !== undefined && {
        "grpc.ssl_target_name_override": name,
        "grpc.default_authority": name,
      }),
    },
  };
}

function toCredentials({ caFile, certFile, keyFile }: TeacherTls): ChannelCredentials {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "teacher.tls.certFile and teacher.tls.keyFile belong together",
      { field: "teacher.tls.certFile" },
    );
  }
  const pem = (file: string | undefined, field: string) =>
    file === undefined ? null : readFile(file, `teacher.tls.${field}`);
  try {
    return credentials.createSsl(
      pem(caFile, "caFile"),
      pem(keyFile, "keyFile"),
      pem(certFile, "certFile"),
    );
  } catch (cause) {
    if (cause instanceof TandemError) throw cause;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `teacher.tls: the files do not make a TLS client: ${(cause as Error).message}`,
      { field: "teacher.tls", cause },
    );
  }
}

function assertLocal(addresses: readonly string[]): void {
  const remote = addresses.find((address) => !isLoopback(hostOf(address)));
  if (remote === undefined) return;
  throw new TandemError(
    "FAILED_PRECONDITION",
    `the token would travel to ${remote} in plain text: set teacher.tls, or teacher.allowInsecure where the network itself is trusted`,
    { field: "teacher.tls" },
  );
}

/** `host` of `host:port`, `dns:///host:port`, `[::1]:50051`. */
function hostOf(address: string): string {
  return address.replace(/^[a-z0-9]+:\/\/[^/]*\//i, "").replace(/:\d+$/, "");
}

function withToken(secret: () => string): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, listener, next) => {
        metadata.set("authorization", `Bearer ${secret()}`);
        next(metadata, listener);
      },
    });
}

function readToken(file: string): string {
  const token = readFile(file, "teacher.tokenFile").toString("utf8").trim();
  if (token !== "") return token;
  throw new TandemError("INVALID_ARGUMENT", `${file} is empty; a token is needed`, {
    field: "teacher.tokenFile",
  });
}

function readFile(file: string, field: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new TandemError("NOT_FOUND", `cannot read ${field}: ${(cause as Error).message}`, {
      field,
      cause,
    });
  }
}
