package secretsapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/aws/eventsapi"
	"github.com/rialto-events/rialto/internal/aws/secretsapi"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/vault"
)

// A server serves connections and their secrets.
type server struct {
	t   *testing.T
	url string
}

func serve(t *testing.T, opts secretsapi.Options) server {
	t.Helper()
	v, err := vault.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := catalogtest.Start(t)
	web := httptest.NewServer(aws.NewHandler(aws.Options{}, eventsapi.New(c, nil, v, eventsapi.Options{}).Service(), secretsapi.New(c, v, opts).Service()))
	t.Cleanup(web.Close)
	return server{t, web.URL}
}

// call makes a call as an SDK would. It returns the output, or an error's code and message.
func (s server) call(account, operation, input string) (out map[string]any, refusal string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "POST", s.url, strings.NewReader(input))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", operation)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+account+"/20260301/eu-west-1/x/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(body, &out); err != nil {
		s.t.Fatalf("%s answers %s: %v", operation, body, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Sprint(out["__type"], ": ", out["message"])
	}
	return out, ""
}

const account = "000000000000"

// connect makes a connection and returns the ARN of its secret.
func (s server) connect(name, authorization, parameters string) (arn string) {
	s.t.Helper()
	_, refusal := s.call(account, "AWSEvents.CreateConnection", `{"Name":"`+name+`","AuthorizationType":"`+authorization+`","AuthParameters":`+parameters+`}`)
	if refusal != "" {
		s.t.Fatal(refusal)
	}
	return s.arnOf(name)
}

func (s server) arnOf(name string) string {
	s.t.Helper()
	c, refusal := s.call(account, "AWSEvents.DescribeConnection", `{"Name":"`+name+`"}`)
	if refusal != "" {
		s.t.Fatal(refusal)
	}
	arn, _ := c["SecretArn"].(string)
	return arn
}

func (s server) wantRefused(account, operation, input, want string) {
	s.t.Helper()
	if out, refusal := s.call(account, operation, input); refusal != want {
		s.t.Errorf("%s %s\n got %v %s\nwant %s", operation, input, out, refusal, want)
	}
}

const notFound = "ResourceNotFoundException: Secrets Manager can't find the specified secret."

// TestDocuments holds the SecretStrings that are recorded on AWS (spec/eventbridge.md 7.1), byte for byte.
func TestDocuments(t *testing.T) {
	s := serve(t, secretsapi.Options{})
	const extra = `{"HeaderParameters":[{"Key":"k","Value":"<v>"}],"QueryStringParameters":[{"Key":"q","Value":"v","IsValueSecret":true}],"BodyParameters":[{"Key":"b","Value":"v"}]}`
	const document = `{"header_parameters":[{"key":"k","value":"<v>","is_value_secret":false}],` +
		`"query_string_parameters":[{"key":"q","value":"v","is_value_secret":true}],"body_parameters":[{"key":"b","value":"v","is_value_secret":false}]}`
	for _, c := range []struct{ name, authorization, parameters, want string }{
		{"basic", "BASIC", `{"BasicAuthParameters":{"Username":"u","Password":"p"},"InvocationHttpParameters":` + extra + `}`,
			`{"username":"u","password":"p","invocation_http_parameters":` + document + `}`},
		{"key", "API_KEY", `{"ApiKeyAuthParameters":{"ApiKeyName":"x-key","ApiKeyValue":"v"}}`, `{"api_key_name":"x-key","api_key_value":"v"}`},
		{"oauth", "OAUTH_CLIENT_CREDENTIALS", `{"OAuthParameters":{"ClientParameters":{"ClientID":"c","ClientSecret":"s"},` +
			`"AuthorizationEndpoint":"https://id.example/token","HttpMethod":"POST","OAuthHttpParameters":` + extra + `}}`,
			`{"client_id":"c","client_secret":"s","authorization_endpoint":"https://id.example/token","http_method":"POST","oauth_http_parameters":` + document + `}`},
	} {
		arn := s.connect(c.name, c.authorization, c.parameters)
		out, refusal := s.call(account, "secretsmanager.GetSecretValue", `{"SecretId":"`+arn+`"}`)
		if out["SecretString"] != c.want {
			t.Errorf("%s:\n got %v %s\nwant %s", c.name, out["SecretString"], refusal, c.want)
		}
	}
}

