package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rules are the lines of the manual that make users of Redis.
func rules(t *testing.T) [][]any {
	t.Helper()
	var all [][]any
	for _, line := range regexp.MustCompile(`(?m)^ACL SETUSER .*$`).FindAllString(manual(t), -1) {
		var words []any
		for word := range strings.FieldsSeq(strings.ReplaceAll(line, "PASSWORD", "canary")) {
			words = append(words, word)
		}
		all = append(all, words)
	}
	if len(all) != 2 {
		t.Fatalf("the manual has %d rules, want those of the publisher and the subscriber", len(all))
	}
	return all
}

func TestS13TheManualsRulesForRedisAreEnoughAndNoMore(t *testing.T) {
	redis := testserver.StartRedis(t)
	for _, rule := range rules(t) {
		redis.Do(t.Context(), rule...)
	}
	at := redisevents.Config{Host: redis.Host(), Port: redis.Port(), Password: "canary"}
	checkRules(t, at)
	if refused, _ := redis.Do(t.Context(), "ACL", "LOG").([]any); len(refused) != 0 {
		t.Errorf("more was asked for than the rules give: %v", refused)
	}

	listener := at
	listener.Username = "subscriber"
	if err := announce(t, listener); !errors.Is(err, redisevents.ErrRefused) {
		t.Errorf("the subscriber may publish: %v", err)
	}
	for name, command := range map[string][]any{
		"the publisher may listen": {"ACL", "DRYRUN", "publisher", "SUBSCRIBE", "tenant-events:staging:"},
		"the publisher may delete": {"ACL", "DRYRUN", "publisher", "DEL", "tenant-events-stream:staging"},
		"other channels are open":  {"ACL", "DRYRUN", "publisher", "PUBLISH", "other", "x"},
		"other streams are open":   {"ACL", "DRYRUN", "subscriber", "XREVRANGE", "other", "+", "-"},
	} {
		if answer := redis.Do(t.Context(), command...); answer == "OK" {
			t.Error(name)
		}
	}
}

// TestX39TheReadmesRulesForRedis are enough for a manager that writes the stream, and for a listener.
func TestX39TheReadmesRulesForRedis(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	redis := testserver.StartRedis(t)
	for _, line := range regexp.MustCompile(`(?m)^ACL SETUSER .*$`).FindAllString(string(text), -1) {
		var words []any
		for word := range strings.FieldsSeq(strings.ReplaceAll(line, "PASSWORD", "canary")) {
			words = append(words, word)
		}
		redis.Do(t.Context(), words...)
	}
	at := redisevents.Config{Host: redis.Host(), Port: redis.Port(), Password: "canary"}
	at.Username = "worker"
	feed, err := redisevents.NewPubSub(at, "staging")
	if err != nil {
		t.Fatal(err)
	}
	manager := at
	manager.Username = "manager"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := hear(ctx, t, feed, manager); err != nil {
		t.Error(err)
	}
	if refused, _ := redis.Do(t.Context(), "ACL", "LOG").([]any); len(refused) != 0 {
		t.Errorf("more was asked for than the rules give: %v", refused)
	}
}

func TestTheManualsRulesForACluster(t *testing.T) {
	t.Parallel()
	cluster := testserver.StartCluster(t)
	for _, node := range cluster.Nodes {
		for _, rule := range rules(t) {
			node.Do(t.Context(), append(rule, "+cluster|slots", "+command")...)
		}
	}
	checkRules(t, redisevents.Config{Addrs: cluster.Addrs(), Password: "canary"})
}

// Redis 7.0 does not know it. Later ones do, and take the rule.
func TestARuleThatRedisDoesNotKnowIsRefusedWhole(t *testing.T) {
	redis := testserver.StartRedis(t)
	info, _ := redis.Do(t.Context(), "INFO", "server").(string)
	if !strings.Contains(info, "redis_version:7.0") {
		t.Skip("this is not Redis 7.0")
	}
	err := redis.Client().Do(t.Context(), "ACL", "SETUSER", "someone", "on", "+ping", "+client|setinfo").Err()
	if err == nil {
		t.Error("it was taken")
	}
	if user := redis.Do(t.Context(), "ACL", "LIST"); strings.Contains(strings.Join(texts(user), " "), "+ping") {
		t.Errorf("a part of it was taken: %v", user)
	}
}

