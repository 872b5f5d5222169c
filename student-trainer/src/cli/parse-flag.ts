import { InvalidArgumentError } from "commander";

/** Parsers for commander's options; what they refuse is a usage error. */
export function wholeNumber(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= minimum) return value;
    throw new InvalidArgumentError(`give a whole number from ${minimum}`);
  };
}

export function numberBetween(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`give a number from ${minimum} to ${maximum}`);
  };
}

/** `0,2,4`. */
export function wholeNumbers(text: string): number[] {
  return text.split(",").map(wholeNumber(0));
}

export function oneOf<T extends string>(...allowed: readonly T[]): (text: string) => T {
  return (text) => {
    const found = allowed.find((each) => each === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`give one of ${allowed.join(", ")}`);
  };
}
