/** `--set` of the least that a run says: given answers, no teacher. */
export const MINIMAL = [
  "student.model=student",
  "data.train=train.jsonl",
  "losses=[{name: cross-entropy}]",
  "rollout.kind=supervised",
  "training.steps=10",
  "output.dir=runs/x",
];

/** Text that student and teacher write together, one divergence. */
export const SKD = [
  ...MINIMAL,
  "rollout.kind=skd",
  "losses=[{name: forward-kl}]",
  "teacher.address=127.0.0.1:1",
];
