import type { Schedule } from "./schedule.js";

/** The settings of Jafari et al. 2022 (arXiv 2212.05998) §4: epochs n, T_max, and the epoch up to which ψ grows as i/divisor before it is 1. */
const SETTINGS = {
  cifar: { epochs: 200, maxTemperature: 20, rampEpochs: 150, divisor: 150 },
  glue: { epochs: 30, maxTemperature: 10, rampEpochs: 20, divisor: 40 },
} as const;

export type PublishedSetting = keyof typeof SETTINGS;

export const PUBLISHED_SETTINGS = Object.keys(SETTINGS) as readonly PublishedSetting[] as readonly [
  PublishedSetting,
  ...PublishedSetting[],
];

/** φ(i) = 1 − (T−1)/T_max with T lowered every ⌊n/T_max⌋ epochs before its use, i = 1 … n. As the algorithm stands T ends at 0 and φ above 1;
 * here T stays ≥ 1. */
export function publishedPhi(setting: PublishedSetting): Schedule {
  const { epochs, maxTemperature } = SETTINGS[setting];
  const every = Math.floor(epochs / maxTemperature);
  const values = epochNumbers(epochs).map((epoch) => {
    const temperature = Math.max(1, maxTemperature - Math.floor(epoch / every));
    return 1 - (temperature - 1) / maxTemperature;
  });
  return { kind: "steps", values };
}

/** ψ(i) = i/divisor, then 1; for `glue` it jumps from ½, while φ is 0.7: the teacher is never followed unscaled. */
export function publishedPsi(setting: PublishedSetting): Schedule {
  const { epochs, rampEpochs, divisor } = SETTINGS[setting];
  const values = epochNumbers(epochs).map((epoch) => (epoch <= rampEpochs ? epoch / divisor : 1));
  return { kind: "steps", values };
}

function epochNumbers(epochs: number): readonly number[] {
  return Array.from({ length: epochs }, (_, index) => index + 1);
}
