/** Makes the comparison of a response with its reference: the whole text, or the first group of the last match of `extract`.
 * White space around either does not count; commas inside extracted numbers do not either. */
export function createMatcher(
  extract: string | undefined,
): (response: string, reference: string) => boolean {
  if (extract === undefined) return (response, reference) => response.trim() === reference.trim();
  const pattern = new RegExp(extract, "g");
  const pick = (text: string): string | undefined => {
    const found = [...text.matchAll(pattern)].at(-1)?.[1];
    return found
      ?.trim()
      .replaceAll(/(?<=\d),(?=\d)/g, "")
      .replace(/\.$/, "");
  };
  return (response, reference) => {
    const wanted = pick(reference);
    return wanted !== undefined && pick(response) === wanted;
  };
}