// TestLife follows a secret through the life of its connection.
func TestLife(t *testing.T) {
	s := serve(t, secretsapi.Options{})
	arn := s.connect("crm", "API_KEY", `{"ApiKeyAuthParameters":{"ApiKeyName":"x-key","ApiKeyValue":"one"}}`)
	partial := arn[:len(arn)-7]
	_, name, _ := strings.Cut(partial, ":secret:")
	if !strings.HasPrefix(name, "events!connection/crm/") {
		t.Errorf("the name is %s", name)
	}
	var version any
	for _, id := range []string{arn, partial, name} {
		out, refusal := s.call(account, "secretsmanager.GetSecretValue", `{"SecretId":"`+id+`"}`)
		if out["ARN"] != arn || out["Name"] != name || fmt.Sprint(out["VersionStages"]) != "[AWSCURRENT]" || out["CreatedDate"] == nil {
			t.Errorf("%s: got %v %s", id, out, refusal)
		}
		version = out["VersionId"]
	}
	described, refusal := s.call(account, "secretsmanager.DescribeSecret", `{"SecretId":"`+name+`"}`)
	tags := fmt.Sprint(described["Tags"])
	if described["OwningService"] != "events" || tags != "[map[Key:aws:secretsmanager:owningService Value:events]]" ||
		fmt.Sprint(described["VersionIdsToStages"]) != fmt.Sprintf("map[%v:[AWSCURRENT]]", version) {
		t.Errorf("DescribeSecret answers %v %s", described, refusal)
	}
	if out, refusal := s.call(account, "secretsmanager.ListSecretVersionIds", `{"SecretId":"`+arn+`"}`); len(out["Versions"].([]any)) != 1 {
		t.Errorf("ListSecretVersionIds answers %v %s", out, refusal)
	}
	if out, refusal := s.call(account, "secretsmanager.GetResourcePolicy", `{"SecretId":"`+arn+`"}`); out["ARN"] != arn || out["ResourcePolicy"] != nil {
		t.Errorf("GetResourcePolicy answers %v %s", out, refusal)
	}

	const update = `{"Name":"crm","AuthorizationType":"API_KEY","AuthParameters":{"ApiKeyAuthParameters":{"ApiKeyName":"x-key","ApiKeyValue":"two"}}}`
	if _, refusal := s.call(account, "AWSEvents.UpdateConnection", update); refusal != "" {
		t.Fatal(refusal)
	}
	out, _ := s.call(account, "secretsmanager.GetSecretValue", `{"SecretId":"`+arn+`"}`)
	if out["SecretString"] != `{"api_key_name":"x-key","api_key_value":"two"}` || out["VersionId"] == version {
		t.Errorf("after the update the secret is %v, of version %v", out["SecretString"], out["VersionId"])
	}
	s.wantRefused(account, "secretsmanager.GetSecretValue", fmt.Sprintf(`{"SecretId":%q,"VersionId":%q}`, arn, version),
		fmt.Sprint("ResourceNotFoundException: Secrets Manager can't find the specified secret value for VersionId: ", version))
	s.wantRefused(account, "secretsmanager.GetSecretValue", `{"SecretId":"`+arn+`","VersionStage":"AWSPREVIOUS"}`,
		"ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS")

	for _, operation := range []string{"PutSecretValue", "UpdateSecret", "DeleteSecret", "RotateSecret", "RestoreSecret", "CancelRotateSecret", "DeleteResourcePolicy"} {
		s.wantRefused(account, "secretsmanager."+operation, `{"SecretId":"`+arn+`"}`, "InvalidRequestException: Operation is not allowed on secret owned by events")
		s.wantRefused(account, "secretsmanager."+operation, `{"SecretId":"other"}`, notFound)
	}

	if _, refusal := s.call(account, "AWSEvents.DeauthorizeConnection", `{"Name":"crm"}`); refusal != "" {
		t.Fatal(refusal)
	}
	s.wantRefused(account, "secretsmanager.GetSecretValue", `{"SecretId":"`+arn+`"}`, notFound)
	if _, refusal := s.call(account, "AWSEvents.UpdateConnection", update); refusal != "" {
		t.Fatal(refusal)
	}
	if again := s.arnOf("crm"); again == arn {
		t.Error("the secret of a connection that was authorised again has its former ARN")
	} else if _, refusal := s.call(account, "secretsmanager.GetSecretValue", `{"SecretId":"`+again+`"}`); refusal != "" {
		t.Error(refusal)
	}
}

