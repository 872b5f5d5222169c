// Original file: proto/tandem/v1/teacher.proto


export interface Stale {
  'sequence'?: (number);
  'start'?: (number);
}

export interface Stale__Output {
  'sequence': (number);
  'start': (number);
}
