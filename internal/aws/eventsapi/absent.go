package eventsapi

import "context"

// rialto has no global endpoints and partners yet. It says so when somebody wants one, but tools that list what
// there is, as consoles do, get an empty list.

func (f *Front) ListEndpoints(context.Context, *ListEndpointsInput) (*ListEndpointsOutput, error) {
	return &ListEndpointsOutput{Endpoints: []Endpoint{}}, nil
}

func (f *Front) ListEventSources(context.Context, *ListEventSourcesInput) (*ListEventSourcesOutput, error) {
	return &ListEventSourcesOutput{EventSources: []EventSource{}}, nil
}

func (f *Front) ListPartnerEventSources(context.Context, *ListPartnerEventSourcesInput) (*ListPartnerEventSourcesOutput, error) {
	return &ListPartnerEventSourcesOutput{PartnerEventSources: []PartnerEventSource{}}, nil
}
