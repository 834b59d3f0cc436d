package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	topicMessages = 400
	topicCallers  = 8
	topicKills    = 5
	topicPatience = 2 * time.Minute // in the end; it only ever runs out when something is wrong
)

// A subscriber is a web server that is down until it is up, and knows what it has heard.
type subscriber struct {
	mu      sync.Mutex
	up      bool
	refused int
	heard   map[string]int // how often, by message
	tokens  chan string    // that it was asked with
	news    chan struct{}  // closed when something has been heard
}

func (s *subscriber) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e struct{ Type, Token, MessageId string }
	if body, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(body, &e) != nil {
		return
	}
	if e.Type == "SubscriptionConfirmation" {
		s.tokens <- e.Token
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up {
		s.refused++
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.heard[e.MessageId]++
	close(s.news)
	s.news = make(chan struct{})
}

// missing is which messages have not been heard, and what is closed when another has.
func (s *subscriber) missing(published []string) ([]string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(published), func(id string) bool { return s.heard[id] > 0 }), s.news
}

// TestTopicsSurviveKills publishes while a subscriber is down and the server is killed, again and again. When the subscriber is up, it
// hears everything that was ever answered.
func TestTopicsSurviveKills(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	k := newKilled(t)
	k.start(t)
	sub := &subscriber{heard: make(map[string]int), tokens: make(chan string, 1), news: make(chan struct{})}
	web := httptest.NewServer(sub)
	defer web.Close()
	topic := "arn:aws:sns:us-east-1:000000000000:news"
	k.form(t, "CreateTopic", "Name", "news")
	k.form(t, "Subscribe", "TopicArn", topic, "Protocol", "http", "Endpoint", web.URL,
		"Attributes.entry.1.key", "DeliveryPolicy", "Attributes.entry.1.value", `{"healthyRetryPolicy": {"numRetries": 100, "minDelayTarget": 1, "maxDelayTarget": 1}}`)
	k.form(t, "ConfirmSubscription", "TopicArn", topic, "Token", <-sub.tokens)

	var mu sync.Mutex
	published := make(map[string]bool)
	work := make(chan int)
	var callers sync.WaitGroup
	for range topicCallers {
		callers.Go(func() {
			for n := range work {
				for { // until the server is there and answers
					id, err := k.publish(topic, fmt.Sprint("message ", n))
					if err == nil {
						mu.Lock()
						published[id] = true
						mu.Unlock()
						break
					}
					select {
					case <-time.After(10 * time.Millisecond):
					case <-t.Context().Done():
						return
					}
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range topicMessages {
		work <- n
		if n%(topicMessages/topicKills) == topicMessages/topicKills/2 {
			time.AfterFunc(time.Duration(random.IntN(20_000))*time.Microsecond, k.server.Kill)
			<-k.server.Ended()
			k.start(t)
		}
	}
	close(work)
	callers.Wait()
	sub.mu.Lock()
	t.Logf("%d messages were answered, and %d attempts refused", len(published), sub.refused)
	if sub.refused == 0 {
		t.Error("nothing was refused: the subscriber was not down")
	}
	sub.up = true
	sub.mu.Unlock()
	k.server.Kill()
	k.start(t)

	end := time.After(topicPatience)
	for {
		missing, news := sub.missing(slices.Collect(maps.Keys(published)))
		if len(missing) == 0 {
			break
		}
		select {
		case <-news:
		case <-end:
			t.Fatalf("%d of %d messages were never heard, such as %s", len(missing), len(published), missing[0])
		}
	}
}

// form calls an operation of the query protocol.
func (k *killed) form(t *testing.T, action string, parameters ...string) {
	t.Helper()
	if _, err := k.call(action, parameters...); err != nil {
		t.Fatalf("%s: %v", action, err)
	}
}

func (k *killed) publish(topic, message string) (id string, err error) {
	b, err := k.call("Publish", "TopicArn", topic, "Message", message)
	if err != nil {
		return "", err
	}
	var out struct {
		PublishResponse struct{ PublishResult struct{ MessageId string } }
	}
	err = json.Unmarshal(b, &out)
	return out.PublishResponse.PublishResult.MessageId, err
}

func (k *killed) call(action string, parameters ...string) ([]byte, error) {
	values := url.Values{"Action": {action}, "Version": {"2010-03-31"}}
	for i := 0; i < len(parameters); i += 2 {
		values.Set(parameters[i], parameters[i+1])
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+k.address+"/?"+values.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s", resp.Status, b)
	}
	return b, err
}
