package apis_test

import (
	"encoding/json"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/aws/apis"
)

// TestRequests compares with what botocore writes, in testdata/requests.txt.
func TestRequests(t *testing.T) {
	text, err := os.ReadFile("testdata/requests.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for c := range strings.SplitSeq(string(text), "\n\n") {
		fields := map[string]string{}
		for l := range strings.SplitSeq(c, "\n") {
			key, value, _ := strings.Cut(l, " ")
			fields[key] = value
		}
		id, operation, ok := strings.Cut(fields["service"], " ")
		if !ok {
			continue // the head of the file
		}
		n++
		t.Run(fields["service"], func(t *testing.T) {
			s, ok := apis.Find(id)
			if !ok {
				t.Fatal("the service is not known")
			}
			r, err := s.Request(operation, []byte(fields["input"]), "")
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Method + " " + r.Path; got != fields["call"] && !strings.HasPrefix(fields["call"], got+"?") {
				t.Errorf("calls %s, want %s", got, fields["call"])
			}
			if got, want := flat(r.Query), texts(t, fields["query"]); !reflect.DeepEqual(got, want) {
				t.Errorf("asks %v, want %v", got, want)
			}
			for name, want := range texts(t, fields["header"]) {
				if r.Header[name] != want {
					t.Errorf("header %s: got %s, want %s", name, r.Header[name], want)
				}
			}
			form := strings.HasPrefix(r.Header["Content-Type"], "application/x-www-form-urlencoded")
			if form {
				values, err := url.ParseQuery(string(r.Body))
				if got, want := flat(values), texts(t, fields["body"]); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("sends %v, want %v", got, want)
				}
				return
			}
			if got, want := string(r.Body), fields["body"]; got != want && !(json.Valid([]byte(want)) && reflect.DeepEqual(value(t, got), value(t, want))) {
				t.Errorf("sends\n%s, want\n%s", got, want)
			}
		})
	}
	if n < 50 {
		t.Errorf("only %d requests were found", n)
	}
}

// flat is a form as a map; what comes several times is joined.
func flat(v url.Values) map[string]string {
	m := map[string]string{}
	for name, list := range v {
		m[name] = strings.Join(list, ",")
	}
	return m
}

// texts is a JSON object whose values are scalars, as texts.
func texts(t *testing.T, s string) map[string]string {
	t.Helper()
	m := map[string]string{}
	for name, v := range value(t, s).(map[string]any) {
		text, ok := v.(string)
		if !ok {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		m[name] = text
	}
	return m
}

func value(t *testing.T, s string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

// TestTable reads every service, so that what is generated is what is understood.
func TestTable(t *testing.T) {
	text, err := os.ReadFile("services.txt")
	if err != nil {
		t.Fatal(err)
	}
	services, operations := 0, 0
	for l := range strings.Lines(string(text)) {
		f := strings.Fields(l)
		switch {
		case len(f) > 1 && f[0] == "service":
			services++
			s, ok := apis.Find(f[1])
			if !ok || s.Host == "" || s.Signing == "" || s.Name == "" || !apis.Signings()[s.Signing] {
				t.Errorf("%s: %+v", f[1], s)
			}
		case len(f) > 1 && f[0] == "op":
			operations++
		}
	}
	if services < 70 || operations < 3000 {
		t.Errorf("the table has %d services with %d operations", services, operations)
	}
	for _, id := range []string{"", "nothing", "sqs json", "sfn\n"} {
		if _, ok := apis.Find(id); ok {
			t.Errorf("%q is a service", id)
		}
	}
}

func TestTokens(t *testing.T) {
	s, _ := apis.Find("ecs")
	for input, want := range map[string]string{`{"TaskDefinition":"t"}`: "made", `{"TaskDefinition":"t","ClientToken":"given"}`: "given", `{"TaskDefinition":"t","clientToken":"given"}`: "given"} {
		r, err := s.Request("RunTask", []byte(input), "made")
		var body struct {
			ClientToken string `json:"clientToken"`
		}
		if err != nil || json.Unmarshal(r.Body, &body) != nil || body.ClientToken != want {
			t.Errorf("%s: got %v, %v, want %s", input, r, err, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		service, operation, input string
		kind                      rialto.Kind
		says                      string
	}{
		{"ec2", "StartMachines", `{}`, rialto.NotFound, "does not know the operation StartMachines of ec2"},
		{"ec2", "StartInstances", `{"Instances":["i-1"]}`, rialto.Invalid, "has a member Instances that rialto does not know"},
		{"ec2", "StartInstances", `{"InstanceIds":"i-1"}`, rialto.Invalid, "The value of InstanceId is not of the type"},
		{"ec2", "StartInstances", `{"Force":{}}`, rialto.Invalid, "rialto does not know"},
		{"ec2", "StartInstances", `["i-1"]`, rialto.Invalid, "is not a JSON object of its parameters"},
		{"ec2", "StartInstances", `{} {}`, rialto.Invalid, "is not a JSON object of its parameters"},
		{"lambda", "Invoke", `{"Payload":"{}"}`, rialto.Invalid, "The input has no FunctionName."},
		{"dynamodb", "PutItem", `null`, rialto.Invalid, "is not a JSON object of its parameters"},
	} {
		s, ok := apis.Find(tc.service)
		if !ok {
			t.Fatal(tc.service)
		}
		_, err := s.Request(tc.operation, []byte(tc.input), "")
		if rialto.KindOf(err) != tc.kind || err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s %s %s: got %v, want %s", tc.service, tc.operation, tc.input, err, tc.says)
		}
	}
	// An operation that is newer than the table is a name to a service that speaks JSON.
	s, _ := apis.Find("dynamodb")
	r, err := s.Request("PutEverything", []byte(`{"New":1}`), "x")
	if err != nil || r.Header["X-Amz-Target"] != "DynamoDB_20120810.PutEverything" || string(r.Body) != `{"New":1}` {
		t.Errorf("got %+v, %v", r, err)
	}
}

func FuzzRequest(f *testing.F) {
	for _, service := range []string{"dynamodb", "ec2", "sns", "lambda", "rds"} {
		f.Add(service, "Invoke", `{"FunctionName":"f","Payload":"x","Tags":[{"Key":1}],"A":{"b":[null,[{}]]}}`)
		f.Add(service, "CreateTags", `{"Resources":[["x"]],"Tags":{"Key":{}}}`)
	}
	f.Fuzz(func(t *testing.T, service, operation, input string) {
		s, ok := apis.Find(service)
		if !ok {
			return
		}
		if r, err := s.Request(operation, []byte(input), "token"); err == nil && r.Path == "" {
			t.Error("a request without a path")
		}
	})
}
