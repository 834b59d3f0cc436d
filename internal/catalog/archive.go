package catalog

import (
	"math"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// An Archive keeps the events of a bus that match its pattern. What it has kept is package history's; here is what users said.
// Whether it is enabled is a question of its rule alone.
type Archive struct {
	Name          string         `json:"name"`
	ID            string         `json:"id"` // a UUID, new with each life of the name: an archive that is made anew shares nothing with the one before
	Bus           rialto.BusName `json:"bus"`
	Description   *string        `json:"description,omitempty"`
	Pattern       *string        `json:"pattern,omitempty"`       // as it was given; nil is every event
	RetentionDays int32          `json:"retentionDays,omitempty"` // since an event was accepted; 0 is for ever
	KMSKey        *string        `json:"kmsKey,omitempty"`
	Created       time.Time      `json:"created"`
}

// ManagedByArchives is who owns the rules of archives.
const ManagedByArchives = "prod.vhs.events.aws.internal"

// ARN is the ARN of an archive.
func (a *Archive) ARN(s rialto.Scope) string { return s.ARN("events", "archive/"+a.Name).String() }

// StoreARN names this life of the archive: its ARN, and its ID. It is the ARN of the target in definitions of deliveries.
func (a *Archive) StoreARN(s rialto.Scope) string { return a.ARN(s) + ":" + a.ID }

// ArchiveRulePrefix is what the names of the managed rules of archives begin with.
const ArchiveRulePrefix = "Events-Archive-"

// RuleName is the name of the managed rule by which the archive gets its events.
func (a *Archive) RuleName() rialto.RuleName { return rialto.RuleName(ArchiveRulePrefix + a.Name) }

// Target is the one target of the managed rule, as AWS shows it.
func (a *Archive) Target(s rialto.Scope) Target {
	return Target{
		ID: string(a.RuleName()), ARN: "arn:aws:events:" + string(s.Region) + ":::", Archive: a.StoreARN(s),
		Transformer: &target.Transformer{
			Paths: map[string]string{},
			Template: `{"archive-arn": "` + a.StoreARN(s) + `","event": <aws.events.event.json>,` +
				`"ingestion-time": <aws.events.event.ingestion-time>}`,
		},
	}
}

// maxRetentionDays is as many days as a [time.Duration] has room for, 292 years. Clients may ask for millions of them, and mean it as for ever.
const maxRetentionDays = int64(math.MaxInt64 / (24 * time.Hour))

// Retention is how long the archive keeps an event; 0 is for ever.
func (a *Archive) Retention() time.Duration {
	return time.Duration(min(int64(a.RetentionDays), maxRetentionDays)) * 24 * time.Hour
}

// StoreID takes the ID of an archive out of an [Archive.StoreARN]; ok is false if it is another ARN.
func StoreID(storeARN string) (id string, ok bool) {
	arn, err := rialto.ParseARN(storeARN)
	if err != nil || arn.Service != "events" {
		return "", false
	}
	name, ok := strings.CutPrefix(arn.Resource, "archive/")
	if !ok {
		return "", false
	}
	_, id, ok = strings.Cut(name, ":")
	return id, ok && id != ""
}
