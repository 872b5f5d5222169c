import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { Backoff } from "./backoff.js";
import { isConnectionFailure } from "./rpc-error.js";
import { pause } from "./pause.js";
import { raceAbort } from "./race-abort.js";
import type { TeacherConnection, TeacherDescription } from "./teacher-connection.js";
import type { TeacherOptions } from "./teacher-options.js";

/** Asks the replicas in turn until one answers.
 * @throws TandemError UNAVAILABLE after `retryTimeoutMs`; at once when the answer is final (permission, wrong service); CANCELLED when aborted. */
export async function connectWithRetries(
  connection: TeacherConnection,
  options: TeacherOptions,
  abort?: AbortSignal,
): Promise<TeacherDescription> {
  const backoff = new Backoff({ timeoutMs: options.retryTimeoutMs, random: options.random });
  for (;;) {
    try {
      return await raceAbort(connection.describe(), abort);
    } catch (caught) {
      const error = TandemError.from(caught);
      if (abort?.aborted === true || !isConnectionFailure(error)) throw error;
      const delayMs = backoff.next();
      if (delayMs === undefined) {
        throw new TandemError(
          "UNAVAILABLE",
          `no teacher at ${options.addresses.join(", ")} within ${options.retryTimeoutMs} ms (teacher.retryTimeoutMs); is teacher-server running there? Last: ${error.message}`,
          { cause: error, field: "teacher.address" },
        );
      }
      options.onEvent?.({ kind: "retry", address: connection.address, delayMs, error });
      connection.rotate();
      await pause(delayMs, abort);
    }
  }
}
