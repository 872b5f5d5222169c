/** Whether a teacher keeps anything of the clients that come and go: memory, sessions, threads, descriptors. Options: --seconds N (1200), --clients N
 * (8), --model DIR (a committed tiny one), --every N (10: seconds between samples). Its model is to have at least 97 ids and a context of 128. */
import { parseArgs } from "node:util";

import { fixtureModel, startLiveServer } from "../helpers/live-server.js";
import { soak, SOAK_ARGS } from "../helpers/soak.js";

const SHOWN_SAMPLES = 24;

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      seconds: { type: "string", default: "1200" },
      clients: { type: "string", default: "8" },
      model: { type: "string", default: fixtureModel("llama-tied") },
      every: { type: "string", default: "10" },
    },
  });
  const server = await startLiveServer({ model: String(values.model), args: SOAK_ARGS });
  try {
    const report = await soak({
      server,
      seconds: Number(values.seconds),
      clients: Number(values.clients),
      sampleEverySeconds: Number(values.every),
    });
    const apart = Math.ceil(report.samples.length / SHOWN_SAMPLES);
    return { ...report, samples: report.samples.filter((_, i) => i % apart === 0) };
  } finally {
    await server.stop();
  }
}
