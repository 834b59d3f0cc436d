package connections

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/vault"
)

var scope = rialto.Scope{Account: "000000000000", Region: "eu-west-1"}

// define makes a destination, and a connection with a key for it.
func define(t testing.TB, c *catalog.Catalog, v Vault, key string) (arn string) {
	t.Helper()
	conn := &catalog.Connection{Name: "c", ID: "1", State: catalog.Authorized, Authorization: "API_KEY"}
	plain, err := json.Marshal(catalog.ConnectionSecrets{Authorization: "API_KEY", APIKeyName: "X-Key", APIKeyValue: key})
	if err != nil {
		t.Fatal(err)
	}
	conn.Secrets = v.Seal(plain, []byte(conn.ARN(scope)))
	dest := &catalog.Destination{Name: "d", ID: "2", ConnectionARN: conn.ARN(scope), Endpoint: "https://example.com", Method: "POST"}
	_, err = c.Connections.Edit(t.Context(), catalog.NameKey(scope, "c"), func(*catalog.Connection) (*catalog.Connection, error) { return conn, nil })
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Destinations.Edit(t.Context(), catalog.NameKey(scope, "d"), func(*catalog.Destination) (*catalog.Destination, error) { return dest, nil })
	if err != nil {
		t.Fatal(err)
	}
	return dest.ARN(scope)
}

func newTestDirectory(t testing.TB) *directory {
	t.Helper()
	v, err := vault.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return newDirectory(catalogtest.Start(t), v)
}

// TestTheDirectoryKeepsNoMoreThanItNeeds looks at secrets that are held open, which nobody sees from outside.
func TestTheDirectoryKeepsNoMoreThanItNeeds(t *testing.T) {
	d := newTestDirectory(t)
	want := func(arn, key string, held int) {
		t.Helper()
		got, err := d.Destination(t.Context(), arn)
		if rialto.KindOf(err) != rialto.NotFound && err != nil || got.Auth.Value != key || len(d.opened) != held {
			t.Errorf("got the key %q and %v, with %d destinations open; want %q and %d", got.Auth.Value, err, len(d.opened), key, held)
		}
	}
	arn := define(t, d.catalog, d.vault, "one")
	want(arn, "one", 1)
	want(arn, "one", 1)
	define(t, d.catalog, d.vault, "two")
	want(arn, "two", 1)

	for i := range maxOpened {
		d.keep(fmt.Sprint(i), opened{})
	}
	if len(d.opened) != maxOpened {
		t.Errorf("%d destinations are open, want %d", len(d.opened), maxOpened)
	}
	clear(d.opened)

	want(arn, "two", 1)
	_, err := d.catalog.Connections.Edit(t.Context(), catalog.NameKey(scope, "c"), func(*catalog.Connection) (*catalog.Connection, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	want(arn, "", 0)
	define(t, d.catalog, d.vault, "three")
	want(arn, "three", 1)
	_, err = d.catalog.Destinations.Edit(t.Context(), catalog.NameKey(scope, "d"), func(*catalog.Destination) (*catalog.Destination, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	want(arn, "", 0)
}

func BenchmarkDirectory(b *testing.B) {
	d := newTestDirectory(b)
	arn := define(b, d.catalog, d.vault, "one")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Destination(b.Context(), arn); err != nil {
			b.Fatal(err)
		}
	}
}
