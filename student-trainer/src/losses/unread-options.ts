/** Options that are read only where another has one of some values. */
export type ReadWith = Readonly<
  Record<string, { readonly option: string; readonly values: readonly unknown[] }>
>;

/** What is wrong with options that were given and would do nothing; undefined: none. One that is given as its default says nothing new. */
export function unreadOption(
  readWith: ReadWith,
  options: Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>>,
): string | undefined {
  const unread = Object.keys(readWith).find((name) => {
    const { option, values } = readWith[name]!;
    const isGiven = JSON.stringify(options[name]) !== JSON.stringify(defaults[name]);
    return isGiven && !values.includes(options[option]);
  });
  if (unread === undefined) return undefined;
  const { option, values } = readWith[unread]!;
  return `${unread} is read with ${option}: ${values.join(" or ")} only; set that, or leave ${unread} out`;
}
