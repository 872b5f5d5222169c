/** Fills a store under a limit on the size of files, and says what it finds: `[found, wrong, warnings]`. */
import { LmdbTier } from "@tandem/teacher-server/store/lmdb-tier.js";
import { createLogger } from "@tandem/shared/telemetry/logger.js";

// The write should fail, not the process.
process.on("SIGXFSZ", () => {});
const base = createLogger({ name: "test", level: "silent", format: "json" });
let warnings = 0;
const logger = Object.assign(Object.create(base) as typeof base, { warn: () => warnings++ });
const tier = await LmdbTier.open({
  path: process.argv[2] as string,
  limitBytes: 1 << 30,
  logger,
});
const COUNT = 30;
for (let i = 0; i < COUNT; i++) {
  tier.put(Buffer.alloc(32, i), Buffer.alloc(50_000, i));
  await new Promise((resolve) => setTimeout(resolve, 10));
}
let found = 0;
let wrong = 0;
for (let i = 0; i < COUNT; i++) {
  const value = await tier.get(Buffer.alloc(32, i));
  if (value === undefined) continue;
  found++;
  if (!value.equals(Buffer.alloc(50_000, i))) wrong++;
}
await tier.close();
process.send?.([found, wrong, warnings]);
process.disconnect?.();
