package inputs

import (
	"fmt"
	"strings"
)

// Mixed makes n rules as real deployments have them: nearly all name a source and a detail-type, most then test one or two
// fields of the detail, and a minority use the heavier operators. Common ones use only operators that every matcher under
// comparison has: no numeric ranges, no cidr, no anything-but other than a list of strings, no suffix.
func Mixed(n int, common bool) []Rule {
	r := newRandom()
	// A bus with many rules has them because they ask about particular things: beyond the first few hundred, most name one
	// customer, device, object.
	narrow := 0.0
	if n > 300 {
		narrow = 0.9 * (1 - 300/float64(n))
	}
	rules := make([]Rule, 0, n)
	for range n {
		k := kinds[r.n(len(kinds))]
		p := obj{"source": []any{k.source}}
		if r.chance(0.92) {
			p["detail-type"] = []any{k.detailType}
		}
		cs := clausesFor(r, k.detailType, common)
		if r.chance(narrow) {
			if r.chance(0.6) {
				cs = nil
			}
			cs = append(cs, particular(r, k.detailType))
		}
		for _, x := range cs {
			merge(p, x)
		}
		if r.chance(0.05) {
			p["account"] = []any{pick(r, accounts)}
		}
		rules = append(rules, Rule{Pattern: raw(p)})
	}
	return rules
}

func det(v any, path ...string) obj { return nest(append([]string{"detail"}, path...), v).(obj) }

// one writes a field test with a single alternative.
func one(alt any, path ...string) obj { return det([]any{alt}, path...) }

// particular is a test that picks out one thing of the kind.
func particular(r *random, detailType string) obj {
	cust := customerID(r.skew(customers))
	instance := "i-" + r.letters(17, hexDigits)
	switch detailType {
	case "OrderPlaced":
		if r.chance(0.3) {
			return one(productSKU(r.skew(products)), "items", "sku")
		}
		return one(cust, "customer", "id")
	case "PaymentCaptured":
		return one(cust, "customerId")
	case "Object Created":
		return one(prefix(pick(r, folders)+r.letters(2, base62)), "object", "key")
	case "EC2 Instance State-change Notification":
		return one(instance, "instance-id")
	case "pull_request":
		return one(r.between(1, 9000), "number")
	case "TelemetryReported":
		return one(deviceID(r.skew(deviceN)), "deviceId")
	case "charge.succeeded":
		return one(cust, "data", "object", "customer")
	case "AWS API Call via CloudTrail":
		return one(prefix(pick(r, folders)+r.letters(2, base62)), "requestParameters", "key")
	case "GuardDuty Finding":
		return one(instance, "resource", "instanceDetails", "instanceId")
	case "ECS Task State Change":
		return one(wildcard("arn:aws:ecs:*:task/prod/"+r.letters(4, hexDigits)+"*"), "taskArn")
	case "UserSignedUp":
		return one(cust, "userId")
	}
	return one(productSKU(r.skew(products)), "sku")
}

func atLeast(x float64) obj { return obj{"numeric": []any{">=", x}} }
func inRange(lo, hi float64) obj {
	return obj{"numeric": []any{">", lo, "<=", hi}}
}

// some returns one to three distinct members of xs as alternatives.
func some(r *random, xs []string) []any {
	var out []any
	seen := map[string]bool{}
	for range 1 + r.skew(3) {
		x := xs[r.skew(len(xs))]
		if !seen[x] {
			seen[x] = true
			out = append(out, x)
		}
	}
	return out
}

func but(xs ...string) obj  { return obj{"anything-but": list(xs...)} }
func prefix(s string) obj   { return obj{"prefix": s} }
func wildcard(s string) obj { return obj{"wildcard": s} }
func fold(s string) obj     { return obj{"equals-ignore-case": s} }
func exists(b bool) obj     { return obj{"exists": b} }

// either asks for any one of the branches, each an object within detail.
func either(branches ...obj) obj { return det(list(branches...), "$or") }