func TestWhoseSecretItIs(t *testing.T) {
	const other = "111122223333"
	for _, own := range []bool{false, true} {
		s := serve(t, secretsapi.Options{OwnSecretsOnly: own})
		arn := s.connect("crm", "API_KEY", `{"ApiKeyAuthParameters":{"ApiKeyName":"x-key","ApiKeyValue":"one"}}`)
		want := ""
		if own {
			want = "AccessDeniedException: User: arn:aws:iam::111122223333:root is not authorized to perform: secretsmanager:GetSecretValue on resource: " +
				arn + " because no resource-based policy allows the secretsmanager:GetSecretValue action"
		}
		s.wantRefused(other, "secretsmanager.GetSecretValue", `{"SecretId":"`+arn+`"}`, want)
		_, name, _ := strings.Cut(arn[:len(arn)-7], ":secret:")
		s.wantRefused(other, "secretsmanager.GetSecretValue", `{"SecretId":"`+name+`"}`, notFound)
		s.wantRefused(account, "secretsmanager.GetSecretValue", `{"SecretId":"`+strings.Replace(arn, "eu-west-1", "us-east-1", 1)+`"}`, notFound)
		s.wantRefused(account, "secretsmanager.GetSecretValue", `{"SecretId":"`+arn+`x"}`, notFound)
		s.wantRefused(account, "secretsmanager.GetSecretValue", `{"SecretId":"arn:aws:sqs:eu-west-1:000000000000:q"}`,
			"InvalidParameterException: Invalid name or ARN: arn:aws:sqs:eu-west-1:000000000000:q is not the ARN of a secret.")
	}
}

func TestListSecrets(t *testing.T) {
	s := serve(t, secretsapi.Options{})
	for _, name := range []string{"b", "a", "ab"} {
		s.connect(name, "API_KEY", `{"ApiKeyAuthParameters":{"ApiKeyName":"x-key","ApiKeyValue":"one"}}`)
	}
	list := func(input string) string {
		t.Helper()
		var names []string
		for next := ""; ; {
			out, refusal := s.call(account, "secretsmanager.ListSecrets", strings.Replace(input, "{", `{"MaxResults":2`+next, 1))
			if refusal != "" {
				return refusal
			}
			for _, e := range out["SecretList"].([]any) {
				names = append(names, strings.Split(e.(map[string]any)["Name"].(string), "/")[1])
			}
			if out["NextToken"] == nil {
				return strings.Join(names, " ")
			}
			next = fmt.Sprintf(`,"NextToken":%q`, out["NextToken"])
		}
	}
	for _, c := range []struct{ input, want string }{
		{`{}`, "b a ab"},
		{`{,"SortOrder":"desc"}`, "ab a b"},
		{`{,"SortBy":"name"}`, "a ab b"},
		{`{,"SortBy":"last-changed-date","SortOrder":"asc"}`, "b a ab"},
		{`{,"Filters":[{"Key":"name","Values":["events!connection/a"]}]}`, "a ab"},
		{`{,"Filters":[{"Key":"name","Values":["!events!connection/a"]}]}`, "b"},
		{`{,"Filters":[{"Key":"owning-service","Values":["events"]},{"Key":"all","Values":["Connection/B"]}]}`, "b"},
		{`{,"Filters":[{"Key":"owning-service","Values":["rds"]}]}`, ""},
		{`{,"Filters":[{"Key":"tag-key","Values":["aws:secretsmanager"]}],"SortBy":"name"}`, "a ab b"},
		{`{,"NextToken":"x"}`, "InvalidNextTokenException: NextToken is not valid."},
	} {
		if got := list(c.input); got != c.want {
			t.Errorf("%s: got %q, want %q", c.input, got, c.want)
		}
	}
}
