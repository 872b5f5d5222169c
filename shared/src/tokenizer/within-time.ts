import { createContext, Script } from "node:vm";

/** Only there to be interrupted: `runInContext` is the one synchronous call in Node that ends after a given time, whatever it runs. */
const CALL = new Script("run()");
const box: { run: () => unknown } = { run: () => undefined };
const context = createContext(box);

/** Runs what a model's files decide (templates, regular expressions) and interrupts it after `maxMs`: then `onLate` says what to throw. What else is
 * thrown goes through. Not to be nested. */
export function withinTime<T>(maxMs: number, run: () => T, onLate: () => Error): T {
  box.run = run;
  try {
    return CALL.runInContext(context, { timeout: maxMs }) as T;
  } catch (error) {
    const late = (error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
    throw late ? onLate() : error;
  } finally {
    box.run = () => undefined;
  }
}
