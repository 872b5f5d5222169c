import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createMatcher } from "@tandem/student-trainer/evaluation/match-answer.js";

describe("createMatcher", () => {
  it("compares whole texts but for the white space around them", () => {
    const matches = createMatcher(undefined);
    assert.ok(matches("a b\n", " a b"));
    assert.ok(!matches("a  b", "a b"));
  });

  it("compares the last match of an extractor, numbers without their commas", () => {
    const matches = createMatcher("#### *(-?[0-9.,]+)");
    assert.ok(matches("so 3\n#### 1,234", "steps\n#### 1234"));
    assert.ok(matches("#### 1\n#### 7.", "#### 7"));
    assert.ok(!matches("#### 12", "#### 13"));
    assert.ok(!matches("no answer", "#### 13"));
    assert.ok(!matches("no answer", "nor here"), "an unreadable reference is never right");
  });
});
