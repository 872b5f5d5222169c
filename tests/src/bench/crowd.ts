/** Whether many idle sessions and many active streams starve anybody. Options: --idle N (1000), --active N (64), --seconds N (30), --threads N (1),
 * --model DIR (a committed tiny one). */
import { parseArgs } from "node:util";

import { crowd } from "../helpers/crowd.js";
import { fixtureModel, startLiveServer } from "../helpers/live-server.js";

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      idle: { type: "string", default: "1000" },
      active: { type: "string", default: "64" },
      seconds: { type: "string", default: "30" },
      threads: { type: "string", default: "1" },
      model: { type: "string", default: fixtureModel("llama-tied") },
    },
  });
  const server = await startLiveServer({
    model: String(values.model),
    args: ["--threads", String(values.threads)],
  });
  try {
    return await crowd({
      server,
      idleSessions: Number(values.idle),
      activeStreams: Number(values.active),
      seconds: Number(values.seconds),
    });
  } finally {
    await server.stop();
  }
}
