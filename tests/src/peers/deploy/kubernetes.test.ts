import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { inRepository } from "../../helpers/repository.js";

const BASE = inRepository("deploy/kubernetes/base");

/** Nothing beside what the API's own schemas know; 1.29 and 1.37 are the ends of what is in use. */
function validate(files: readonly string[], version: string) {
  const args = ["-m", "kubernetes_validate", "--strict", "-k", version, ...files];
  const end = spawnSync(process.env["TANDEM_PYTHON"] ?? "python3", args, { encoding: "utf8" });
  return { status: end.status, output: end.stdout + end.stderr };
}

describe("the Kubernetes manifests", () => {
  const files = readdirSync(BASE)
    // Of kubectl, not of the API.
    .filter((name) => name !== "kustomization.yaml")
    .map((name) => join(BASE, name));

  for (const version of ["1.29.0", "1.37.0"]) {
    it(`fit the schemas of Kubernetes ${version}, without a field too many`, () => {
      const { status, output } = validate(files, version);
      assert.equal(status, 0, output);
      assert.equal(output.match(/ passed for resource /g)?.length, files.length);
    });
  }

  it("would be found out: a misspelt field is refused", () => {
    const dir = mkdtempSync(join(tmpdir(), "tandem-manifest-"));
    const wrong = join(dir, "teacher.yaml");
    const text = readFileSync(join(BASE, "teacher.yaml"), "utf8");
    writeFileSync(wrong, text.replace("readinessProbe:", "readynessProbe:"));
    const { status, output } = validate([wrong], "1.37.0");
    rmSync(dir, { recursive: true });
    assert.notEqual(status, 0);
    assert.match(output, /readynessProbe/);
  });
});
