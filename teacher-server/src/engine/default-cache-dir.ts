import { homedir } from "node:os";
import { join } from "node:path";

/** `tandem` in the user's cache directory. */
export function defaultCacheDir(env: Readonly<Record<string, string | undefined>>): string {
  return join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tandem");
}
