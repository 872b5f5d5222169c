import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { listLosses } from "@tandem/student-trainer";

describe("docs/methods.md", async () => {
  const url = new URL("../../../../docs/methods.md", import.meta.url);
  const text = await readFile(url, "utf8");
  const sections = text.split(/^### /m).slice(1);

  for (const { name, source, options } of listLosses()) {
    it(`describes ${name}, its options and its source`, () => {
      const own = sections.find((section) => section.split("\n")[0]!.includes(`\`${name}\``));
      assert.ok(own !== undefined, `no section on ${name}`);
      // Those that all divergences share are described once, above them.
      const shared = ["topK", "topPMass", "dense", "temperature"];
      for (const option of options) {
        if (shared.includes(option.name)) continue;
        assert.ok(own.includes(option.name), `${name}: nothing on ${option.name}`);
      }
      for (const [number] of source.matchAll(/\d{4}\.\d{5}/g)) {
        assert.ok(own.includes(number), `${name}: source ${number} is missing`);
      }
    });
  }
});
