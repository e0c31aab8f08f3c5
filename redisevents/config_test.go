package redisevents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

const canary = "c4nary-pa55word"

func TestValidateNamesTheFields(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		want []string // none: it is valid
	}{
		{"host", Config{Host: "redis"}, nil},
		{"everything", Config{
			Host: "::1", Port: "1", Username: "u", Password: "p", DB: 3, TLS: true, SilenceLimit: time.Second,
		}, nil},
		{"one address", Config{Addrs: []string{"redis:6379"}, DB: 1}, nil},
		{"cluster", Config{Addrs: []string{"a:1", "[::1]:2"}}, nil},
		{"sentinel", Config{Addrs: []string{"a:1"}, MasterName: "m", DB: 1}, nil},
		{"sentinel with a password", Config{
			Addrs: []string{"a:1"}, MasterName: "m", SentinelUsername: "u", SentinelPassword: "p",
		}, nil},
		{"sentinel user alone", Config{Addrs: []string{"a:1"}, MasterName: "m", SentinelUsername: "u"}, []string{"SentinelUsername needs"}},
		{"sentinel password without sentinels", Config{Host: "a", SentinelPassword: "p"}, []string{"SentinelPassword needs"}},
		{"nothing", Config{}, []string{"Host or Addrs is required"}},
		{"both", Config{Host: "a", Addrs: []string{"b:1"}}, []string{"Host and Addrs"}},
		{"ports", Config{Host: "a", Port: "65536"}, []string{"Port"}},
		{"port 0", Config{Host: "a", Port: "0"}, []string{"Port"}},
		{"addresses", Config{Addrs: []string{"a", ":1", "a:x"}}, []string{"Addrs[0]", "Addrs[1]", "Addrs[2]"}},
		{"master alone", Config{Host: "a", MasterName: "m"}, []string{"MasterName"}},
		{"database", Config{Host: "a", DB: -1}, []string{"DB"}},
		{"database of a cluster", Config{Addrs: []string{"a:1", "b:1"}, DB: 1}, []string{"DB"}},
		{"user alone", Config{Host: "a", Username: "u"}, []string{"Username"}},
		{"certificate", Config{Host: "a", TLS: true, CACertBase64: "%"}, []string{"CACertBase64 is not base64"}},
		{"no certificate", Config{Host: "a", TLS: true, CACertBase64: "YWJj"}, []string{"CACertBase64 holds"}},
		{"certificate without TLS", Config{Host: "a", CACertBase64: "YWJj"}, []string{"CACertBase64 needs TLS"}},
		{"many", Config{DB: -1, SilenceLimit: -1}, []string{"Host or Addrs", "DB", "SilenceLimit"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.cfg.Validate()
			if (err == nil) != (len(tt.want) == 0) {
				t.Fatalf("Validate returned %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			_, feedErr := NewPubSub(tt.cfg, "")
			publisher, publisherErr := NewPublisher(PublisherConfig{Redis: tt.cfg, Channels: TenantChannel})
			if (feedErr == nil) != (err == nil) || (publisherErr == nil) != (err == nil) {
				t.Errorf("the constructors returned %v and %v", feedErr, publisherErr)
			}
			if publisher != nil && publisher.Close() != nil {
				t.Error("Close failed")
			}
		})
	}
}

func TestZeroValues(t *testing.T) {
	cfg := Config{Host: "redis"}
	if got := cfg.addrs(); len(got) != 1 || got[0] != "redis:6379" {
		t.Errorf("addresses %v", got)
	}
	if got := cfg.silenceLimit(); got != 10*time.Second {
		t.Errorf("silence limit %s", got)
	}
	if got := (Config{Host: "::1", Port: "7"}).addrs()[0]; got != "[::1]:7" {
		t.Errorf("address %s", got)
	}
}

func TestS08ThePasswordIsNeverShown(t *testing.T) {
	cfg := Config{
		Addrs: []string{"the-host:1"}, MasterName: "m", Username: "u", Password: canary,
		SentinelUsername: "s", SentinelPassword: "s-" + canary,
	}
	feed, err := NewPubSub(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	publisher := newPublisher(t, cfg, TenantChannel)
	var out bytes.Buffer
	wrapped := struct {
		Redis  Config
		Nested *Config
	}{cfg, &cfg}
	for _, value := range []any{cfg, &cfg, wrapped, []Config{cfg}, map[string]Config{"a": cfg}, feed, *feed, publisher, *publisher} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("config", slog.Any("value", value))
		}
	}
	for _, value := range []any{cfg, wrapped} {
		if err := json.NewEncoder(&out).Encode(value); err != nil {
			t.Fatal(err)
		}
	}
	if text := out.String(); strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
		t.Errorf("the password is in %s", text)
	}
	if text := fmt.Sprintf("%+v", cfg); !strings.Contains(text, "the-host") || !strings.Contains(text, redacted) {
		t.Errorf("printed as %s", text)
	}
}

