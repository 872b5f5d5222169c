import { ServerCredentials } from "@grpc/grpc-js";
import type { SecureContextOptions } from "node:tls";
import type { TlsMaterial } from "../auth/tls-material.js";
import type { TlsSource } from "../auth/tls-source.js";

/** gRPC over TLS with the certificate that is current when a connection is made. grpc-js has a provider that watches files, but it drops
 * every connection while one of them is missing or does not fit the others, as happens between two writes. */
export class TlsCredentials extends ServerCredentials {
  constructor(source: TlsSource) {
    super(
      { requestCert: source.material.ca !== undefined, rejectUnauthorized: true },
      toContext(source.material),
    );
    source.onChange((material) => this.updateSecureContextOptions(toContext(material)));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function toContext({ cert, key, ca }: TlsMaterial): SecureContextOptions {
  return { cert, key, ca, minVersion: "TLSv1.2" };
}
