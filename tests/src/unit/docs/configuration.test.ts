import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

describe("docs/configuration.md", () => {
  it("says what the schemas say", () => {
    const script = new URL("../../../../scripts/build-configuration-doc.mjs", import.meta.url);
    const { status, stderr } = spawnSync(process.execPath, [fileURLToPath(script), "--check"], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
  });
});
