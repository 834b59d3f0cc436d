package queue

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
)

// An Address says which queue is meant: a name in a scope.
type Address struct {
	Scope rialto.Scope
	Name  rialto.QueueName
}

// AddressOf is the address in the ARN of a queue.
func AddressOf(arn rialto.ARN) (Address, bool) {
	a := Address{arn.Scope(), rialto.QueueName(arn.Resource)}
	return a, arn.Service == "sqs" && (validName(a.Name) || validFIFOName(a.Name))
}

// ARN is that of the queue.
func (a Address) ARN() rialto.ARN { return a.Scope.QueueARN(a.Name) }

func (a Address) key() string { return catalog.NameKey(a.Scope, string(a.Name)) }

const maxName = 80 // characters of a queue's name (SQS API, CreateQueue)

func validName(name rialto.QueueName) bool {
	return len(name) >= 1 && len(name) <= maxName && strings.Trim(string(name), idCharacters) == ""
}

// idCharacters are those of names of queues and of ids in batches.
const idCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// FIFO reports whether the name is that of a FIFO queue.
func FIFO(name rialto.QueueName) bool { return strings.HasSuffix(string(name), fifoSuffix) }

const fifoSuffix = ".fifo"

// validFIFOName reports whether a FIFO queue may have a name, in which the suffix counts.
func validFIFOName(name rialto.QueueName) bool {
	stem, is := strings.CutSuffix(string(name), fifoSuffix)
	return is && len(name) <= maxName && validName(rialto.QueueName(stem))
}

// A definition is how a queue is set up. It does not change: a queue that is set up in another way gets another.
type definition struct {
	Address
	settings
	id    ID
	shard int
	entry *catalog.Queue
}

// An index finds definitions. It follows the catalog.
type index struct {
	mu    sync.RWMutex
	byKey map[string]*definition
	byID  map[ID]*definition
}

func newIndex() *index {
	return &index{byKey: make(map[string]*definition), byID: make(map[ID]*definition)}
}

// follow takes a change of the catalog in.
func (x *index) follow(key string, was, is *catalog.Queue) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if was != nil {
		delete(x.byKey, key)
		delete(x.byID, ID(was.ID))
	}
	if is == nil {
		return
	}
	scope, _ := catalog.SplitKey(key)
	d := &definition{Address: Address{scope, is.Name}, settings: settingsOf(is.Attributes), id: ID(is.ID), shard: is.Shard, entry: is}
	x.byKey[key], x.byID[d.id] = d, d
}

func (x *index) find(at Address) (*definition, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	d, ok := x.byKey[at.key()]
	return d, ok
}

func (x *index) findID(id ID) (*definition, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	d, ok := x.byID[id]
	return d, ok
}

// scope returns the queues of a scope, sorted by name.
func (x *index) scope(s rialto.Scope) []*definition {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var list []*definition
	prefix := catalog.ScopeKey(s)
	for _, key := range slices.Sorted(maps.Keys(x.byKey)) {
		if strings.HasPrefix(key, prefix) {
			list = append(list, x.byKey[key])
		}
	}
	return list
}

// withTasks returns the queues of which move tasks are remembered.
func (x *index) withTasks() []*definition {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var list []*definition
	for _, d := range x.byID {
		if len(d.entry.Tasks) > 0 {
			list = append(list, d)
		}
	}
	return list
}
