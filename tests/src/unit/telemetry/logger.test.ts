import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLogger } from "@tandem/shared/telemetry/logger.js";

describe("createLogger", () => {
  it("writes one JSON object per line with program, level and fields", () => {
    const lines: string[] = [];
    const logger = createLogger({
      name: "teacher-server",
      level: "info",
      format: "json",
      write: (line) => lines.push(line),
    });
    logger.debug({ event: "hidden" }, "not at this level");
    logger.info({ event: "engine.ready", engine: 7 }, "engine ready");
    assert.equal(lines.length, 1);
    const record = JSON.parse(lines[0] as string) as Record<string, unknown>;
    assert.equal(record.program, "teacher-server");
    assert.equal(record.level, "info");
    assert.equal(record.event, "engine.ready");
    assert.equal(record.msg, "engine ready");
    assert.match(String(record.time), /^\d{4}-\d\d-\d\dT/);
  });

  it("writes a plain line for people", () => {
    const lines: string[] = [];
    const logger = createLogger({
      name: "x",
      level: "info",
      format: "text",
      write: (line) => lines.push(line),
    });
    logger.warn({ port: 7 }, "slow");
    assert.match(lines[0] as string, /^\d\d:\d\d:\d\d\.\d{3} WARN  slow port=7\n$/);
  });
});
