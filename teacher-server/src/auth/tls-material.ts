import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** Where the server's certificate lies. All files are PEM. */
export interface TlsFiles {
  /** The certificate, followed by its intermediates. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Who may sign the certificates of clients. Given: a client without such a certificate is refused (mTLS). */
  readonly caFile?: string;
}

/** What a listener needs, read and checked. */
export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
  /** When the certificate ends, milliseconds since 1970. */
  readonly notAfterMs: number;
}

/** Reads certificate, key and authorities and sees whether they fit together, so that a bad file is found here and not in a handshake.
 * `nowMs`: milliseconds since 1970.
 * @throws TandemError NOT_FOUND for a file that cannot be read, INVALID_ARGUMENT for one that is no PEM, a key of another certificate,
 * a certificate that has ended. */
export function readTlsMaterial(files: TlsFiles, nowMs: number): TlsMaterial {
  const cert = read(files.certFile, "ssl-certfile");
  const key = read(files.keyFile, "ssl-keyfile");
  const ca = files.caFile === undefined ? undefined : read(files.caFile, "ssl-ca-certs");
  const notAfterMs = endOf(cert, files.certFile);
  if (notAfterMs <= nowMs) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `the certificate ${files.certFile} ended on ${new Date(notAfterMs).toISOString()}; put a new one there`,
      { field: "ssl-certfile" },
    );
  }
  try {
    createSecureContext({ cert, key, ca });
  } catch (cause) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `certificate ${files.certFile}, key ${files.keyFile} and authorities ${files.caFile ?? "(none)"} do not make a TLS server: ${(cause as Error).message}`,
      { field: "ssl-keyfile", cause },
    );
  }
  return { cert, key, notAfterMs, ...(ca && { ca }) };
}

function read(file: string, field: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new TandemError("NOT_FOUND", `cannot read --${field}: ${(cause as Error).message}`, {
      field,
      cause,
    });
  }
}

function endOf(cert: Buffer, file: string): number {
  try {
    return Date.parse(new X509Certificate(cert).validTo);
  } catch (cause) {
    throw new TandemError("INVALID_ARGUMENT", `${file} holds no PEM certificate`, {
      field: "ssl-certfile",
      cause,
    });
  }
}
