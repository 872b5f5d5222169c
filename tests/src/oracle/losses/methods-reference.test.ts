import { declareMethodCases } from "./method-cases.js";

// The signal travels in float32: 2⁻²⁴ of logits up to 60.
await declareMethodCases({
  engine: "reference",
  vocabulary: 11,
  tolerance: { rtol: 2e-5, atol: 3e-6 },
});
