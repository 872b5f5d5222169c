import { isIP } from "node:net";

/** Whether a host (no port; IPv6 with or without brackets) is this machine and cannot be reached from another. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) === 4) return bare.startsWith("127.");
  return bare === "localhost" || bare === "::1";
}
