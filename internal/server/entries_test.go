package server_test

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// entries is one event for a bus.
func entries(bus string) []types.PutEventsRequestEntry {
	return []types.PutEventsRequestEntry{{
		EventBusName: &bus, Source: aws.String("shop"), DetailType: aws.String("paid"), Detail: aws.String(`{"total":42.5}`),
	}}
}

func targets(arn string) []types.Target { return []types.Target{{Id: aws.String("t"), Arn: &arn}} }
