import type { ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { assertFrugal } from "./assert-frugal.js";

/** What is known of a message that came, before anybody looks into it. */
export interface Received {
  readonly sizeBytes: number;
  /** It is no message of this kind, or one that would cost too much to unfold. */
  readonly fault?: TandemError;
}

const received = new WeakMap<object, Received>();
const onSerialized = new WeakMap<object, (sizeBytes: number) => void>();

/** What was noted when a message was decoded. */
export function receivedOf(message: object): Received {
  return received.get(message) ?? { sizeBytes: 0 };
}

/** `note` hears how large a message was when it goes out. */
export function noteSize(message: object, note: (sizeBytes: number) => void): void {
  onSerialized.set(message, note);
}

/** A service whose messages are looked at as bytes: their sizes are noted, and what would unfold into more than its bytes are worth is not
 * decoded. grpc-js answers INTERNAL for whatever a decoder throws; a fault therefore travels beside an empty message, to its handler. */
export function measuredService<S extends ServiceDefinition<UntypedServiceImplementation>>(
  service: S,
  limits: { readonly maxEntries: number },
): S {
  const methods = Object.entries(service).map(([name, method]) => {
    const { requestDeserialize, responseSerialize } = method;
    return [
      name,
      {
        ...method,
        requestDeserialize: (bytes: Buffer): object => {
          try {
            assertFrugal(bytes, limits.maxEntries);
            const message = requestDeserialize(bytes) as object;
            received.set(message, { sizeBytes: bytes.length });
            return message;
          } catch (caught) {
            const empty = requestDeserialize(Buffer.alloc(0)) as object;
            received.set(empty, { sizeBytes: bytes.length, fault: toFault(caught) });
            return empty;
          }
        },
        responseSerialize: (message: object): Buffer => {
          const bytes = responseSerialize(message);
          onSerialized.get(message)?.(bytes.length);
          return bytes;
        },
      },
    ];
  });
  return Object.fromEntries(methods) as S;
}

function toFault(caught: unknown): TandemError {
  if (caught instanceof TandemError) return caught;
  return new TandemError(
    "INVALID_ARGUMENT",
    `the message is not of this contract: ${(caught as Error).message}`,
    { cause: caught },
  );
}
