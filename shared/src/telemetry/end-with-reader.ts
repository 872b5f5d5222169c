/** Ends the process when whoever reads its standard output has gone (`… --help | head -1`), as other programs end by SIGPIPE.
 * Node raises EPIPE instead, which would print a stack trace. */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(1);
  });
}
