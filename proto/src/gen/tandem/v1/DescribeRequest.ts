// Original file: proto/tandem/v1/teacher.proto


export interface DescribeRequest {
}

export interface DescribeRequest__Output {
}
