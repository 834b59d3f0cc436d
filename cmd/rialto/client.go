package main

import (
	"cmp"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/spf13/pflag"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/server"
)

// endpointEnv names the server for the commands that talk to one.
const endpointEnv = envPrefix + "ENDPOINT"

// A client is how a command finds a server and who it says it is: the variables that AWS's own tools read count here, too.
type client struct {
	endpoint string
	getenv   func(string) string
	endless  bool // an answer may take as long as it likes
}

// declare adds the flag --endpoint.
func (c *client) declare(fs *pflag.FlagSet) {
	c.getenv = os.Getenv
	fs.StringVar(&c.endpoint, "endpoint", "", "`URL` Where the server is.")
	describe(fs, "endpoint", "$AWS_ENDPOINT_URL, else http://"+server.DefaultListen)
	_ = fs.SetAnnotation("endpoint", envOf, []string{endpointEnv})
}

// url is the endpoint: that of the flag, of the variables, or the default one.
func (c *client) url() (*url.URL, error) {
	s := cmp.Or(c.endpoint, c.getenv(endpointEnv), c.getenv("AWS_ENDPOINT_URL"), "http://"+server.DefaultListen)
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("--endpoint http://"+server.DefaultListen, "%q is not the URL of a server.", s)
	}
	return u, nil
}

func (c *client) region() string {
	return cmp.Or(c.getenv("AWS_REGION"), c.getenv("AWS_DEFAULT_REGION"), string(rialto.DefaultRegion))
}

// credentials are those of the environment. A server that verifies none believes anything.
func (c *client) credentials() credentials.StaticCredentialsProvider {
	return credentials.NewStaticCredentialsProvider(
		cmp.Or(c.getenv("AWS_ACCESS_KEY_ID"), "test"), cmp.Or(c.getenv("AWS_SECRET_ACCESS_KEY"), "test"), c.getenv("AWS_SESSION_TOKEN"))
}

func (c *client) events() (*eventbridge.Client, error) {
	u, err := c.url()
	if err != nil {
		return nil, err
	}
	return eventbridge.New(eventbridge.Options{
		BaseEndpoint: aws.String(u.String()), Region: c.region(), Credentials: c.credentials(),
	}), nil
}
