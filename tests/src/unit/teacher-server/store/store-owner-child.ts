/** Opens the store in the directory it is given, writes one entry, and stays until it is killed. */
import { setTimeout as delay } from "node:timers/promises";
import { createLogger } from "@tandem/shared/telemetry/logger.js";
import { LmdbTier } from "@tandem/teacher-server/store/lmdb-tier.js";

const logger = createLogger({ name: "test", level: "silent", format: "json" });
const path = process.argv[2] as string;
const tier = await LmdbTier.open({ path, limitBytes: 1 << 24, logger });
const key = Buffer.alloc(32, 1);
tier.put(key, Buffer.from("mine"));
while ((await tier.get(key)) === undefined) await delay(5);
process.send?.("open");
await delay(600_000);
