// Asks the server of this container whether its process turns; exits with 0 or 1. Over TLS it does not look at the certificate: the name
// in it is not localhost, and what is asked is no secret.
import { get as getPlain } from "node:http";
import { get as getTls } from "node:https";

const { TANDEM_HTTP_PORT: port = "50052", TANDEM_SSL_CERTFILE: certificate = "" } = process.env;
const get = certificate === "" ? getPlain : getTls;
const request = get(
  { host: "127.0.0.1", port, path: "/livez", timeout: 2_000, rejectUnauthorized: false },
  (response) => process.exit(response.statusCode === 200 ? 0 : 1),
);
request.on("timeout", () => process.exit(1));
request.on("error", () => process.exit(1));
