import { lookup } from "node:dns/promises";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** Where replicas are: one socket, or a name that stands for as many as it has addresses. */
export type TeacherAddress =
  | { readonly kind: "fixed"; readonly address: string }
  | { readonly kind: "dns"; readonly host: string; readonly port: string };

/** All IP addresses of a host name. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

/** `host:port`, `unix:PATH`, or `dns:///host:port` for every address the name has.
 * @throws TandemError INVALID_ARGUMENT for anything else. */
export function parseTeacherAddress(text: string): TeacherAddress {
  if (text.startsWith("unix:")) return { kind: "fixed", address: text };
  const [, scheme, host, port] =
    /^(dns:(?:\/\/\/)?)?(\[[^\]]+\]|[^:/\s]+):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined || port === undefined) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `teacher address "${text}" is none of host:port, dns:///host:port and unix:PATH`,
      { field: "teacher.address" },
    );
  }
  return scheme === undefined ? { kind: "fixed", address: text } : { kind: "dns", host, port };
}

/** The system's resolver: /etc/hosts, then DNS. Ascending, so that equal answers give equal orders. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))].sort();
}

export function toSocketAddress(ip: string, port: string): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}
