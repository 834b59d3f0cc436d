package eventsapi

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/tuning"
)

// bus finds the bus that a call names, by name or ARN, and on which the caller wants to do an action. Absent, it is the default
// bus. Whether it exists is not looked at.
func (f *Front) bus(ctx context.Context, name *string, action string) (route.Bus, error) {
	bus, err := f.named(ctx, name)
	if err != nil {
		return route.Bus{}, err
	}
	return bus, f.allow(aws.Caller(ctx), bus, action)
}

// named is bus without the question whether the caller may.
func (f *Front) named(ctx context.Context, name *string) (route.Bus, error) {
	caller := aws.Caller(ctx)
	bus, err := ingest.ParseBus(caller.Scope, deref(name))
	if err == nil && bus.Scope.Region != caller.Scope.Region {
		err = invalid("Cross-region api call is not allowed.")
	}
	return bus, err
}

// allow asks the policy of a bus if it belongs to another account than the caller.
func (f *Front) allow(caller *aws.Request, bus route.Bus, action string) error {
	if f.mayAlways(caller, bus) {
		return nil
	}
	return f.ask(caller, bus, route.Access{Action: action, Resource: bus.ARN().String()})
}

// allowRule is allow for what is done to a rule, or, if that has no name, to the rules of the bus: policies name the rules and not
// the bus then (EventBridge user guide, "Permissions to manage rules").
func (f *Front) allowRule(caller *aws.Request, name ruleName, action string) error {
	return f.allowTarget(caller, name, action, "")
}

// allowTarget is allowRule for a target that the rule is to get.
func (f *Front) allowTarget(caller *aws.Request, name ruleName, action, target string) error {
	if f.mayAlways(caller, name.bus) {
		return nil
	}
	access := route.Access{Action: action, Resource: name.arn(), Context: map[string]string{
		route.KeyCreator: "", route.KeyManagedBy: "", route.KeyTargetARN: target,
	}}
	if r := f.catalog.Rules.Get(name.key()); r != nil {
		access.Context[route.KeyCreator], access.Context[route.KeyManagedBy] = string(r.CreatedBy), deref(r.ManagedBy)
	}
	return f.ask(caller, name.bus, access)
}

// mayAlways reports whether no policy needs to be asked.
func (f *Front) mayAlways(caller *aws.Request, bus route.Bus) bool {
	return bus.Scope.Account == caller.Scope.Account || f.rights == nil
}

func (f *Front) ask(caller *aws.Request, bus route.Bus, a route.Access) error {
	a.Account = caller.Scope.Account
	if f.rights.Allows(bus, a) {
		return nil
	}
	return rialto.Errorf(rialto.Denied,
		"User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
		caller.Principal, a.Action, a.Resource, a.Action)
}

// settings are those of a bus, or nil if it has none or is not there.
func (f *Front) settings(bus route.Bus) *catalog.Bus {
	return f.catalog.Buses.Get(catalog.BusKey(bus.Scope, bus.Name))
}

// wantBus reports a bus that is not there. The default bus always is.
func (f *Front) wantBus(bus route.Bus) error {
	if bus.Name == rialto.DefaultBus || f.settings(bus) != nil {
		return nil
	}
	return notFound("Event bus %s does not exist.", bus.Name)
}

// editBus changes the settings of a bus that exists. The bus that change gets is a copy.
func (f *Front) editBus(ctx context.Context, bus route.Bus, change func(*catalog.Bus) error) (*catalog.Bus, error) {
	return f.catalog.Buses.Edit(ctx, catalog.BusKey(bus.Scope, bus.Name), func(was *catalog.Bus) (*catalog.Bus, error) {
		is := catalog.Bus{Name: bus.Name}
		switch {
		case was != nil:
			is = *was
		case bus.Name != rialto.DefaultBus:
			return nil, f.wantBus(bus)
		}
		return &is, change(&is)
	})
}

