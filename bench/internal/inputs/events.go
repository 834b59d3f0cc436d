package inputs

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Twelve kinds of event as they go over a real bus. Everything in them is made up; the shapes (which fields, how deep, how
// long) follow what such senders publish in their documentation.

// Pools that events and rules both draw from. Low indexes are the frequent ones.
var (
	accounts   = []string{"111122223333", "444455556666", "123456789012", "210987654321"}
	regions    = []string{"eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2"}
	currencies = []string{"EUR", "USD", "GBP", "AUD", "SEK"}
	countries  = []string{"DE", "US", "FR", "GB", "AU", "SE", "NL", "ES"}
	buckets    = []string{"acme-uploads", "acme-invoices-prod", "acme-datalake-raw", "acme-logs", "partner-drop",
		"media-originals"}
	folders = []string{"incoming/", "invoices/2026/", "images/products/", "exports/daily/", "raw/events/", "tmp/",
		"archive/2025/"}
	extensions = []string{".csv", ".pdf", ".jpg", ".parquet", ".json.gz", ".png", ".xml"}
	ec2States  = []string{"running", "stopped", "pending", "stopping", "shutting-down", "terminated"}
	repos      = []string{"acme/checkout", "acme/web", "acme/infra", "acme/mobile", "acme/docs", "acme/payments",
		"acme/search"}
	branches  = []string{"main", "release/2026.1", "feature/cart-v2", "hotfix/tax", "dependabot/go_modules/x"}
	prActions = []string{"opened", "synchronize", "closed", "reopened", "labeled", "review_requested"}
	devices   = []string{"thermostat", "pump", "gateway", "meter", "camera"}
	apiCalls  = []string{"PutObject", "RunInstances", "DeleteBucket", "CreateUser", "AssumeRole", "PutRolePolicy",
		"DescribeInstances", "UpdateFunctionCode20150331v2"}
	apiSources = []string{"s3.amazonaws.com", "ec2.amazonaws.com", "iam.amazonaws.com", "sts.amazonaws.com",
		"lambda.amazonaws.com"}
	findings = []string{"UnauthorizedAccess:EC2/SSHBruteForce", "Recon:EC2/PortProbeUnprotectedPort",
		"CryptoCurrency:EC2/BitcoinTool.B!DNS", "Policy:IAMUser/RootCredentialUsage"}
	plans      = []string{"free", "team", "business", "enterprise"}
	channels   = []string{"web", "ios", "android", "pos", "marketplace"}
	firstNames = []string{"Ana", "Björn", "Chloé", "Dmitri", "Eszter", "Fatima", "Giorgio", "Hana"}
	lastNames  = []string{"Novak", "Lindqvist", "O'Brien", "Müller", "García", "Okafor", "Tanaka", "Rossi"}
	words      = strings.Fields(`the cart total is rounded twice when a voucher and a gift card are combined so the
 invoice differs from the order by one cent which breaks reconciliation this change moves rounding to a single place adds tests
 and removes the old helper reviewers please look at the migration first it is safe to run twice and keeps the old column`)
)

func customerID(k int) string { return fmt.Sprintf("cus_%06d", k) }
func productSKU(k int) string { return fmt.Sprintf("SKU-%05d", k) }
func deviceID(k int) string   { return fmt.Sprintf("dev-%05d", k) }

const (
	customers = 100000
	products  = 20000
	deviceN   = 50000
)

func money(r *random, top int) float64 { return float64(1+r.skew(top*100)) / 100 }

func prose(r *random, n int) string {
	s := make([]string, n)
	for i := range s {
		s[i] = pick(r, words)
	}
	return strings.Join(s, " ")
}

func ip(r *random) string {
	if r.chance(0.4) {
		return fmt.Sprintf("10.0.%d.%d", r.n(4), r.between(1, 254))
	}
	return fmt.Sprintf("%d.%d.%d.%d", r.between(11, 220), r.n(256), r.n(256), r.between(1, 254))
}

type clock struct {
	r  *random
	at time.Time
}

func (c *clock) next() time.Time {
	c.at = c.at.Add(time.Duration(1+c.r.n(2000)) * time.Millisecond)
	return c.at
}

type kind struct {
	weight     int
	source     string
	detailType string
	arn        func(r *random, acct, region string) []any
	detail     func(r *random, t time.Time) ob
}

func noARN(*random, string, string) []any { return []any{} }

var kinds = []kind{
	{16, "com.acme.orders", "OrderPlaced", noARN, orderPlaced},
	{14, "com.acme.payments", "PaymentCaptured", noARN, paymentCaptured},
	{12, "aws.s3", "Object Created", func(r *random, _, _ string) []any { return list("arn:aws:s3:::" + pick(r, buckets)) },
		objectCreated},
	{8, "aws.ec2", "EC2 Instance State-change Notification", func(r *random, a, g string) []any {
		return list("arn:aws:ec2:" + g + ":" + a + ":instance/i-" + r.letters(17, hexDigits))
	}, ec2State},
	{6, "aws.partner/github.com/acme", "pull_request", noARN, pullRequest},
	{16, "com.acme.iot", "TelemetryReported", noARN, telemetry},
	{6, "aws.partner/stripe.com/acct_1", "charge.succeeded", noARN, charge},
	{8, "aws.cloudtrail", "AWS API Call via CloudTrail", noARN, apiCall},
	{2, "aws.guardduty", "GuardDuty Finding", noARN, finding},
	{4, "aws.ecs", "ECS Task State Change", func(r *random, a, g string) []any {
		return list("arn:aws:ecs:" + g + ":" + a + ":task/prod/" + r.letters(32, hexDigits))
	}, ecsTask},
	{4, "com.acme.accounts", "UserSignedUp", noARN, signedUp},
	{4, "com.acme.inventory", "StockLevelChanged", noARN, stock},
}

func orderPlaced(r *random, t time.Time) ob {
	var items []any
	total := 0.0
	for range r.between(1, 8) {
		q, p := r.between(1, 4), money(r, 200)
		total += float64(float64(q) * p)
		items = append(items, o("sku", productSKU(r.skew(products)), "name", prose(r, 3), "quantity", q,
			"unitPrice", p, "taxRate", pick(r, []float64{0, 0.07, 0.19, 0.25}), "tags", list(pick(r, words), pick(r, words))))
	}
	total = float64(int(total*100)) / 100
	country := countries[r.skew(len(countries))]
	return o("orderId", "ord_"+r.letters(16, base62), "customer", o("id", customerID(r.skew(customers)),
		"email", strings.ToLower(r.letters(8, base62))+"@example.com", "firstName", pick(r, firstNames), "lastName", pick(r,
			lastNames),
		"tier", plans[r.skew(len(plans))], "new", r.chance(0.2)),
		"channel", channels[r.skew(len(channels))], "currency", currencies[r.skew(len(currencies))], "total", total,
		"itemCount", len(items), "items", items,
		"shipping", o("method", pick(r, []string{"standard", "express", "pickup"}), "address", o("line1", prose(r,
			2)+" "+strconv.Itoa(r.n(200)),
			"city", pick(r, []string{"Berlin", "Lyon", "Sydney", "Malmö", "Austin"}), "postalCode", r.letters(5, digits),
			"country", country)),
		"voucher", pick(r, []any{nil, "SPRING", "STAFF20"}), "placedAt", t.Format(time.RFC3339Nano))
}

func paymentCaptured(r *random, t time.Time) ob {
	return o("paymentId", "pay_"+r.letters(20, base62), "orderId", "ord_"+r.letters(16, base62), "customerId",
		customerID(r.skew(customers)),
		"amount", money(r, 5000), "currency", currencies[r.skew(len(currencies))],
		"method", o("type", pick(r, []string{"card", "card", "card", "sepa_debit", "paypal"}), "brand", pick(r,
			[]string{"visa", "mastercard", "amex"}), "last4", r.letters(4, digits), "country", pick(r, countries)),
		"risk", o("score", r.n(100), "level", pick(r, []string{"normal", "normal", "elevated", "highest"})),
		"attempt", r.between(1, 3), "threeDSecure", r.chance(0.6), "capturedAt", t.Format(time.RFC3339Nano))
}

func objectCreated(r *random, _ time.Time) ob {
	return o("version", "0", "bucket", o("name", buckets[r.skew(len(buckets))]),
		"object", o("key", folders[r.skew(len(folders))]+r.letters(r.between(8, 24), base62)+pick(r, extensions), "size",
			100+r.skew(50000000),
			"etag", r.letters(32, hexDigits), "version-id", r.letters(32, base62), "sequencer", r.letters(16,
				"0123456789ABCDEF")),
		"request-id", r.letters(16, base62), "requester", pick(r, accounts), "source-ip-address", ip(r),
		"reason", pick(r, []string{"PutObject", "PutObject", "CompleteMultipartUpload", "CopyObject"}))
}

func ec2State(r *random, _ time.Time) ob {
	return o("instance-id", "i-"+r.letters(17, hexDigits), "state", ec2States[r.skew(len(ec2States))])
}

func githubUser(r *random) ob {
	login := strings.ToLower(pick(r, firstNames)) + r.letters(3, digits)
	u := "https://api.example.com/users/" + login
	return o("login", login, "id", r.n(90000000), "node_id", "U_"+r.letters(16, base62), "avatar_url",
		"https://avatars.example.com/u/"+r.letters(8, digits)+"?v=4",
		"url", u, "html_url", "https://git.example.com/"+login, "followers_url", u+"/followers", "following_url",
		u+"/following{/other_user}",
		"gists_url", u+"/gists{/gist_id}", "starred_url", u+"/starred{/owner}{/repo}", "subscriptions_url",
		u+"/subscriptions",
		"organizations_url", u+"/orgs", "repos_url", u+"/repos", "events_url", u+"/events{/privacy}", "type", "User",
		"site_admin", false)
}

func pullRequest(r *random, t time.Time) ob {
	full := repos[r.skew(len(repos))]
	n := r.between(1, 9000)
	api := "https://api.example.com/repos/" + full
	now := t.Format(time.RFC3339)
	repo := o("id", r.n(900000000), "node_id", "R_"+r.letters(16, base62), "name", strings.Split(full, "/")[1], "full_name",
		full, "private", true, "owner", githubUser(r),
		"html_url", "https://git.example.com/"+full, "description", prose(r, 8), "fork", false, "url", api)
	for _, s := range strings.Fields(`forks keys collaborators teams hooks issue_events events assignees branches tags blobs
		git_tags git_refs trees statuses languages stargazers contributors subscribers subscription commits git_commits comments
		issue_comment contents compare merges archive downloads issues pulls milestones notifications labels releases
		deployments`) {
		repo = append(repo, s+"_url", api+"/"+s+"{/id}")
	}
	repo = append(repo, "created_at", now, "updated_at", now, "pushed_at", now, "size", r.n(90000), "stargazers_count",
		r.n(400), "language", pick(r, []string{"Go", "TypeScript", "HCL"}),
		"has_issues", true, "has_wiki", false, "archived", false, "open_issues_count", r.n(90), "topics", list("shop",
			"backend"), "visibility", "private", "default_branch", "main")
	var labels []any
	for range r.n(4) {
		labels = append(labels, o("id", r.n(90000), "name", pick(r, []string{"bug", "security", "needs-review", "size/L",
			"automerge"}), "color", r.letters(6, hexDigits), "default", false))
	}
	if labels == nil {
		labels = []any{}
	}
	side := func(ref string) ob {
		return o("label", "acme:"+ref, "ref", ref, "sha", r.letters(40, hexDigits), "user", githubUser(r))
	}
	action := prActions[r.skew(len(prActions))]
	return o("action", action, "number", n, "pull_request", o("url", fmt.Sprintf("%s/pulls/%d", api, n), "id",
		r.n(900000000), "number", n,
		"state", pick(r, []string{"open", "closed"}), "locked", false, "title", prose(r, 7), "user", githubUser(r), "body",
		prose(r, 160)+"\n\n- [x] tests\n- [ ] docs \"later\"\n",
		"labels", labels, "draft", r.chance(0.2), "merged", action == "closed" && r.chance(0.8), "mergeable", nil, "head",
		side(pick(r, branches)), "base", side(branches[r.skew(2)]),
		"requested_reviewers", list(githubUser(r)), "comments", r.n(20), "commits", r.between(1, 30), "additions",
		r.skew(4000), "deletions", r.skew(2000), "changed_files", r.between(1, 80),
		"created_at", now, "updated_at", now),
		"repository", repo, "organization", o("login", "acme", "id", 4242, "url", "https://api.example.com/orgs/acme"),
		"sender", githubUser(r))
}

func telemetry(r *random, t time.Time) ob {
	var readings []any
	for i := range r.between(6, 20) {
		readings = append(readings, o("t", int(t.Add(-time.Duration(i)*time.Second).UnixMilli()), "temperature",
			float64(150+r.n(300))/10, "humidity", float64(r.n(1000))/10, "rssi", -r.between(30, 95)))
	}
	k := r.skew(deviceN)
	return o("deviceId", deviceID(k), "deviceType", devices[k%len(devices)], "firmware", fmt.Sprintf("%d.%d.%d", 2+k%3, k%7,
		k%11), "site", fmt.Sprintf("site-%03d", k%200),
		"battery", r.n(101), "status", pick(r, []string{"OK", "OK", "OK", "WARN", "FAULT"}), "location", o("lat", 47+r.f(),
			"lon", 8+r.f()), "readings", readings)
}

func charge(r *random, t time.Time) ob {
	amt := 100 + r.skew(900000)
	return o("id", "evt_"+r.letters(24, base62), "object", "event", "api_version", "2025-08-27", "created", int(t.Unix()),
		"livemode", true, "pending_webhooks", 1, "type", "charge.succeeded",
		"request", o("id", nil, "idempotency_key", r.uuid()),
		"data", o("object", o("id", "ch_"+r.letters(24, base62), "object", "charge", "amount", amt, "amount_captured", amt,
			"amount_refunded", 0, "balance_transaction", "txn_"+r.letters(24, base62),
			"billing_details", o("address", o("city", nil, "country", countries[r.skew(len(countries))], "line1", nil,
				"postal_code", r.letters(5, digits), "state", nil), "email", "b@example.com", "name", pick(r,
				firstNames)+" "+pick(r, lastNames), "phone", nil),
			"captured", true, "created", int(t.Unix()), "currency", strings.ToLower(currencies[r.skew(len(currencies))]),
			"customer", customerID(r.skew(customers)), "description", prose(r, 5), "disputed", false,
			"metadata", o("order_id", "ord_"+r.letters(16, base62), "channel", channels[r.skew(len(channels))]),
			"outcome", o("network_status", "approved_by_network", "reason", nil, "risk_level", pick(r, []string{"normal",
				"elevated", "highest"}), "risk_score", r.n(100), "seller_message", "Payment complete.", "type", "authorized"),
			"paid", true, "payment_intent", "pi_"+r.letters(24, base62), "payment_method", "pm_"+r.letters(24, base62),
			"payment_method_details", o("card", o("brand", pick(r, []string{"visa", "mastercard", "amex"}), "checks",
				o("address_line1_check", nil, "address_postal_code_check", "pass", "cvc_check", "pass"),
				"country", pick(r, countries), "exp_month", r.between(1, 12), "exp_year", r.between(2027, 2032),
				"fingerprint", r.letters(16, base62), "funding", pick(r, []string{"credit", "debit", "prepaid"}),
				"last4", r.letters(4, digits), "network", "visa", "wallet", nil), "type", "card"),
			"receipt_url", "https://pay.example.com/receipts/"+r.letters(60, base62), "refunded", false, "refunds",
			o("object", "list", "data", []any{}, "has_more", false, "total_count", 0, "url", "/v1/charges/x/refunds"),
			"status", "succeeded")))
}

func apiCall(r *random, t time.Time) ob {
	name := apiCalls[r.skew(len(apiCalls))]
	acct := pick(r, accounts)
	errorCode := any(nil)
	if r.chance(0.1) {
		errorCode = "AccessDenied"
	}
	d := o("eventVersion", "1.09", "userIdentity", o("type", pick(r, []string{"AssumedRole", "IAMUser", "Root",
		"AWSService"}), "principalId", r.letters(21, base62)+":session", "arn", "arn:aws:sts::"+acct+":assumed-role/"+pick(r,
		[]string{"Admin", "Deploy", "ReadOnly"})+"/session", "accountId", acct,
		"sessionContext", o("sessionIssuer", o("type", "Role", "principalId", r.letters(21, base62), "arn",
			"arn:aws:iam::"+acct+":role/Deploy", "accountId", acct, "userName", "Deploy"), "attributes", o("creationDate",
			t.Format(time.RFC3339), "mfaAuthenticated", strconv.FormatBool(r.chance(0.5))))),
		"eventTime", t.Format(time.RFC3339), "eventSource", apiSources[r.skew(len(apiSources))], "eventName", name,
		"awsRegion", regions[r.skew(len(regions))], "sourceIPAddress", ip(r), "userAgent",
		"aws-sdk-go-v2/1.30 os/linux lang/go#1.26 md/GOOS#linux",
		"requestParameters", o("bucketName", buckets[r.skew(len(buckets))], "key",
			folders[r.skew(len(folders))]+r.letters(12, base62), "Host", "s3.example.com", "acl", list("private")),
		"responseElements", nil, "additionalEventData", o("SignatureVersion", "SigV4", "CipherSuite",
			"TLS_AES_128_GCM_SHA256", "bytesTransferredIn", r.skew(100000), "AuthenticationMethod", "AuthHeader"),
		"requestID", r.uuid(), "eventID", r.uuid(), "readOnly", strings.HasPrefix(name, "Describe"),
		"resources", list(o("type", "AWS::S3::Object", "ARN", "arn:aws:s3:::"+pick(r, buckets)+"/x"), o("accountId", acct,
			"type", "AWS::S3::Bucket", "ARN", "arn:aws:s3:::"+pick(r, buckets))),
		"eventType", "AwsApiCall", "managementEvent", r.chance(0.5), "recipientAccountId", acct, "eventCategory", "Data")
	if errorCode != nil {
		d = append(d, "errorCode", errorCode, "errorMessage", "Access Denied")
	}
	return d
}

func finding(r *random, t time.Time) ob {
	port := func() ob {
		return o("localPortDetails", o("port", pick(r, []int{22, 80, 443, 3389}), "portName", "SSH"), "remoteIpDetails",
			o("ipAddressV4", ip(r),
				"organization", o("asn", strconv.Itoa(r.n(60000)), "asnOrg", "Example AS", "isp", "Example", "org", "Example"),
				"country", o("countryName", pick(r, countries)), "city", o("cityName", "x"), "geoLocation", o("lat",
					r.f()*90, "lon", r.f()*180)))
	}
	var probes []any
	for range r.between(1, 6) {
		probes = append(probes, port())
	}
	return o("schemaVersion", "2.0", "accountId", pick(r, accounts), "region", pick(r, regions), "partition", "aws", "id",
		r.letters(32, hexDigits), "type", findings[r.skew(len(findings))],
		"resource", o("resourceType", "Instance", "instanceDetails", o("instanceId", "i-"+r.letters(17, hexDigits),
			"instanceType", "m7g.large", "launchTime", t.Format(time.RFC3339), "tags", list(o("key", "env", "value", pick(r,
				[]string{"prod", "stage", "dev"})), o("key", "team", "value", pick(r, words))),
			"networkInterfaces", list(o("privateIpAddress", ip(r), "publicIp", ip(r), "securityGroups", list(o("groupName",
				"web", "groupId", "sg-"+r.letters(17, hexDigits))), "subnetId", "subnet-"+r.letters(17, hexDigits), "vpcId",
				"vpc-"+r.letters(17, hexDigits))))),
		"service", o("serviceName", "guardduty", "action", o("actionType", "PORT_PROBE", "portProbeAction",
			o("portProbeDetails", probes, "blocked", false)), "archived", false, "count", r.between(1, 400),
			"eventFirstSeen", t.Format(time.RFC3339), "eventLastSeen", t.Format(time.RFC3339)),
		"severity", float64(r.between(1, 89))/10, "title", prose(r, 8), "description", prose(r, 20))
}

func ecsTask(r *random, t time.Time) ob {
	st := pick(r, []string{"RUNNING", "STOPPED", "PENDING"})
	var containers []any
	for i := range r.between(1, 4) {
		containers = append(containers, o("containerArn", "arn:aws:ecs:eu-west-1:"+accounts[0]+":container/"+r.uuid(),
			"name", pick(r, []string{"app", "sidecar", "otel", "envoy"}), "lastStatus", st, "exitCode", i*r.n(2),
			"image", "registry.example.com/acme/app:"+r.letters(7, hexDigits), "networkInterfaces", list(o("attachmentId",
				r.uuid(), "privateIpv4Address", ip(r))), "cpu", "256", "memory", "512"))
	}
	return o("attachments", list(o("id", r.uuid(), "type", "eni", "status", "ATTACHED", "details", list(o("name", "subnetId",
		"value", "subnet-"+r.letters(17, hexDigits)), o("name", "macAddress", "value", "06:00:00:00:00:01")))),
		"attributes", list(o("name", "ecs.cpu-architecture", "value", "arm64")), "availabilityZone", "eu-west-1b",
		"clusterArn", "arn:aws:ecs:eu-west-1:"+accounts[0]+":cluster/"+pick(r, []string{"prod", "stage"}),
		"connectivity", "CONNECTED", "containers", containers, "cpu", "1024", "createdAt", t.Format(time.RFC3339),
		"desiredStatus", st, "enableExecuteCommand", false, "group", "service:"+pick(r, []string{"checkout", "web",
			"search"}), "launchType", "FARGATE",
		"lastStatus", st, "memory", "2048", "overrides", o("containerOverrides", list(o("name", "app"))), "platformVersion",
		"1.4.0", "stoppedReason", pick(r, []any{nil, "Essential container in task exited",
			"Scaling activity initiated by deployment"}), "taskArn",
		"arn:aws:ecs:eu-west-1:"+accounts[0]+":task/prod/"+r.letters(32, hexDigits), "version", r.between(1, 9))
}

func signedUp(r *random, t time.Time) ob {
	return o("userId", customerID(r.skew(customers)), "email", strings.ToLower(r.letters(8, base62))+pick(r,
		[]string{"@example.com", "@Example.org", "@corp.example"}), "plan", plans[r.skew(len(plans))],
		"country", countries[r.skew(len(countries))], "referrer", pick(r, []any{nil, "newsletter", "partner"}),
		"marketingConsent", r.chance(0.4), "at", t.Format(time.RFC3339Nano))
}

func stock(r *random, t time.Time) ob {
	was := r.n(500)
	return o("sku", productSKU(r.skew(products)), "warehouse", fmt.Sprintf("wh-%02d", r.n(20)), "previous", was, "available",
		r.n(was+1), "reorderPoint", 25, "reason", pick(r, []string{"sale", "count", "damage"}), "at",
		t.Format(time.RFC3339Nano))
}

// Events returns n events of the realistic mix. Few of them would miss some kinds; a multiple of a hundred is best.
func Events(n int) [][]byte {
	r := newRandom()
	var deck []kind
	for _, k := range kinds {
		for range k.weight {
			deck = append(deck, k)
		}
	}
	clock := clock{r, time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	var lines lines
	for range n {
		k := pick(r, deck)
		account, region, t := accounts[r.skew(len(accounts))], regions[r.skew(len(regions))], clock.next()
		lines.text = appendJSON(lines.text, o("version", "0", "id", r.uuid(), "detail-type", k.detailType, "source", k.source,
			"account", account, "time", t.Format(time.RFC3339), "region", region, "resources", k.arn(r, account, region),
			"detail", k.detail(r, t)))
		lines.end()
	}
	return lines.all()
}
