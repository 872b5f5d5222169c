/** Ctrl-C once: the signal aborts, work stops at the next safe point. The same signal twice: the process ends at once.
 * (A terminal interrupts a whole group of programs; one that looks after another may add its own SIGTERM to that, and means no hurry.) */
export function onInterrupt(): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const seen = new Set<NodeJS.Signals>();
  const listener = (signal: NodeJS.Signals): void => {
    if (seen.has(signal)) process.exit(130);
    seen.add(signal);
    controller.abort();
  };
  process.on("SIGINT", listener);
  process.on("SIGTERM", listener);
  return {
    signal: controller.signal,
    dispose() {
      process.off("SIGINT", listener);
      process.off("SIGTERM", listener);
    },
  };
}
