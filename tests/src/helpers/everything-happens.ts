import type { LiveServer } from "./live-server.js";
import { soak } from "./soak.js";
import { TeacherStream, u32 } from "./teacher-stream.js";

/** Makes every series with labels exist: work of all kinds, a refusal, a sequence that is opened again. */
export async function everythingHappens(server: LiveServer, seconds: number): Promise<void> {
  await soak({ server, seconds, clients: 4, sampleEverySeconds: 1 });
  const stream = new TeacherStream(server.client.score());
  stream.send({ items: [{ id: 1, tokens: u32([1, 2]), from: 9, signal: { topK: 1 } }] });
  await stream.next();
  await stream.finish();
  const reopened = new TeacherStream(server.client.interleave());
  reopened.send({
    opens: [
      { sequence: 1, prompt: u32([1]), response: u32([2]), maxResponse: 9, rule: { rank: 9 } },
    ],
    drafts: [{ sequence: 1, start: 1, tokens: u32([3]) }],
  });
  await reopened.next();
  await reopened.finish();
}
