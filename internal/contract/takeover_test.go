package contract

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestX15AFlatRabbitMQOfAnOldReplicaIsMoved: one that is replaced last still takes it as it is.
func TestX15AFlatRabbitMQOfAnOldReplicaIsMoved(t *testing.T) {
	const flat = `{"host":"mq","port":5672}`
	tests := []struct{ name, put, rabbitmq, want string }{
		{"nothing was there", `{}`, flat, `{"messaging":{"rabbitmq":{"host":"mq","port":5672}}}`},
		{"one module", `{"databases":{"m":{}}}`, flat, `{"databases":{"m":{}},"rabbitmq":{"m":{"host":"mq","port":5672}},"messaging":{"rabbitmq":{"host":"mq","port":5672}}}`},
		{"instead of the shared one", `{"messaging":{"rabbitmq":{"host":"old","vhost":"/"},"nats":1}}`, flat, `{"messaging":{"rabbitmq":{"host":"mq","port":5672},"nats":1}}`},
		{"instead of one by module", `{"rabbitmq":{"m":{"host":"old"}}}`, flat, `{"messaging":{"rabbitmq":{"host":"mq","port":5672}}}`},
		{"of another type", `{}`, `{"host":"mq","port":"5672"}`, `{"messaging":{"rabbitmq":{"host":"mq"}}}`},
		{"by module, of what was shared", `{"databases":{"m":{}},"messaging":{"rabbitmq":{"host":"old"}}}`, `{"m":{"host":"new"}}`, `{"databases":{"m":{}},"rabbitmq":{"m":{"host":"new"}},"messaging":{"rabbitmq":{"host":"new"}}}`},
		{"by module, beside what is shared", `{"rabbitmq":{"m":{"host":"a"}},"messaging":{"rabbitmq":{"host":"b"}}}`, `{"m":{"host":"c"}}`, `{"rabbitmq":{"m":{"host":"c"}},"messaging":{"rabbitmq":{"host":"b"}}}`},
		{"gone", `{"databases":{"m":{}},"messaging":{"rabbitmq":{"host":"old"}}}`, `null`, `{"databases":{"m":{}},"messaging":{}}`},
		{"a module that is null", `{}`, `{"m":{"host":"q"},"n":null}`, `{"rabbitmq":{"m":{"host":"q"}},"messaging":{"rabbitmq":{"host":"q"}}}`},
		{"no object", `{}`, `"mq"`, `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := after(t, Connections{}, tt.put)
			now := c.Before()
			now.RabbitMQ = []byte(tt.rabbitmq)
			taken := c.TakeOver(now)
			wantShown(t, taken, tt.want)
			wantShown(t, taken.TakeOver(taken.Before()), tt.want)
		})
	}
}

// TestX17WhatWasStoredIsHandedOnAsReadersTakeIt: one field of another type fails their whole decode.
func TestX17WhatWasStoredIsHandedOnAsReadersTakeIt(t *testing.T) {
	const bad = `{"m":{"postgresql":{"host":"h","port":"5432","ssl":null,"Port":"x"},"mongodb":"uri","redis":{"port":null}},"n":null,"o":7}`
	const want = `{"databases":{"m":{"postgresql":{"host":"h","ssl":null,"Port":"x"},"redis":{"port":null}}},"connectionSettings":{"warm":true}}`
	before := Before{Databases: []byte(bad), Connection: []byte(`{"statementTimeout":30,"maxOpenConns":null,"warm":true}`)}
	wantShown(t, before.Connections(), want)
	wantShown(t, Connections{}.TakeOver(before), want)

	var stored Connections // by a program that took it over as it was
	if err := json.Unmarshal([]byte(`{"created":{"maxOpenConns":-5,"maxIdleConns":3},"put":{"rabbitmq":{"host":"mq"},"databases":`+bad+`}}`), &stored); err != nil {
		t.Fatal(err)
	}
	wantShown(t, stored, `{"databases":{"m":{"postgresql":{"host":"h","ssl":null,"Port":"x"},"redis":{"port":null},"connectionSettings":{"maxIdleConns":3}}},`+
		`"rabbitmq":{"m":{"host":"mq"}},"messaging":{"rabbitmq":{"host":"mq"}},"connectionSettings":{"maxIdleConns":3}}`)
	wantShown(t, Before{MaxOpenConns: -5, MaxIdleConns: 3_000_000_000}.Connections(), `{}`)
}

// TestX16ALimitThatIsNullIsNone, and not a limit of 0.
func TestX16ALimitThatIsNullIsNone(t *testing.T) {
	c := Before{MaxOpenConns: 25, Databases: []byte(`{"m":{"connectionSettings":{"maxOpenConns":null,"maxIdleConns":-1}}}`)}.Connections()
	wantShown(t, c, `{"databases":{"m":{"connectionSettings":{"maxOpenConns":25}}},"connectionSettings":{"maxOpenConns":25}}`)
	for _, null := range []string{`{"maxOpenConns":null}`, `{"maxOpenConns":-1}`, `{"maxOpenConns":"1"}`} {
		if got := readLimits(json.RawMessage(null)); got != (Limits{}) {
			t.Errorf("%s is a limit of %d", null, *got.MaxOpenConns)
		}
	}
}

// TestX16ATimeoutOfNothingIsNotSet in what GET answers either.
func TestX16ATimeoutOfNothingIsNotSet(t *testing.T) {
	c := after(t, Connections{}, `{"connectionSettings":{"statementTimeout":"30s"},"databases":{"m":{"connectionSettings":{"statementTimeout":""}}}}`)
	wantShown(t, c, `{"databases":{"m":{"connectionSettings":{"statementTimeout":"30s"}}},"connectionSettings":{"statementTimeout":"30s"}}`)
	if got := c.Limits("m").StatementTimeout; got != "30s" {
		t.Errorf("the event has %q", got)
	}
	before := NewConnections(Limits{StatementTimeout: "9s"})
	wantShown(t, after(t, before, `{"statementTimeout":""}`), `{"connectionSettings":{"statementTimeout":"9s"}}`)
}

func TestX17AModuleOfALimitIsBoundedToo(t *testing.T) {
	for _, rest := range []string{`,"maxOpenConns":1}`, `}`} {
		_, err := ParsePatch([]byte(`{"module":"` + strings.Repeat("m", maxModule+1) + `"` + rest))
		wantInvalid(t, err, codeBody, "a module has 256 bytes")
	}
	after(t, Connections{}, `{"module":"`+strings.Repeat("m", maxModule)+`","maxOpenConns":1}`, `{"module":"","maxOpenConns":1}`)
}

func TestX19ModulesAreThoseThatHaveConnectionsOfAnyKind(t *testing.T) {
	for _, tt := range [][2]string{
		{`{"databases":{"d":{"mongodb":{"uri":"u"}},"limits":{"connectionSettings":{"maxOpenConns":1}}}}`, "d"},
		{`{"rabbitmq":{"r":{"host":"q"},"none":{}},"streaming":{"a":{"kafka":{"tls":true}},"none":{}}}`, "a,r"},
		{`{"databases":{"m":{"mongodb":{"uri":"u"}}},"rabbitmq":{"m":{"host":"q"}}}`, "m"},
		{`{"databases":{"m":{}},"messaging":{"rabbitmq":{"host":"q"}}}`, "m"},
		{`{"messaging":{"rabbitmq":{"host":"q"}}}`, ""},
	} {
		got := after(t, Connections{}, tt[0]).Associated(tenant.ServiceAssociated{}).Modules
		if strings.Join(got, ",") != tt[1] {
			t.Errorf("%s: %q, want %s", tt[0], got, tt[1])
		}
	}
}