// clausesFor draws the detail tests of one rule. Each kind of event has its
// own ways of being asked for; common rule sets do without the heavy ones.
func clausesFor(r *random, detailType string, common bool) []obj {
	type maker struct {
		weight int
		heavy  bool // not for common sets
		make   func() []obj
	}
	is := func(xs ...obj) []obj { return xs }
	cust := func() string { return customerID(r.skew(customers)) }
	var ms []maker
	add := func(weight int, f func() []obj) { ms = append(ms, maker{weight, false, f}) }
	heavy := func(weight int, f func() []obj) { ms = append(ms, maker{weight, true, f}) }
	switch detailType {
	case "OrderPlaced":
		add(2, func() []obj { return nil })
		add(4, func() []obj { return is(one(cust(), "customer", "id")) })
		add(2, func() []obj { return is(det(some(r, currencies), "currency"), det(some(r, channels), "channel")) })
		add(2, func() []obj { return is(one(productSKU(r.skew(products)), "items", "sku")) })
		add(1, func() []obj { return is(one(but("DE", "FR"), "shipping", "address", "country")) })
		add(1, func() []obj { return is(one(exists(true), "voucher"), det(some(r, plans), "customer", "tier")) })
		add(1, func() []obj {
			return is(either(obj{"customer": obj{"new": []any{true}}}, obj{"channel": []any{pick(r, channels)}}))
		})
		heavy(3, func() []obj { return is(one(atLeast(float64(50*r.between(1, 40))), "total")) })
		heavy(1, func() []obj { return is(one(obj{"anything-but": obj{"prefix": "SKU-00"}}, "items", "sku")) })
	case "PaymentCaptured":
		add(1, func() []obj { return nil })
		add(4, func() []obj { return is(one(cust(), "customerId")) })
		add(2, func() []obj { return is(det(some(r, currencies), "currency"), one("card", "method", "type")) })
		add(1, func() []obj {
			return is(det([]any{"elevated", "highest"}, "risk", "level"), one(true, "threeDSecure"))
		})
		add(1, func() []obj { return is(one(fold(pick(r, []string{"VISA", "MasterCard", "Amex"})), "method", "brand")) })
		heavy(4, func() []obj {
			lo := float64(25 * r.n(120))
			return is(one(inRange(lo, lo+float64(25*r.between(1, 30))), "amount"))
		})
		heavy(1, func() []obj {
			return is(either(obj{"risk": obj{"score": []any{atLeast(float64(r.between(50, 95)))}}}, obj{"attempt": []any{3}}))
		})
	case "Object Created":
		add(3, func() []obj { return is(det(some(r, buckets), "bucket", "name")) })
		add(5, func() []obj {
			return is(det(some(r, buckets), "bucket", "name"), one(prefix(pick(r, folders)), "object", "key"))
		})
		add(2, func() []obj { return is(one(wildcard(pick(r, folders)+"*"+pick(r, extensions)), "object", "key")) })
		add(1, func() []obj { return is(one(but("CopyObject"), "reason")) })
		add(2, func() []obj {
			return is(one(prefix(pick(r, folders)+r.letters(2, base62)), "object", "key"))
		})
		heavy(2, func() []obj { return is(one(obj{"suffix": pick(r, extensions)}, "object", "key")) })
		heavy(1, func() []obj { return is(one(atLeast(float64(1000000*r.between(1, 40))), "object", "size")) })
		heavy(1, func() []obj { return is(one(obj{"cidr": "10.0." + fmt.Sprint(r.n(4)) + ".0/24"}, "source-ip-address")) })
	case "EC2 Instance State-change Notification":
		add(5, func() []obj { return is(det(some(r, ec2States), "state")) })
		add(1, func() []obj { return is(one("i-"+r.letters(17, hexDigits), "instance-id")) })
		add(1, func() []obj { return is(one(but("running"), "state")) })
	case "pull_request":
		add(4, func() []obj {
			return is(det(some(r, prActions), "action"), det(some(r, repos), "repository", "full_name"))
		})
		add(2, func() []obj {
			return is(one("closed", "action"), one(true, "pull_request", "merged"), one("main", "pull_request", "base",
				"ref"))
		})
		add(1, func() []obj { return is(one(prefix("release/"), "pull_request", "base", "ref")) })
		add(1, func() []obj { return is(one(wildcard("dependabot/*"), "pull_request", "head", "ref")) })
		add(1, func() []obj { return is(det([]any{"security", "bug"}, "pull_request", "labels", "name")) })
		add(1, func() []obj { return is(one(false, "pull_request", "draft"), one(but("closed"), "action")) })
		heavy(1, func() []obj { return is(one(atLeast(float64(100*r.between(1, 20))), "pull_request", "additions")) })
	case "TelemetryReported":
		add(5, func() []obj { return is(one(deviceID(r.skew(deviceN)), "deviceId")) })
		add(2, func() []obj { return is(one(fmt.Sprintf("site-%03d", r.n(200)), "site")) })
		add(2, func() []obj { return is(det([]any{"WARN", "FAULT"}, "status"), det(some(r, devices), "deviceType")) })
		add(1, func() []obj { return is(one(prefix(fmt.Sprintf("%d.%d.", 2+r.n(3), r.n(7))), "firmware")) })
		heavy(3, func() []obj { return is(one(obj{"numeric": []any{"<", r.between(2, 30)}}, "battery")) })
		heavy(2, func() []obj {
			return is(one(atLeast(float64(r.between(380, 449))/10), "readings", "temperature"))
		})
	case "charge.succeeded":
		add(3, func() []obj { return is(one(cust(), "data", "object", "customer")) })
		add(2, func() []obj {
			return is(one(strings.ToLower(pick(r, currencies)), "data", "object", "currency"), one(true, "livemode"))
		})
		add(1, func() []obj {
			return is(det(some(r, channels), "data", "object", "metadata", "channel"))
		})
		heavy(3, func() []obj { return is(one(atLeast(float64(1000*r.between(1, 800))), "data", "object", "amount")) })
	case "AWS API Call via CloudTrail":
		add(4, func() []obj {
			return is(det(some(r, apiSources), "eventSource"), det(some(r, apiCalls), "eventName"))
		})
		add(2, func() []obj { return is(one(exists(true), "errorCode"), det(some(r, apiCalls), "eventName")) })
		add(1, func() []obj { return is(one(exists(false), "errorCode"), det(some(r, regions), "awsRegion")) })
		add(1, func() []obj { return is(one("Root", "userIdentity", "type")) })
		add(2, func() []obj {
			return is(one(wildcard("arn:aws:sts::"+pick(r, accounts)+":assumed-role/*/session"), "userIdentity", "arn"))
		})
		add(1, func() []obj { return is(one(prefix("Delete"), "eventName")) })
		heavy(1, func() []obj { return is(one(obj{"cidr": fmt.Sprintf("10.0.%d.0/24", r.n(4))}, "sourceIPAddress")) })
		heavy(1, func() []obj {
			return is(one(obj{"anything-but": obj{"prefix": "Describe"}}, "eventName"), one(false, "readOnly"))
		})
	case "GuardDuty Finding":
		add(2, func() []obj { return is(det(some(r, findings), "type")) })
		add(1, func() []obj { return is(one(prefix("UnauthorizedAccess:"), "type")) })
		add(1, func() []obj {
			return is(one("prod", "resource", "instanceDetails", "tags", "value"), one("env", "resource", "instanceDetails",
				"tags", "key"))
		})
		heavy(4, func() []obj { return is(one(atLeast(float64(r.between(4, 8))), "severity")) })
		heavy(1, func() []obj {
			return is(one(obj{"cidr": "10.0.0.0/22"}, "service", "action", "portProbeAction", "portProbeDetails",
				"remoteIpDetails", "ipAddressV4"))
		})
	case "ECS Task State Change":
		add(3, func() []obj {
			return is(det(some(r, []string{"STOPPED", "RUNNING", "PENDING"}), "lastStatus"), one("service:"+pick(r,
				[]string{"checkout", "web", "search"}), "group"))
		})
		add(1, func() []obj { return is(one(wildcard("*container*exited"), "stoppedReason")) })
		add(1, func() []obj { return is(one(but("app", "envoy"), "containers", "name")) })
		heavy(2, func() []obj {
			return is(one(obj{"anything-but": []any{0}}, "containers", "exitCode"), one("STOPPED", "lastStatus"))
		})
	case "UserSignedUp":
		add(3, func() []obj { return is(det(some(r, plans), "plan"), det(some(r, countries), "country")) })
		add(1, func() []obj { return is(one(wildcard("*@corp.example"), "email")) })
		add(1, func() []obj { return is(one(exists(true), "referrer")) })
		heavy(2, func() []obj { return is(one(obj{"suffix": "@example.com"}, "email")) })
		heavy(1, func() []obj { return is(one(obj{"suffix": obj{"equals-ignore-case": "@EXAMPLE.ORG"}}, "email")) })
	case "StockLevelChanged":
		add(4, func() []obj { return is(one(productSKU(r.skew(products)), "sku")) })
		add(2, func() []obj {
			return is(one(fmt.Sprintf("wh-%02d", r.n(20)), "warehouse"), one(but("count"), "reason"))
		})
		add(1, func() []obj { return is(one(0, "available")) })
		heavy(4, func() []obj { return is(one(obj{"numeric": []any{"<=", 5 * r.between(1, 10)}}, "available")) })
	}
	total := 0
	for _, m := range ms {
		if !m.heavy || !common {
			total += m.weight
		}
	}
	at := r.n(total)
	for _, m := range ms {
		if m.heavy && common {
			continue
		}
		if at -= m.weight; at < 0 {
			return m.make()
		}
	}
	return nil
}

