package aws_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rialto-events/rialto/internal/aws"
)

// FuzzJSON compares the decoder with encoding/json and reflection, over an input with everything in it.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		oneEvent, `{}`, ``, ` `, `null`, `[]`, `{"Entries":[{"Time":1761234567.123,"Resources":["a",""]},{}],"EndpointId":null}`,
		`{"Rule":"r","Targets":[{"Id":"1","Arn":"a","InputTransformer":{"InputPathsMap":{"a":"$.b","a":"$.c"},"InputTemplate":"x"}}]}`,
		`{"Targets":[{"EcsParameters":{"TaskCount":1.9,"EnableECSManagedTags":true,"NetworkConfiguration":{"awsvpcConfiguration":{"Subnets":[]}}}}]}`,
		`{"Targets":[{"RetryPolicy":{"MaximumRetryAttempts":-9e99}}],"targets":1,"Targets":[]}`, `{"Rule":"\u0061\ud83d\ude00"}`, `{"R\u0075le":"\ud800"}`,
		`{"Rule":"a"} {}`, `{"Rule":1}`, `{"Unknown":{"Rule":[{"Targets":null}]},"Rule":"\\\""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		compare(t, body, &PutTargetsInput{}, &PutTargetsInput{})
		compare(t, body, &PutEventsInput{}, &PutEventsInput{})
	})
}

type input interface {
	aws.Encodable
	Decode(aws.Decoder)
	Check(*aws.Checker)
}

func compare(t *testing.T, body []byte, got, want input) {
	d := aws.NewJSONDecoder(body)
	got.Decode(d)
	ok := slowly(body, want)
	switch {
	case d.Err() != nil && ok && utf8.Valid(body) && !surrogate.Match(body):
		t.Errorf("refused: %v", d.Err())
	case d.Err() == nil && !ok:
		t.Error("accepted, though it is not such an input")
	case d.Err() == nil:
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("differs from encoding/json (-want +got):\n%s", diff)
		}
		var c aws.Checker
		got.Check(&c)
	}
}

// surrogate finds what may be half a character, which encoding/json replaces and the decoder refuses.
var surrogate = regexp.MustCompile(`(?i)\\ud[89a-f]`)

// slowly decodes in the most obvious way, and reports whether body is such an input.
func slowly(body []byte, v input) bool {
	if len(bytes.TrimSpace(body)) == 0 {
		return true
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var x any
	if d.Decode(&x) != nil {
		return false
	}
	if _, err := d.Token(); err != io.EOF {
		return false
	}
	return x != nil && fill(reflect.ValueOf(v).Elem(), x)
}

func fill(v reflect.Value, x any) bool {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(v.Elem(), x)
	case reflect.String:
		s, ok := x.(string)
		v.SetString(s)
		return ok
	case reflect.Bool:
		b, ok := x.(bool)
		v.SetBool(b)
		return ok
	case reflect.Int32:
		n, ok := x.(json.Number)
		f, _ := n.Float64() // out of range is infinite, and becomes the nearest that fits
		v.SetInt(int64(max(min(f, math.MaxInt32), math.MinInt32)))
		return ok
	case reflect.Slice:
		list, ok := x.([]any)
		v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
		for i := range list {
			ok = ok && fill(v.Index(i), list[i])
		}
		return ok
	case reflect.Map:
		m, ok := x.(map[string]any)
		v.Set(reflect.MakeMap(v.Type()))
		for key, x := range m {
			s, isString := x.(string)
			v.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(s))
			ok = ok && isString
		}
		return ok
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			n, ok := x.(json.Number)
			f, err := n.Float64()
			if !ok || err != nil || math.Abs(f) > 253402300799 {
				return false
			}
			v.Set(reflect.ValueOf(time.UnixMilli(int64(math.Round(f * 1000))).UTC()))
			return true
		}
		m, ok := x.(map[string]any)
		for key, x := range m {
			name := key
			if key == "awsvpcConfiguration" || key == "capacityProvider" || key == "weight" || key == "base" || key == "type" || key == "field" || key == "expression" {
				name = strings.ToUpper(key[:1]) + key[1:]
			} else if key == "" || key[0] < 'A' || key[0] > 'Z' {
				continue
			}
			if field := v.FieldByName(name); field.IsValid() && x != nil && !renamed(v.Type(), key) {
				ok = ok && fill(field, x)
			}
		}
		return ok
	}
	panic("not a kind of the generated types: " + v.Kind().String())
}

// renamed reports whether a name that begins with a capital stands for a field that the wire knows by a small letter.
func renamed(t reflect.Type, name string) bool {
	switch t.Name() {
	case "NetworkConfiguration", "CapacityProviderStrategyItem", "PlacementConstraint", "PlacementStrategy":
		return name[0] >= 'A' && name[0] <= 'Z'
	}
	return false
}

// FuzzForm looks for forms that the decoder of the query protocol does not survive.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"QueueUrl=u&MessageBody=b&DelaySeconds=1", "MessageAttribute.1.Name=a&MessageAttribute.1.Value.BinaryValue=AA%3D%3D&MessageAttribute.1.Value.DataType=Binary",
		"MessageAttribute.2.Name=a&MessageAttribute.1.Value=&MessageAttribute=x&MessageAttribute.-1=", "MessageAttribute.1.Value.StringListValue.1=a&MessageAttribute.1.Name=",
		"AttributeName.1=All&AttributeName.3=x&WaitTimeSeconds=1e3", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s=1", "AttributeName=All", "..=.&.1=2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		for _, in := range []input{&SendMessageInput{}, &ReceiveMessageInput{}} {
			d, err := aws.NewQueryDecoder(values)
			if err != nil {
				return
			}
			in.Decode(d)
			if d.Err() == nil {
				var c aws.Checker
				in.Check(&c)
			}
		}
	})
}

// FuzzHandler sends anything at all. Whatever it is, it is the caller's fault.
func FuzzHandler(f *testing.F) {
	f.Add("POST", "/", "", "AWSEvents.PutEvents", "", oneEvent)
	f.Add("POST", "/0/q", "", "", "application/x-www-form-urlencoded", "Action=GetQueueUrl&Version=2012-11-05&QueueName=q")
	f.Add("GET", "/?Action=DeleteQueue", "AWS4-HMAC-SHA256 Credential=a/20260102/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=0", "", "", "")
	f.Add("GET", "/?X-Amz-Credential=a%2F1&X-Amz-Algorithm=AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=////,,=", "AmazonSQS.", "x", "\xff")
	handlers := []http.Handler{front{}.handler(aws.Options{}), front{}.handler(aws.Options{Authenticator: verifier(f, signedAt)})}
	f.Fuzz(func(t *testing.T, method, target, authorization, operation, contentType, body string) {
		r, err := http.NewRequest(method, "http://localhost"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1234"
		for name, value := range map[string]string{"Authorization": authorization, "X-Amz-Target": operation, "Content-Type": contentType} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		for _, h := range handlers {
			r.Body = io.NopCloser(strings.NewReader(body))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code >= 500 {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		}
	})
}