func (f *Front) CreateEventBus(ctx context.Context, in *CreateEventBusInput) (*CreateEventBusOutput, error) {
	scope := aws.Caller(ctx).Scope
	bus := route.Bus{Scope: scope, Name: rialto.BusName(*in.Name)}
	switch source := in.EventSourceName; {
	case source != nil && *source != *in.Name:
		return nil, invalid("Event bus name must match event source name")
	case source != nil:
		return nil, notFound("Event source %s does not exist.", *source) // rialto has no partners
	case strings.Contains(*in.Name, "/"):
		return nil, invalid("Event bus name must not contain '/'.")
	}
	if err := checkDeadLetter(scope, in.DeadLetterConfig); err != nil {
		return nil, err
	}
	tags, err := f.upsertTags(nil, in.Tags, tuning.CheckBus)
	if err != nil {
		return nil, err
	}

	defer f.control.lock(scope)()
	if f.wantBus(bus) == nil {
		return nil, exists("Event bus %s already exists.", bus.Name)
	}
	if f.customBuses(scope) >= f.limits.Buses {
		return nil, errTooMany()
	}
	is, err := f.catalog.Buses.Edit(ctx, catalog.BusKey(scope, bus.Name), func(was *catalog.Bus) (*catalog.Bus, error) {
		if was != nil {
			return nil, exists("Event bus %s already exists.", bus.Name)
		}
		now := f.clock.Now()
		return &catalog.Bus{
			Name: bus.Name, Description: in.Description, KMSKey: keyOf(in.KmsKeyIdentifier), Tags: tags, Created: now, Modified: now,
			DeadLetter: deadLetterOf(in.DeadLetterConfig), LogConfig: logConfigOf(in.LogConfig),
		}, nil
	})
	if err != nil {
		return nil, err
	}
	log, err := showLogConfig(is)
	return &CreateEventBusOutput{
		EventBusArn: new(bus.ARN().String()), Description: is.Description, KmsKeyIdentifier: is.KMSKey,
		DeadLetterConfig: showDeadLetter(is.DeadLetter), LogConfig: log,
	}, err
}

// customBuses counts the buses that somebody has made.
func (f *Front) customBuses(s rialto.Scope) int {
	n := f.catalog.Buses.Count(catalog.ScopeKey(s))
	if f.settings(route.Bus{Scope: s, Name: rialto.DefaultBus}) != nil {
		n--
	}
	return n
}

func (f *Front) DescribeEventBus(ctx context.Context, in *DescribeEventBusInput) (*DescribeEventBusOutput, error) {
	bus, err := f.bus(ctx, in.Name, "events:DescribeEventBus")
	if err != nil {
		return nil, err
	}
	if err := f.wantBus(bus); err != nil {
		return nil, err
	}
	b := cmp.Or(f.settings(bus), &catalog.Bus{})
	log, err := showLogConfig(b)
	return &DescribeEventBusOutput{
		Name: text(bus.Name), Arn: new(bus.ARN().String()), Description: b.Description, KmsKeyIdentifier: b.KMSKey,
		DeadLetterConfig: showDeadLetter(b.DeadLetter), Policy: showPolicy(b.Policy), LogConfig: log,
		CreationTime: moment(b.Created), LastModifiedTime: moment(b.Modified),
	}, err
}

// UpdateEventBus changes what is given and leaves the rest.
func (f *Front) UpdateEventBus(ctx context.Context, in *UpdateEventBusInput) (*UpdateEventBusOutput, error) {
	bus, err := f.bus(ctx, in.Name, "events:UpdateEventBus")
	if err != nil {
		return nil, err
	}
	if err := f.wantBus(bus); err != nil {
		return nil, err
	}
	if err := checkDeadLetter(bus.Scope, in.DeadLetterConfig); err != nil {
		return nil, err
	}
	defer f.control.lock(bus.Scope)()
	is, err := f.editBus(ctx, bus, func(b *catalog.Bus) error {
		b.Description = cmp.Or(in.Description, b.Description)
		if in.KmsKeyIdentifier != nil {
			b.KMSKey = keyOf(in.KmsKeyIdentifier)
		}
		if in.DeadLetterConfig != nil {
			b.DeadLetter = deadLetterOf(in.DeadLetterConfig)
		}
		if in.LogConfig != nil {
			b.LogConfig = logConfigOf(in.LogConfig)
		}
		b.Modified = f.clock.Now()
		return nil
	})
	if err != nil {
		return nil, err
	}
	log, err := showLogConfig(is)
	return &UpdateEventBusOutput{
		Arn: new(bus.ARN().String()), Name: text(bus.Name), KmsKeyIdentifier: is.KMSKey, Description: is.Description,
		DeadLetterConfig: showDeadLetter(is.DeadLetter), LogConfig: log,
	}, err
}

