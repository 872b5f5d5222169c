import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import { admitPriority } from "@tandem/teacher-server/admission/admit-priority.js";
import { ownerOf } from "@tandem/teacher-server/grpc/owner-of.js";

describe("admitPriority", () => {
  it("takes what is named, and what the call is for otherwise", () => {
    assert.equal(admitPriority("PRIORITY_LOW", "items.priority", "high"), "low");
    assert.equal(admitPriority("PRIORITY_HIGH", "items.priority", "normal"), "high");
    assert.equal(admitPriority("PRIORITY_UNSPECIFIED", "items.priority", "normal"), "normal");
  });

  it("refuses a number that it does not know", () => {
    assert.throws(() => admitPriority(7 as never, "items.priority", "normal"), {
      code: "INVALID_ARGUMENT",
      field: "items.priority",
    });
  });
});

describe("ownerOf", () => {
  const anonymous = { name: "peer:10.0.0.7", weight: 1 };

  function metadataOf(id: string): Metadata {
    const metadata = new Metadata();
    metadata.set("tandem-client", id);
    return metadata;
  }

  it("tells apart callers of one host who name themselves", () => {
    assert.deepEqual(ownerOf(anonymous, metadataOf("run-3")), {
      name: "peer:10.0.0.7/run-3",
      weight: 1,
    });
    assert.deepEqual(ownerOf(anonymous, new Metadata()), anonymous);
    assert.deepEqual(ownerOf(anonymous, metadataOf("a name with spaces")), anonymous);
  });

  it("does not let a known client become somebody else", () => {
    const known = { name: "ada", weight: 3 };
    assert.deepEqual(ownerOf(known, metadataOf("bob")), known);
  });
});
