import { runTrainer } from "../helpers/rollout-cli.js";

/** What a command of `student-trainer` wrote; it must succeed. */
export async function trainer(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runTrainer(...args);
  if (code !== 0)
    throw new Error(`student-trainer ${args.join(" ")} exited with ${code}:\n${stderr}`);
  return stdout;
}
