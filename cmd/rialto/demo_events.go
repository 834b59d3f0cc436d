package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/rialto-events/rialto/pattern"
)

// The buses of the demo: everything of the shop goes over the first; what other companies may see goes through a rule to the
// second.
const (
	shopBus    = "shop"
	partnerBus = "partners"
)

// The receivers of the demo.
const (
	toBilling  = "queue billing"
	toCare     = "queue care"
	toPartners = "queue partners"
	toRisk     = "webhook risk"
	toCRM      = "webhook crm"
)

var receivers = []string{toBilling, toCare, toPartners, toRisk, toCRM}

// A demoRule is a rule with one target: a receiver, or another bus.
type demoRule struct {
	bus, name string
	pattern   string
	to        string            // a receiver, or "bus " and its name
	inputPath string            // what the target receives is this part of the event,
	template  string            // or this template,
	paths     map[string]string // filled in with the values at these paths; else it is the event
	breaker   string            // when the circuit of its target opens; "" as usual
}

// demoRules shows a kind of filter with each rule.
var demoRules = []demoRule{
	{
		bus: shopBus, name: "large-payments", to: toBilling, // numbers compare by value
		pattern:  `{"detail-type": ["Payment Captured"], "detail": {"data": {"amount": [{"numeric": [">=", 100]}]}}}`,
		template: `{"ref":<id>,"euros":<euros>,"customer":<customer>}`,
		paths:    map[string]string{"id": "$.detail.metadata.id", "euros": "$.detail.data.amount", "customer": "$.detail.data.customer"},
	},
	{
		bus: shopBus, name: "failed-payments", to: toRisk, // prefix, and anything but one value
		pattern: `{"detail-type": [{"prefix": "Payment "}], "detail": {"metadata": {"status": ["failed"]},
			"data": {"reason": [{"anything-but": ["cancelled by customer"]}]}}}`,
		inputPath: "$.detail",
	},
	{
		bus: shopBus, name: "new-customers", to: toCRM, // suffix, and a field that must be there
		pattern:  `{"source": [{"suffix": ".customers"}], "detail": {"data": {"email": [{"exists": true}]}}}`,
		template: `{"ref":<id>,"name":<name>,"email":<email>}`,
		paths:    map[string]string{"id": "$.detail.metadata.id", "name": "$.detail.data.name", "email": "$.detail.data.email"},
		breaker:  "50%/3s/4", // sooner than by itself: the demo is short
	},
	{
		bus: shopBus, name: "needs-a-person", to: toCare, // one or the other
		pattern: `{"$or": [{"detail-type": ["Claim Filed"], "detail": {"data": {"amount": [{"numeric": [">", 1000]}]}}},
			{"detail": {"data": {"reason": [{"equals-ignore-case": "Suspected Fraud"}]}}}]}`,
		template: `{"ref":<id>,"why":"<type>, <reason>","rule":"<aws.events.rule-name>"}`,
		paths:    map[string]string{"id": "$.detail.metadata.id", "type": "$.detail-type", "reason": "$.detail.data.reason"},
	},
	{
		bus: shopBus, name: "domain-events", to: "bus " + partnerBus, // the gate: nothing internal gets out
		pattern: `{"source": [{"anything-but": {"prefix": "shop.internal"}}], "detail": {"metadata": {"kind": ["domain"]}}}`,
	},
	{
		bus: partnerBus, name: "catalog-feed", to: toPartners, // wildcard
		pattern:  `{"detail-type": [{"wildcard": "Product *ed"}]}`,
		template: `{"ref":<id>,"product":<name>,"price":<price>}`,
		paths:    map[string]string{"id": "$.detail.metadata.id", "name": "$.detail.data.name", "price": "$.detail.data.price"},
	},
}

// circuitsRule lets the show hear of circuits. It is not among the others: nothing of the shop goes through it.
var circuitsRule = demoRule{
	bus: "default", name: "circuits", to: circuits,
	pattern: `{"source": ["rialto"], "detail-type": [{"prefix": "Destination Circuit "}]}`,
}

// A happening is an event as its producer puts it.
type happening struct {
	ref        string // detail.metadata.id, which every target receives in one form or another, such as "pay-1001"
	source     string
	detailType string
	detail     string
}

// A plot makes up events: always the same ones, in the same order.
type plot struct {
	random *rand.Rand
	n      int // events so far
	seen   map[string]int
}

func newPlot() *plot {
	return &plot{random: rand.New(rand.NewPCG(4566, 1)), seen: map[string]int{}}
}

