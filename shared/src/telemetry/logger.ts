import { pino, destination, type Logger as PinoLogger } from "pino";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
export type LogFormat = "json" | "text";

/** One event per line: `logger.info({ event: "engine.ready", pid }, "sentence for people")`. */
export type Logger = PinoLogger;

export interface LoggerOptions {
  /** The program: `teacher-server`. */
  readonly name: string;
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where lines go; stderr by default, because stdout belongs to the program's answers. */
  readonly write?: (line: string) => void;
}

/** A pino logger. `json` is one object per line, `text` is `12:03:04.120 INFO message key=value` for people. Synchronous, so that the
 * last lines before an exit are not lost. */
export function createLogger(options: LoggerOptions): Logger {
  const write = options.write;
  const stderr = write === undefined ? destination({ fd: 2, sync: true }) : undefined;
  const sink = (line: string): void => {
    if (write !== undefined) write(line);
    else stderr?.write(line);
  };
  const settings = {
    level: options.level,
    base: { program: options.name, pid: process.pid },
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  };
  return pino(settings, { write: options.format === "json" ? sink : (line) => sink(toText(line)) });
}

const QUIET_FIELDS = new Set(["level", "time", "msg", "program", "pid"]);

function toText(line: string): string {
  const record = JSON.parse(line) as Record<string, unknown>;
  const time = String(record.time).slice(11, 23);
  const level = String(record.level).toUpperCase().padEnd(5);
  const fields = Object.entries(record)
    .filter(([key]) => !QUIET_FIELDS.has(key))
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return `${[time, level, typeof record.msg === "string" ? record.msg : "", ...fields].join(" ").trimEnd()}\n`;
}
