/** Samples of a `/metrics` page by name and labels as they are written there. */
export async function readMetrics(httpAddress: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`http://${httpAddress}/metrics`)).text();
  const samples = text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line): [string, number] => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    });
  return new Map(samples);
}
