export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Mean over a window of `width` points centred on each point and cut at the ends: it follows a falling curve without lagging behind it. */
export function smooth(points: readonly Point[], width: number): readonly Point[] {
  const half = Math.floor(width / 2);
  // sums[i] = y of the first i points, so that a long run costs one pass.
  const sums = [0];
  for (const { y } of points) sums.push((sums.at(-1) as number) + y);
  return points.map(({ x }, index) => {
    // The same reach on both sides, or the ends would lean inwards.
    const reach = Math.min(half, index, points.length - 1 - index);
    const total = (sums[index + reach + 1] as number) - (sums[index - reach] as number);
    return { x, y: total / (2 * reach + 1) };
  });
}

/** At most `limit` points: neighbours are averaged, so that long runs stay light to draw. */
export function thin(points: readonly Point[], limit: number): readonly Point[] {
  if (points.length <= limit) return points;
  return Array.from({ length: limit }, (_, bucket) => {
    const from = Math.floor((bucket * points.length) / limit);
    const members = points.slice(from, Math.floor(((bucket + 1) * points.length) / limit));
    const mean = (pick: (point: Point) => number): number =>
      members.reduce((sum, point) => sum + pick(point), 0) / members.length;
    return { x: Math.round(mean((point) => point.x)), y: mean((point) => point.y) };
  });
}
