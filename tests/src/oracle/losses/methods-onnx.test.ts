import { declareMethodCases } from "./method-cases.js";

// Float32 throughout.
const tolerance = { rtol: 1e-4, atol: 2e-5 };
await declareMethodCases({ engine: "onnx", vocabulary: 11, tolerance });
await declareMethodCases({ engine: "onnx", vocabulary: 257, tolerance });
