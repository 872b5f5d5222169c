/** onnxruntime 1.30 on Linux keeps a device id and a database of sessions in the user's cache directory, writes a log to the temporary directory,
 * and sends what it gathers over HTTPS, unless this variable says otherwise when the library is loaded: so this file is imported before
 * it. Who wants to be counted sets the variable to 0. */
process.env["ORT_DISABLE_TELEMETRY"] ??= "1";