// scenes is the order in which kinds of events come, again and again.
var scenes = []func(*plot) happening{
	captured, registered, product, declined, captured, registered, claim, captured, registered, product, declined, heartbeat,
}

// next is what happens next.
func (p *plot) next() happening {
	scene := scenes[p.n%len(scenes)]
	p.n++
	return scene(p)
}

// of makes a happening; detail has two parts, as in many companies: what is the same for all events, and what is this one's own.
func (p *plot) of(prefix, kind, source, detailType, status string, data map[string]any) happening {
	p.seen[prefix]++
	ref := fmt.Sprintf("%s-%d", prefix, 1000+p.seen[prefix])
	detail, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"id": ref, "kind": kind, "version": "1.2", "status": status},
		"data":     data,
	})
	if err != nil {
		panic(err) // the data is ours
	}
	return happening{ref: ref, source: source, detailType: detailType, detail: string(detail)}
}

func (p *plot) customer() string { return fmt.Sprintf("c-%d", 100+p.random.IntN(900)) }

// amount is some money, from about 5 to 1,000 with cents.
func (p *plot) amount() float64 { return float64(500+p.random.IntN(100_000)) / 100 }

func captured(p *plot) happening {
	return p.of("pay", "domain", "shop.payments", "Payment Captured", "captured",
		map[string]any{"amount": p.amount(), "currency": "EUR", "customer": p.customer()})
}

var reasons = []string{"card declined", "cancelled by customer", "suspected fraud", "card declined"}

func declined(p *plot) happening {
	return p.of("pay", "domain", "shop.payments", "Payment Failed", "failed",
		map[string]any{"amount": p.amount(), "currency": "EUR", "customer": p.customer(), "reason": reasons[p.n/2%len(reasons)]})
}

var products = []string{"espresso machine", "desk lamp", "rain jacket", "chess set", "field guide", "wool blanket"}

func product(p *plot) happening {
	return p.of("prd", "domain", "shop.products", "Product Registered", "active",
		map[string]any{"name": products[p.seen["prd"]%len(products)], "price": p.amount()})
}

var names = []string{"Ada", "Grace", "Edsger", "Barbara", "Alan", "Radia", "Leslie", "Frances"}

// registered is a new customer. The address of every seventh, from the third on, is none: no retry will help with that.
func registered(p *plot) happening {
	n := p.seen["cus"]
	name := names[n%len(names)]
	email := name + "@example.com"
	if n%7 == 2 {
		email = "unknown"
	}
	return p.of("cus", "domain", "shop.customers", "Customer Registered", "new", map[string]any{"name": name, "email": email})
}

func claim(p *plot) happening {
	return p.of("clm", "local", "shop.internal.claims", "Claim Filed", "open",
		map[string]any{"amount": 900 + p.random.IntN(2000), "customer": p.customer(), "reason": "water damage"})
}

func heartbeat(p *plot) happening {
	return p.of("ops", "operational", "shop.internal.health", "Service Is Up", "ok", map[string]any{"service": "payments"})
}

// A forecast tells from the patterns alone where an event should go. The demo compares it with what the engine does.
type forecast struct {
	sets    map[string]*pattern.Set // by bus
	scratch pattern.Scratch
}

func newForecast() (*forecast, error) {
	f := &forecast{sets: map[string]*pattern.Set{shopBus: {}, partnerBus: {}}}
	for i, r := range demoRules {
		p, err := pattern.Parse([]byte(r.pattern))
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.name, err)
		}
		f.sets[r.bus].Add(pattern.ID(i), p)
	}
	return f, nil
}

// A way is how an event gets to a receiver.
type way struct {
	rule string // the last one on the way
	to   string
}

// of lists the ways of an event.
func (f *forecast) of(h happening) ([]way, error) {
	event, err := json.Marshal(map[string]any{"source": h.source, "detail-type": h.detailType, "detail": json.RawMessage(h.detail)})
	if err != nil {
		return nil, err
	}
	return f.from(shopBus, event, "")
}

func (f *forecast) from(bus string, event []byte, via string) ([]way, error) {
	ids, err := f.sets[bus].Match(event, &f.scratch)
	if err != nil {
		return nil, err
	}
	matched := make(map[int]bool, len(ids))
	for _, id := range ids {
		matched[int(id)] = true
	}
	var ways []way
	for i, r := range demoRules {
		switch {
		case !matched[i]:
		case r.to == "bus "+partnerBus:
			further, err := f.from(partnerBus, event, "bus → ")
			if err != nil {
				return nil, err
			}
			ways = append(ways, further...)
		default:
			ways = append(ways, way{via + r.name, r.to})
		}
	}
	return ways, nil
}