func TestParseURL(t *testing.T) {
	tests := []struct {
		url  string
		want Config
	}{
		{"redis://redis", Config{Host: "redis", Port: "6379"}},
		{"redis://redis:7/2", Config{Host: "redis", Port: "7", DB: 2}},
		{"redis://redis?db=2", Config{Host: "redis", Port: "6379", DB: 2}},
		{"rediss://u:p%40ss@redis", Config{Host: "redis", Port: "6379", Username: "u", Password: "p@ss", TLS: true}},
		{"redis://:p@[::1]:7", Config{Host: "::1", Port: "7", Password: "p"}},
		{"redis://", Config{Host: "localhost", Port: "6379"}},
	}
	for _, tt := range tests {
		got, err := ParseURL(tt.url)
		if err != nil || fmt.Sprintf("%+v", redactedConfig(got)) != fmt.Sprintf("%+v", redactedConfig(tt.want)) {
			t.Errorf("%s: %+v, %v; want %+v", tt.url, redactedConfig(got), err, redactedConfig(tt.want))
		}
	}
}

// TestX29AURLOfRedisBlamesWhatIsWrong and not always the password.
func TestX29AURLOfRedisBlamesWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"redis://redis:63a79":         "a port that is not a number",
		"redis://[::1:6379":           "a [ in its host and no ]",
		"redis://re dis:6379":         "a character in its host",
		"redis://:S3CRET%zz@h":        "a % in its user or password",
		"redis://:S3CRET/x@host:6379": "a /, ? or # in its user or password",
		"http://S3CRET":               "does not begin with redis:// or rediss://",
		"redis:S3CRET":                "does not begin with redis:// or rediss://",
	} {
		if _, err := ParseURL(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestParseURLErrorsDoNotQuote(t *testing.T) {
	for _, url := range []string{
		"", canary, "http://" + canary + "@redis", "redis://u:" + canary + "/x@redis", "redis://u:12/" + canary + "@redis",
		"redis://u:" + canary + "%zz@redis", "redis://u:" + canary + "@redis:port", "redis://u:" + canary + "@redis/x",
		"redis://redis/" + canary, "redis://redis?skip_verify=" + canary, "redis://redis?db=" + canary,
		"redis://u:" + canary + "@redis/-1", "redis://u:" + canary + "@redis:99999", canary + "://redis",
	} {
		if _, err := ParseURL(url); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestChannelNames(t *testing.T) {
	for _, name := range []string{"env", "tenant", "both"} {
		if c, err := ParseChannels(name); err != nil || c.String() != name {
			t.Errorf("%s: %s, %v", name, c, err)
		}
	}
	if _, err := ParseChannels("Env"); err == nil {
		t.Error("Env was taken")
	}
	tests := []struct {
		channels    Channels
		environment string
		want        string
	}{
		{EnvironmentChannel, "staging", "tenant-events:staging:"},
		{EnvironmentChannel, "", "tenant-events:t1"},
		{TenantChannel, "staging", "tenant-events:t1"},
		{BothChannels, "staging", "tenant-events:staging: tenant-events:t1"},
		{BothChannels, "", "tenant-events:t1"},
	}
	for _, tt := range tests {
		if got := strings.Join(tt.channels.of(tt.environment, "t1"), " "); got != tt.want {
			t.Errorf("%s, environment %q: %s, want %s", tt.channels, tt.environment, got, tt.want)
		}
	}
}