func texts(list any) []string {
	var all []string
	for _, one := range list.([]any) {
		all = append(all, one.(string))
	}
	return all
}

// checkRules has the publisher announce until each way to listen has brought something.
func checkRules(t *testing.T, at redisevents.Config) {
	t.Helper()
	publisher, subscriber := at, at
	publisher.Username, subscriber.Username = "publisher", "subscriber"
	feeds := map[string]tenant.Feed{}
	add := func(name string, feed tenant.Feed, err error) {
		if err != nil {
			t.Fatal(err)
		}
		feeds[name] = feed
	}
	one, err := redisevents.NewPubSub(subscriber, "staging")
	add("one environment", one, err)
	all, err := redisevents.NewPubSub(subscriber, "")
	add("all environments", all, err)
	stream, err := redisevents.NewStream(subscriber, "staging")
	add("the stream", stream, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for name, feed := range feeds {
		if err := hear(ctx, t, feed, publisher); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hear runs feed until it has brought an event. It has to be subscribed at the first attempt.
func hear(ctx context.Context, t *testing.T, feed tenant.Feed, publisher redisevents.Config) error {
	t.Helper()
	ctx, stop := context.WithCancelCause(ctx)
	heard, lost := errors.New("heard"), errors.New("lost")
	subscribed := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- feed.Run(ctx, func(s tenant.Signal) {
			switch s.Kind {
			case tenant.SignalSubscribed:
				if s.Err != nil {
					stop(errors.Join(lost, s.Err))
				}
				select {
				case subscribed <- struct{}{}:
				default:
				}
			case tenant.SignalEvent:
				stop(heard)
			case tenant.SignalLost:
				stop(errors.Join(lost, s.Err))
			default:
			}
		})
	}()
	select {
	case <-subscribed:
		if err := announce(t, publisher); err != nil {
			stop(err)
		}
	case <-ctx.Done():
	}
	err := <-ended // it runs until ctx ends
	if cause := context.Cause(ctx); !errors.Is(cause, heard) {
		return errors.Join(cause, err)
	}
	return nil
}

func announce(t *testing.T, at redisevents.Config) error {
	t.Helper()
	publisher, err := redisevents.NewPublisher(redisevents.PublisherConfig{Redis: at, Channels: redisevents.BothChannels, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = publisher.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	evt := tenant.Event{EventID: "1", EventType: tenant.EventCreated, TenantID: "acme", Environment: "staging", Timestamp: time.Now()}
	return errors.Join(publisher.Publish(ctx, evt), publisher.Heartbeat(ctx, "staging", tenant.Version{Epoch: "e", Revision: 1}))
}

func TestTheManualsMetricsAreThere(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile(`\btenantwatch_\w+`).FindAllString(manual(t), -1)
	if len(named) < 5 {
		t.Fatalf("the manual names %q", named)
	}
	serve := startServe(t, "sqlite:"+t.TempDir()+"/t.db")
	serve.command("tenant", "create", "Acme")
	for deadline := time.Now().Add(patience); ; {
		metrics := get(t, serve.ready.AdminURL+"/metrics")
		missing := slices.DeleteFunc(slices.Clone(named), func(name string) bool {
			return strings.Contains(metrics, "\n"+name+"{") || strings.Contains(metrics, "\n"+name+" ")
		})
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is no %q in\n%s", missing, metrics)
		}
	}
}

func TestTheManualsVariablesAreThere(t *testing.T) {
	var help strings.Builder
	for _, command := range [][]string{{"serve"}, {"tenant", "list"}, {"follow"}} {
		if code, stderr := call(t.Context(), &help, append(command, "--help")...); code != 0 {
			t.Fatal(stderr)
		}
	}
	text := strings.Join(strings.Fields(help.String()), " ")
	env, err := os.ReadFile("../../deploy/tenantwatch.env")
	if err != nil {
		t.Fatal(err)
	}
	container, err := os.ReadFile("../../deploy/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`\bTENANTWATCH_\w+`).FindAllString(manual(t)+string(env)+string(container), -1) {
		if !strings.Contains(text, name) {
			t.Errorf("no --help has %s", name)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v", url, resp.StatusCode, err)
	}
	return string(body)
}
