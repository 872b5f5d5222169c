/** A program that takes memory until the kernel has killed a process of its group, and ends. Argument: the group's file of events. */
import { readKills } from "./memory-group.js";

const BLOCK_BYTES = 2 ** 20;

const [eventsFile = ""] = process.argv.slice(2);
const before = readKills(eventsFile);
const blocks: Buffer[] = [];
while (readKills(eventsFile) === before) blocks.push(Buffer.alloc(BLOCK_BYTES, 1));
