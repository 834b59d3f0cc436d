package catalog_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/target"
)

// TestTagsShapeDefinitions follows what the tags of a rule ask for into what its deliveries are made by. One of them was written by
// another version.
func TestTagsShapeDefinitions(t *testing.T) {
	r := catalog.Rule{Name: "paid", Bus: "orders", Tags: []catalog.Tag{
		{Key: "team", Value: "checkout"}, {Key: "rialto:order-by", Value: "detail.orderId"}, {Key: "rialto:batch", Value: "100/5s/256KB"},
		{Key: "rialto:timeout", Value: "30s"}, {Key: "rialto:later", Value: "x"}, {Key: "rialto:concurrency", Value: "50"},
		{Key: "rialto:rate", Value: "30/m"}, {Key: "rialto:breaker", Value: "0.5/30s/20"}, {Key: "rialto:format", Value: "cloudevents-batch"},
	}}
	scope := rialto.Scope{Account: rialto.DefaultAccount, Region: rialto.DefaultRegion}
	got := r.Definition(scope, &catalog.Target{ID: "t", ARN: "arn:t"})
	want := &target.Definition{
		Rule: scope.RuleARN("orders", "paid"), RuleName: "paid", ID: "t", ARN: "arn:t", Retry: target.DefaultRetry,
		OrderBy: "$.detail.orderId", Batch: &target.Batch{Size: 100, Window: 5 * time.Second, Bytes: 256 << 10},
		Timeout: 30 * time.Second, Concurrency: 50, Rate: 0.5, Format: target.CloudEventsBatch,
		Breaker: &target.Breaker{Failures: 0.5, Window: 30 * time.Second, Volume: 20},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the definition is\n%+v, want\n%+v", got, want)
	}
	if _, err := r.Tuning(); err == nil {
		t.Error("nobody is told of the tag that is not known")
	}
}
