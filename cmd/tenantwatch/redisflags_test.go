package main

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// TestX10OneSetOfRedisSettings: each command that needs Redis takes the same flags and variables.
func TestX10OneSetOfRedisSettings(t *testing.T) {
	ours := newAuthority(t)
	ours.issue("client", ours)
	pem, err := os.ReadFile(ours.file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	secure := redisevents.Config{
		TLS: true, CACertBase64: base64.StdEncoding.EncodeToString(pem), TLSServerName: "redis.internal",
		ClientCert: ours.file("client.pem"), ClientKey: ours.file("client.key"),
	}
	variables := map[string]string{
		"TENANTWATCH_REDIS_CA_FILE": ours.file("ca.pem"), "TENANTWATCH_REDIS_SERVER_NAME": "redis.internal",
		"TENANTWATCH_REDIS_CERT": ours.file("client.pem"), "TENANTWATCH_REDIS_KEY": ours.file("client.key"),
	}
	flags := redisFlags{RedisCAFile: ours.file("ca.pem"), RedisServerName: "redis.internal", RedisCert: ours.file("client.pem"), RedisKey: ours.file("client.key")}
	sentinels := []string{"TENANTWATCH_REDIS_ADDRS", "a:1,b:2", "TENANTWATCH_REDIS_MASTER", "m", "TENANTWATCH_REDIS_SENTINEL_USERNAME", "su", "TENANTWATCH_REDIS_SENTINEL_PASSWORD", "sp"}
	byHost := func(c redisevents.Config, host, port string) redisevents.Config {
		c.Host, c.Port = host, port
		return c
	}
	tests := []struct {
		name  string
		flags redisFlags
		env   map[string]string
		want  redisevents.Config
	}{
		{"TLS by variables", redisFlags{}, with(with(map[string]string{}, pairs(variables)...), "TENANTWATCH_REDIS_URL", "rediss://h:1"), byHost(secure, "h", "1")},
		{"TLS by flags", func() redisFlags { f := flags; f.RedisURL = "rediss://h:1"; return f }(), nil, byHost(secure, "h", "1")},
		{"TLS beside what services have", flags, map[string]string{"MULTI_TENANT_REDIS_HOST": "h", "MULTI_TENANT_REDIS_TLS": "true"}, byHost(secure, "h", "")},
		{"a Cluster by one address", redisFlags{RedisURL: "redis://h:1", RedisCluster: true}, nil, redisevents.Config{Host: "h", Port: "1", Cluster: true}},
		{"a Cluster by a variable", redisFlags{RedisURL: "redis://h:1"}, map[string]string{"TENANTWATCH_REDIS_CLUSTER": "true"}, redisevents.Config{Host: "h", Port: "1", Cluster: true}},
		{
			"Sentinels",
			redisFlags{},
			with(map[string]string{"TENANTWATCH_REDIS_URL": "redis://u:p@"}, sentinels...),
			redisevents.Config{Addrs: []string{"a:1", "b:2"}, MasterName: "m", Username: "u", Password: "p", SentinelUsername: "su", SentinelPassword: "sp"},
		},
		{"a flag for another Redis", redisFlags{RedisURL: "redis://h:1"}, with(map[string]string{}, sentinels...), redisevents.Config{Host: "h", Port: "1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := &lookup{getenv: func(name string) string { return tt.env[name] }}
			got := tt.flags.resolve(l)
			if l.fault("", "") != nil {
				t.Fatal(l.fault("", ""))
			}
			if g, w := text(t, got), text(t, tt.want); g != w {
				t.Errorf("got  %s\nwant %s", g, w)
			}
		})
	}
}

func pairs(m map[string]string) []string {
	var all []string
	for name, value := range m {
		all = append(all, name, value)
	}
	return all
}

// text is all of a configuration, its passwords too.
func text(t *testing.T, c redisevents.Config) string {
	t.Helper()
	shown, err := c.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(shown) + " " + c.Password + " " + c.SentinelPassword
}

func TestX11RedisFlagsThatMakeNoSense(t *testing.T) {
	ours := newAuthority(t)
	ours.issue("client", ours)
	for want, f := range map[string]redisFlags{
		"are for TLS, and the URL of Redis begins with redis://": {RedisURL: "redis://h", RedisServerName: "n"},
		"need each other":              {RedisURL: "rediss://h", RedisCert: ours.file("client.pem")},
		"--redis-cert and --redis-key": {RedisURL: "rediss://h", RedisCert: ours.file("client.pem"), RedisKey: ours.file("ca.key")},
		"no certificate in PEM form":   {RedisURL: "rediss://h", RedisCAFile: ours.file("ca.key")},
		"exclude each other":           {RedisAddrs: "h:1", RedisMaster: "m", RedisCluster: true},
	} {
		l := &lookup{getenv: func(string) string { return "" }}
		f.resolve(l)
		if err := l.fault("", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", f, err, want)
		}
	}
}

// TestX10ACommandKnowsAClusterByOneAddress: what dev publishes there comes out of follow, by the stream and by Pub/Sub.
func TestX10ACommandKnowsAClusterByOneAddress(t *testing.T) {
	t.Parallel()
	cluster := testserver.StartCluster(t)
	first, last := cluster.Nodes[0], cluster.Nodes[len(cluster.Nodes)-1]
	dev := startProcess(t, nil, "dev", "--no-churn", "--json", "--tenants", "2", "--redis-url", "redis://"+first.Addr())
	ready := dev.ready()
	var followers []*launched
	for _, more := range [][]string{{"--redis-cluster", "--feed", "stream"}, {"--feed", "stream"}, {"--redis-cluster"}} {
		args := append([]string{
			"follow", "--service", ready.Service, "--environment", ready.Environment, "--manager-url", ready.ManagerURL,
			"--api-key-file", ready.APIKeyFile, "--redis-url", "redis://" + last.Addr(),
		}, more...)
		follow := startProcess(t, nil, args...)
		follow.await(&follow.err, "live with 2 tenants")
		followers = append(followers, follow)
	}
	ready.change(t, "PUT", "/tenant-0002/suspend", "")
	for _, follow := range followers {
		follow.await(&follow.out, "-  tenant-0002  tenant.suspended\n")
		follow.interrupt()
	}
	dev.interrupt()
}
