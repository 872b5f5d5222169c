/** The closed list of things that can go wrong, each with its gRPC status (number per grpc.status) and whether a client may retry.
 * The names are the wire names of `tandem.v1.ErrorCode` without their prefix, and the `code` label of metrics. */
export const ERROR_CODES = {
  /** A value is wrong whatever the state: bad id, bad shape, unknown option. */
  INVALID_ARGUMENT: { grpcStatus: 3, retryable: false },
  /** An item missed the deadline its sender gave it. */
  DEADLINE_EXCEEDED: { grpcStatus: 4, retryable: true },
  /** A named thing does not exist: file, model, session. */
  NOT_FOUND: { grpcStatus: 5, retryable: false },
  /** A thing exists already: sequence id in use, run directory not empty. */
  ALREADY_EXISTS: { grpcStatus: 6, retryable: false },
  /** The caller may not do this. */
  PERMISSION_DENIED: { grpcStatus: 7, retryable: false },
  /** A limit of memory, queue, quota or disk is reached; carries a retry delay when waiting helps. */
  RESOURCE_EXHAUSTED: { grpcStatus: 8, retryable: true },
  /** The two sides do not fit together: tokenizer, model, configuration. */
  FAILED_PRECONDITION: { grpcStatus: 9, retryable: false },
  /** The sender cancelled. */
  CANCELLED: { grpcStatus: 1, retryable: false },
  /** A position or length lies outside what the model can hold. */
  OUT_OF_RANGE: { grpcStatus: 11, retryable: false },
  /** The capability is not there: architecture, operation, signal part. */
  UNIMPLEMENTED: { grpcStatus: 12, retryable: false },
  /** A bug of ours. */
  INTERNAL: { grpcStatus: 13, retryable: false },
  /** Loading, draining, restarting or unreachable; try again later or elsewhere. */
  UNAVAILABLE: { grpcStatus: 14, retryable: true },
  /** Bytes are damaged: checksum, truncated file, malformed frame. */
  DATA_LOSS: { grpcStatus: 15, retryable: false },
  /** Credentials are missing or wrong. */
  UNAUTHENTICATED: { grpcStatus: 16, retryable: false },
} as const satisfies Record<string, { grpcStatus: number; retryable: boolean }>;

export type ErrorCode = keyof typeof ERROR_CODES;
