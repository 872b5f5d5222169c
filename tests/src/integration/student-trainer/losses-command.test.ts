import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { listLosses } from "@tandem/student-trainer";
import { runTrainer } from "../../helpers/rollout-cli.js";

describe("student-trainer losses", () => {
  it("lists every loss with what it asks the teacher for, its source and its options", async () => {
    const { code, stdout } = await runTrainer("losses");
    assert.equal(code, 0);
    for (const { name } of listLosses()) assert.match(stdout, new RegExp(`^${name} `, "m"));
    // 64 ids and logits of 8 bytes, lse and tail.
    assert.match(stdout, /^forward-kl +top 64 with tail +520 +KL\(p‖q\)$/m);
    assert.match(
      stdout,
      /^forward-kl .*\n  Hinton et al\. 2015, .*; options: topK, topPMass, dense, temperature$/m,
    );
    assert.match(stdout, /^sampled-reverse-kl +token log-probability and rank +8 /m);
  });

  it("shows the options of one, with defaults", async () => {
    const { code, stdout } = await runTrainer("losses", "ranking");
    assert.equal(code, 0);
    assert.match(stdout, /^operator +soft-rank +soft-rank, pairwise-sigmoid/m);
    assert.match(stdout, /source: RLKD, arXiv 2409\.12545/);
  });

  it("exits with 2 on a name that it does not know", async () => {
    const { code, stderr } = await runTrainer("losses", "forwardkl");
    assert.equal(code, 2);
    assert.match(stderr, /there is no loss "forwardkl"/);
  });

  it("writes JSON for programs", async () => {
    const { stdout } = await runTrainer("losses", "akl", "--json");
    const [akl] = JSON.parse(stdout) as readonly { readonly name: string }[];
    assert.equal(akl?.name, "akl");
  });
});