// Scale makes n rules of one operator over the citylots events, each rule with its own value, so that one number, n, is what
// changes.
func Scale(op string, n int) []Rule {
	s := scale{random: newRandom(), seen: make(map[string]bool)}
	rules := make([]Rule, n)
	for i := range rules {
		rules[i] = Rule{Pattern: raw(s.pattern(op))}
	}
	return rules
}

type scale struct {
	*random
	seen map[string]bool
}

// fresh draws until it gets what was not there before.
func (s *scale) fresh(draw func() string) string {
	for {
		if x := draw(); !s.seen[x] {
			s.seen[x] = true
			return x
		}
	}
}

func (s *scale) lot() string {
	return s.fresh(func() string { return fmt.Sprintf("%04d%03d", s.between(1, 8719), 1+s.skew(400)) })
}

func (s *scale) pattern(op string) obj {
	property := func(name string, test any) obj { return pat(c(test, "properties", name)) }
	switch op {
	case "exact":
		return property("MAPBLKLOT", s.lot())
	case "exact2": // two fields, both needed
		return pat(c(s.lot(), "properties", "MAPBLKLOT"), c(pick(s.random, []string{"E", "O"}), "properties", "ODD_EVEN"))
	case "prefix":
		return property("MAPBLKLOT", prefix(s.lot()[:5]+s.letters(1, digits)))
	case "suffix":
		return property("MAPBLKLOT", obj{"suffix": s.lot()[2:]})
	case "wildcard":
		lot := s.lot()
		return property("MAPBLKLOT", wildcard(lot[:3]+"*"+lot[5:]))
	case "wildcard-lead": // starts with the star: the hard kind
		lot := s.lot()
		return property("MAPBLKLOT", wildcard("*"+lot[1:3]+"*"+lot[5:]))
	case "ignore-case":
		return property("STREET", fold(s.fresh(func() string {
			return pick(s.random, streetFill) + " " + s.letters(3,
				digits)
		})))
	case "anything-but": // each rule matches nearly every event
		return property("MAPBLKLOT", but(s.lot()))
	case "numeric":
		lo := -122.5147 + float64(s.f()*0.157)
		return pat(c(obj{"numeric": []any{">=", lo, "<", lo + 0.0002}}, "geometry", "firstCoordinates", "x"))
	case "or":
		return obj{"properties": obj{"$or": list(obj{"MAPBLKLOT": []any{s.lot()}},
			obj{"FROM_ST": []any{s.fresh(func() string { return s.letters(6, digits) })}})}}
	}
	panic("no such operator: " + op)
}
