package redisevents

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// forms are ways in which other programs write an address with a password, each with what the error advises.
var forms = map[string]string{
	canary + "@h":                                                "Username and Password",
	"u:" + canary + "@h:6379":                                    "Username and Password",
	"h:6379@" + canary:                                           "Username and Password",
	"redis://u:" + canary + "@h:6379/0":                          "Username and Password",
	"redis://h:6379?password=" + canary:                          "ParseURL",
	"rediss://h:6379/" + canary:                                  "ParseURL",
	"h:6380,password=" + canary:                                  "Username and Password",
	"h:6380,password=" + canary + ",ssl=True,abortConnect=False": "Username and Password",
	"h:6380,password=a@" + canary:                                "Username and Password",
	"h:6379?password=" + canary:                                  "Username and Password",
	"h:6379;password=" + canary:                                  "Username and Password",
	"h:6379 password=" + canary:                                  "Username and Password",
	"password=" + canary + ":6379":                               "Username and Password",
	"h:" + canary:                                                "",
	"h:6379:" + canary:                                           "",
	"local:h:6379:0:" + canary:                                   "",
	canary + "/h":                                                "",
	"[" + canary + "]x:6379":                                     "",
	"fe80::1%" + canary + "=":                                    "Username and Password",
	canary + "\n":                                                "",
	canary + "*!:6379":                                           "",
	`"` + canary + `":6379`:                                      "",
}

// secretText is what somebody may write into a field for a file.
func secretTexts() []string {
	der := append([]byte{0x30, 0x2e, 0x02, 0x01, 0x00, 0x30}, canary+canary+canary...)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return []string{key, base64.StdEncoding.EncodeToString([]byte(key)), base64.StdEncoding.EncodeToString(der)}
}

// TestX29NoFormOfAnAddressShowsAPassword: whatever is written into the field of an address, it is refused by the field's
// name, and is in no error, log or print.
func TestX29NoFormOfAnAddressShowsAPassword(t *testing.T) {
	for form, advice := range forms {
		for field, cfg := range map[string]Config{
			"Host":          {Host: form},
			"Port":          {Host: "h", Port: form},
			"Addrs[0]":      {Addrs: []string{form}},
			"Addrs[1]":      {Addrs: []string{"a:1", form}, MasterName: "m"},
			"MasterName":    {Addrs: []string{"a:1"}, MasterName: form + "="},
			"TLSServerName": {Host: "h", TLS: true, TLSServerName: form},
		} {
			text := refusalText(t, field, cfg)
			if !strings.Contains(text, advice) && field != "MasterName" {
				t.Errorf("%s, %q: %q does not advise %q", field, form, text, advice)
			}
			expectHidden(t, field+", "+form, text+printed(t, cfg), canary)
		}
	}
}

// refusalText is the error, which all have that take a Config.
func refusalText(t *testing.T, field string, cfg Config) string {
	t.Helper()
	err := cfg.Validate()
	if err == nil || !strings.Contains(err.Error(), field) {
		t.Errorf("%s: Validate returned %v", field, err)
	}
	_, feedErr := NewPubSub(cfg, "")
	_, streamErr := NewStream(cfg, "")
	_, publisherErr := NewPublisher(PublisherConfig{Redis: cfg, Channels: TenantChannel})
	return fmt.Sprint(err, feedErr, streamErr, publisherErr)
}

// printed is a configuration in each form in which one gets into logs.
func printed(t *testing.T, cfg Config) string {
	t.Helper()
	var out bytes.Buffer
	for _, value := range []any{cfg, &cfg, []Config{cfg}, map[string]any{"a": cfg}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("config", slog.Any("value", value))
		}
		if err := json.NewEncoder(&out).Encode(value); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func expectHidden(t *testing.T, name, text, secret string) {
	t.Helper()
	if strings.Contains(text, secret) {
		t.Errorf("%s: the secret is in %.300s", name, text[max(0, strings.Index(text, secret)-100):])
	}
}

// TestX29AKeyInThePlaceOfItsFile is refused before it is taken for a path, which an error would quote.
func TestX29AKeyInThePlaceOfItsFile(t *testing.T) {
	for _, key := range secretTexts() {
		for field, cfg := range map[string]Config{
			"ClientKey":    {Host: "h", TLS: true, ClientCert: "cert.pem", ClientKey: key},
			"ClientCert":   {Host: "h", TLS: true, ClientCert: key, ClientKey: "key.pem"},
			"CACertBase64": {Host: "h", TLS: true, CACertBase64: key},
		} {
			text := refusalText(t, field, cfg) + printed(t, cfg)
			expectHidden(t, field, text, key[len(key)/3:len(key)/2])
		}
	}
	_, _, certificate := authority(t)
	both := base64.StdEncoding.EncodeToString([]byte(decoded(t, certificate) + secretTexts()[0]))
	expectHidden(t, "a certificate and a key", printed(t, Config{Host: "h", TLS: true, CACertBase64: both}), both)
	if cfg := (Config{Host: "h", TLS: true, CACertBase64: certificate}); !strings.Contains(fmt.Sprint(cfg), certificate) {
		t.Error("a certificate alone is not shown")
	}
}

func decoded(t *testing.T, text string) string {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestX29AUserWithItsPassword in one field is not shown.
func TestX29AUserWithItsPassword(t *testing.T) {
	for _, user := range []string{"u:" + canary, "u," + canary, "password=" + canary} {
		cfg := Config{Addrs: []string{"a:1"}, MasterName: "m", Username: user, Password: "p", SentinelUsername: user, SentinelPassword: "p"}
		expectHidden(t, user, printed(t, cfg), canary)
	}
	if text := fmt.Sprint(Config{Username: "sa+1@project.iam"}); !strings.Contains(text, "sa+1@project.iam") {
		t.Errorf("a user alone is not shown in %s", text)
	}
}

// TestX29HostsThatThereAre are taken.
func TestX29HostsThatThereAre(t *testing.T) {
	for _, host := range []string{
		"redis", "redis-1.prod_eu.example.com", "redis.example.com.", "127.0.0.1", "::1", "[::1]", "fe80::1%eth0", "[fe80::1%en0.1]", "bücher.example", "0",
	} {
		for _, cfg := range []Config{{Host: host}, {Addrs: []string{net.JoinHostPort(strings.Trim(host, "[]"), "6379")}}} {
			if err := cfg.Validate(); err != nil || !strings.Contains(fmt.Sprint(cfg), strings.Trim(host, "[]")) {
				t.Errorf("%v: %v", cfg, err)
			}
		}
	}
}

// TestX29AnOldServerThatQuotesAPartOfAPassword: it cuts what it quotes.
func TestX29AnOldServerThatQuotesAPartOfAPassword(t *testing.T) {
	password := strings.Repeat("x", 100) + canary
	cfg := Config{Host: "fake", Password: password + strings.Repeat("y", 100)}
	feed := newFeed(t, cfg, environment)
	feed.dial = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer func() { _ = server.Close() }()
			lines := bufio.NewScanner(server)
			for command := readCommand(lines); len(command) > 0; command = readCommand(lines) {
				said := strings.Join(command[1:], "', '")
				_, _ = fmt.Fprintf(server, "-ERR unknown command `%s`, with args beginning with: '%s'\r\n", command[0], said[:min(len(said), 128)])
			}
		}()
		return client, nil
	}
	var got recorder
	listen(t, feed, got.sink)
	lost := got.wait(t, tenant.SignalLost, 1)[0].Err.Error()
	expectHidden(t, "cut", lost, "xxxx")
	if !strings.Contains(lost, "unknown command") {
		t.Errorf("lost: %s", lost)
	}
}
