package rialto_test

import (
	"testing"

	"github.com/rialto-events/rialto"
)

func TestParseARN(t *testing.T) {
	for _, tc := range []struct {
		text string
		want rialto.ARN // zero if it is no ARN
	}{
		{"arn:aws:sqs:eu-west-1:111122223333:billing", rialto.ARN{"aws", "sqs", "eu-west-1", "111122223333", "billing"}},
		{"arn:aws:s3:::bucket", rialto.ARN{"aws", "s3", "", "", "bucket"}},
		{"arn:aws:lambda:eu-west-1:111122223333:function:f:alias", rialto.ARN{"aws", "lambda", "eu-west-1", "111122223333", "function:f:alias"}},
		{"arn:aws:events:eu-west-1:111122223333:", rialto.ARN{}},
		{"arn:aws:events:eu-west-1:111122223333", rialto.ARN{}},
		{"arn::events:eu-west-1:111122223333:x", rialto.ARN{}},
		{"arn:aws::eu-west-1:111122223333:x", rialto.ARN{}},
		{"urn:aws:events:eu-west-1:111122223333:x", rialto.ARN{}},
		{"arn", rialto.ARN{}},
		{"", rialto.ARN{}},
	} {
		got, err := rialto.ParseARN(tc.text)
		if got != tc.want || (err == nil) != (tc.want != rialto.ARN{}) {
			t.Errorf("ParseARN(%q) = %+v, %v; want %+v", tc.text, got, err, tc.want)
		}
		if err == nil && got.String() != tc.text {
			t.Errorf("%q becomes %q", tc.text, got)
		}
	}
}
