import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The committed certificates of tests/fixtures/tls; generate.sh there says what each is. */
export function tlsFile(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/tls/${name}`, import.meta.url));
}

export function tlsBytes(name: string): Buffer {
  return readFileSync(tlsFile(name));
}
