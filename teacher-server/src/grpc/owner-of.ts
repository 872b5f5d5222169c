import type { Metadata } from "@grpc/grpc-js";
import { isAnonymous, type ClientIdentity } from "../auth/identity.js";
import type { Owner } from "../scheduler/job.js";

/** Metadata by which clients without credentials tell themselves apart. */
const CLIENT_HEADER = "tandem-client";
const CLIENT_ID = /^[\w.@-]{1,64}$/;

/** Whom a call counts for in the scheduler. Callers without credentials are one owner per host, unless they name themselves. */
export function ownerOf(identity: ClientIdentity, metadata: Metadata): Owner {
  const [id] = metadata.get(CLIENT_HEADER);
  if (typeof id !== "string" || !CLIENT_ID.test(id) || !isAnonymous(identity)) return identity;
  return { name: `${identity.name}/${id}`, weight: identity.weight };
}
