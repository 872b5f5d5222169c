/** Indices of items by their key, groups in the order in which they first appear. */
export function groupIndices<T, K>(
  items: readonly T[],
  keyOf: (item: T, index: number) => K,
): ReadonlyMap<K, readonly number[]> {
  const groups = new Map<K, number[]>();
  items.forEach((item, index) => {
    const key = keyOf(item, index);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [index]);
    else group.push(index);
  });
  return groups;
}
