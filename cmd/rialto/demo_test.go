package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// A newcomer should see every rule at work within a few seconds, and an event that nobody wants.
func TestEveryRuleOfTheDemoIsSeenAtWork(t *testing.T) {
	f, err := newForecast()
	if err != nil {
		t.Fatal(err)
	}
	seen, story := map[string]bool{}, newPlot()
	for range 2 * len(scenes) {
		ways, err := f.of(story.next())
		if err != nil {
			t.Fatal(err)
		}
		if len(ways) == 0 {
			seen["nobody"] = true
		}
		for _, w := range ways {
			seen[w.to] = true
		}
	}
	for _, to := range append(slices.Clone(receivers), "nobody") {
		if !seen[to] {
			t.Errorf("no event goes to %s", to)
		}
	}
}

func TestTheLedgerAddsUp(t *testing.T) {
	began := time.Unix(1000, 0)
	after := func(d time.Duration) time.Time { return began.Add(d) }
	l := newLedger()
	pay, customer, wrong, refused := &happening{ref: "pay-1"}, &happening{ref: "cus-1"}, &happening{ref: "cus-2"}, &happening{ref: "pay-2"}
	l.expect(pay, []way{{"large-payments", toBilling}, {"needs-a-person", toCare}}, began)
	l.expect(customer, []way{{"new-customers", toCRM}}, began)
	l.expect(wrong, []way{{"new-customers", toCRM}}, began)
	l.expect(&happening{ref: "ops-1"}, nil, began)
	l.forget(refused, l.expect(refused, []way{{"large-payments", toBilling}}, began))

	l.settle("pay-1", toBilling, legDelivered, "{}", after(2*time.Millisecond))
	l.turnedDown("cus-1", toCRM, "503", true)
	l.settle("cus-1", toCRM, legDelivered, "{}", after(3*time.Second))
	l.turnedDown("cus-2", toCRM, "422", false)
	l.settle("cus-2", toCRM, legDead, "422", after(time.Millisecond))
	l.settle("cus-1", toCRM, legDelivered, "{}", after(4*time.Second)) // once more
	l.settle("pay-9", toCRM, legDelivered, "{}", after(time.Second))   // from nowhere

	if l.events != 4 || l.unwanted != 1 || l.refused != 1 || l.repeated != 1 || l.strays != 1 || l.waiting != 1 {
		t.Errorf("events %d, unwanted %d, refused %d, repeated %d, strays %d, waiting %d", l.events, l.unwanted, l.refused, l.repeated, l.strays, l.waiting)
	}
	want := account{accepted: 4, delivered: 2, waiting: 1, dead: 1, retried: 1, p50: 2 * time.Millisecond, p99: 2 * time.Millisecond, lastRetried: 3 * time.Second}
	if got := l.account(""); got != want {
		t.Errorf("all\n got %+v\nwant %+v", got, want)
	}
	if got := l.account(toCRM); got.accepted != got.delivered+got.waiting+got.dead || got.accepted != 2 {
		t.Errorf("the CRM: %+v does not add up", got)
	}
}

func TestPercentiles(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		sorted []time.Duration
		p      int
		want   time.Duration
	}{{nil, 99, 0}, {hundred[:1], 50, 1}, {hundred[:1], 99, 1}, {hundred, 50, 50}, {hundred, 99, 99}, {hundred[:2], 50, 1}} {
		if got := percentile(c.sorted, c.p); got != c.want {
			t.Errorf("percentile %d of %d values is %v, want %v", c.p, len(c.sorted), got, c.want)
		}
	}
}

// An event is one block of lines; a delivery that ends later gets a line of its own.
func TestTheShowSaysWhatWentWhere(t *testing.T) {
	var out bytes.Buffer
	began := time.Now()
	s := newShow(&out, began)
	h, claim := &happening{ref: "cus-1", detailType: "Customer Registered"}, &happening{ref: "clm-1", detailType: "Claim Filed"}
	s.putting(h, []way{{"new-customers", toCRM}, {"bus → catalog-feed", toPartners}}, began)
	s.putting(claim, nil, began)
	s.arrived("cus-1", toPartners, `{"ref":"cus-1"}`, began.Add(2*time.Millisecond))
	s.turnedDown("cus-1", toCRM, "503 the CRM is down", true)
	s.showCards(false)
	s.arrived("cus-1", toCRM, "{\"name\":\"\x1b[2J\"}", began.Add(1500*time.Millisecond))
	want := []string{
		` 0.00s  Customer Registered  new-customers       webhook crm        again  cus-1: 503 the CRM is down`,
		`                             bus → catalog-feed  queue partners    2.0 ms  {"ref":"cus-1"}`,
		` 0.00s  Claim Filed          (no rule)`,
		` 1.50s  Customer Registered  new-customers       webhook crm        1.5 s  (attempt 2) {"name":"·[2J"}`,
	}
	if got := strings.Split(strings.TrimRight(out.String(), "\n"), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