// DeleteEventBus succeeds also when there is nothing to delete (recorded on AWS).
func (f *Front) DeleteEventBus(ctx context.Context, in *DeleteEventBusInput) (*aws.NoOutput, error) {
	bus, err := f.bus(ctx, in.Name, "events:DeleteEventBus")
	if err != nil {
		return nil, err
	}
	if bus.Name == rialto.DefaultBus {
		return nil, invalid("Cannot delete event bus default.")
	}
	defer f.control.lock(bus.Scope)()
	if len(f.catalog.Rules.List(catalog.RulesKey(bus.Scope, bus.Name), "", 1)) > 0 {
		return nil, invalid("EventBus can't be deleted since it has rules.")
	}
	key := catalog.BusKey(bus.Scope, bus.Name)
	_, err = f.catalog.Buses.Edit(ctx, key, func(*catalog.Bus) (*catalog.Bus, error) { return nil, nil })
	return &aws.NoOutput{}, err
}

func (f *Front) ListEventBuses(ctx context.Context, in *ListEventBusesInput) (*ListEventBusesOutput, error) {
	scope := aws.Caller(ctx).Scope
	prefix := deref(in.NamePrefix)
	l := listing{in.NextToken, in.Limit, []string{prefix}, badToken}
	buses, next, err := page(ctx, l, func(after string, n int) []*catalog.Bus {
		return f.busesAfter(scope, prefix, after, n)
	}, func(b *catalog.Bus) string { return string(b.Name) })
	if err != nil {
		return nil, err
	}
	out := &ListEventBusesOutput{EventBuses: make([]EventBus, 0, len(buses)), NextToken: next}
	for _, b := range buses {
		out.EventBuses = append(out.EventBuses, EventBus{
			Name: text(b.Name), Arn: new(scope.BusARN(b.Name).String()), Description: b.Description, Policy: showPolicy(b.Policy),
			CreationTime: moment(b.Created), LastModifiedTime: moment(b.Modified),
		})
	}
	return out, nil
}

// busesAfter lists up to n buses, the default one among them, whose names have a prefix and come after another.
func (f *Front) busesAfter(s rialto.Scope, prefix, after string, n int) []*catalog.Bus {
	buses := values(f.catalog.Buses.List(catalog.ScopeKey(s)+prefix, catalog.ScopeKey(s)+after, n))
	const name = rialto.DefaultBus
	at, there := slices.BinarySearchFunc(buses, name, func(b *catalog.Bus, n rialto.BusName) int { return cmp.Compare(b.Name, n) })
	if !there && strings.HasPrefix(string(name), prefix) && string(name) > after {
		buses = slices.Insert(buses, at, &catalog.Bus{Name: name})
	}
	return buses[:min(n, len(buses))]
}

// The settings of a bus in their two forms: as the API has them, and as the catalog has them.

func keyOf(id *string) *string {
	if deref(id) == "" {
		return nil // back to the key of the service
	}
	return id
}

func deadLetterOf(c *DeadLetterConfig) *string {
	if c == nil {
		return nil
	}
	return new(deref(c.Arn))
}

func showDeadLetter(arn *string) *DeadLetterConfig {
	if arn == nil {
		return nil
	}
	return &DeadLetterConfig{Arn: text(*arn)}
}

func logConfigOf(c *LogConfig) json.RawMessage {
	if c == nil {
		return nil
	}
	return aws.JSON(c)
}

func showLogConfig(b *catalog.Bus) (*LogConfig, error) {
	if b.LogConfig == nil {
		return nil, nil
	}
	return aws.ParseJSON[LogConfig](b.LogConfig)
}
