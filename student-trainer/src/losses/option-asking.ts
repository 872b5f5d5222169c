/** The option by which a loss asks for so many ids or samples, for messages: what it asks is one of its options as it stands. */
export function optionAsking(
  count: number,
  {
    field,
    options,
  }: { readonly field: string; readonly options: Readonly<Record<string, unknown>> },
): { readonly option: string; readonly field: string } {
  const option = Object.keys(options).find((name) => options[name] === count);
  return { option: option ?? "it", field: option === undefined ? field : `${field}.${option}` };
}
