package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func after(t *testing.T, c Connections, bodies ...string) Connections {
	t.Helper()
	for _, body := range bodies {
		p, err := ParsePatch([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if c, err = c.Merge(p); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	}
	return c
}

// shown is what GET answers, in its order.
func shown(c Connections) string {
	var out []string
	for _, m := range c.Fields().Object() {
		out = append(out, fmt.Sprintf("%q:%s", m.Name, m.Value))
	}
	return "{" + strings.Join(out, ",") + "}"
}

func wantShown(t *testing.T, c Connections, want string) {
	t.Helper()
	if got := shown(c); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestX14MergeIsThatOfTheRFC has the cases of RFC 7396, appendix A.
func TestX14MergeIsThatOfTheRFC(t *testing.T) {
	for _, tt := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"a":1,"b":2}`, `{"a":null,"c":3,"b":1e2}`, `{"b":1e2,"c":3}`},
	} {
		if got := string(merge(json.RawMessage(tt[0]), json.RawMessage(tt[1]))); got != tt[2] {
			t.Errorf("%s with %s is %s, want %s", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestX14WhatNobodyKnowsIsHandedOn(t *testing.T) {
	c := after(t, Connections{}, `{"zone":"eu-1","databases":{"m":{"redis":{"port":6379.0,"big":12345678901234567890}}}}`)
	wantShown(t, c, `{"databases":{"m":{"redis":{"port":6379.0,"big":12345678901234567890}}},"zone":"eu-1"}`)
	c = after(t, c, `{"id":"other","service":"other","createdAt":7,"zone":null}`)
	wantShown(t, c, `{"databases":{"m":{"redis":{"port":6379.0,"big":12345678901234567890}}}}`)
	stored, err := json.Marshal(c)
	var again Connections
	if err = errors.Join(err, json.Unmarshal(stored, &again)); err != nil {
		t.Fatal(err)
	}
	wantShown(t, again, shown(c))
}

// TestX21ANameInAnotherCaseIsAnotherField, which nobody here knows, so that it is handed on as it was put and means nothing; but
// those of the manager's own answer are never a client's, in any case.
func TestX21ANameInAnotherCaseIsAnotherField(t *testing.T) {
	const put = `"databases":{"M":{"PostgreSQL":1,"postgresql":{"Host":"x","port":1}},"m":{}},"messaging":{"RabbitMQ":7},` +
		`"connectionSettings":{"MAXOPENCONNS":"many"},"Databases":{"m":7},"MaxOpenConns":9`
	c := after(t, NewConnections(LimitsOf(0, 0)), `{`+put+`,"ID":"other","Service":"x","tenantSLUG":"y"}`)
	wantShown(t, c, `{`+put+`}`)
	if limits := c.Limits("m"); limits != (Limits{}) {
		t.Errorf("it means %+v", limits)
	}
	c = after(t, c, `{"DATABASES":{"m":null},"databases":{"M":{"postgresql":{"host":"y","HOST":null}}},"Databases":null}`)
	wantShown(t, c, `{"databases":{"M":{"PostgreSQL":1,"postgresql":{"Host":"x","port":1,"host":"y"}},"m":{}},"messaging":{"RabbitMQ":7},`+
		`"connectionSettings":{"MAXOPENCONNS":"many"},"DATABASES":{},"MaxOpenConns":9}`)
}

func TestX16ALimitThatIsRemovedMakesNoModule(t *testing.T) {
	for _, body := range []string{
		`{"module":"z","maxOpenConns":null}`, `{"maxOpenConns":null}`, `{"module":"z","maxOpenConns":null,"maxIdleConns":null,"statementTimeout":null}`,
	} {
		wantShown(t, after(t, Connections{}, body), `{}`)
		wantShown(t, after(t, Connections{}, `{"databases":{"a":{}}}`, body), `{"databases":{"a":{}}}`)
	}
	wantShown(t, after(t, Connections{}, `{"module":"z","maxOpenConns":null,"maxIdleConns":1}`), `{"databases":{"z":{"connectionSettings":{"maxIdleConns":1}}}}`)
	wantShown(t, after(t, Connections{}, `{"module":"z","maxOpenConns":2}`, `{"module":"z","maxOpenConns":null}`), `{"databases":{"z":{"connectionSettings":{}}}}`)
}

// allocated is how many bytes fn allocates, which grows as what it reads again and again does.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestX17AChangeCostsWhatItsSizeIs, however deep it is and however many modules it has: others wait for it.
func TestX17AChangeCostsWhatItsSizeIs(t *testing.T) {
	const size = 256 << 10
	deep := func(depth int) func() {
		body := strings.Repeat(`{"x":`, depth) + `"` + strings.Repeat("n", size) + `"` + strings.Repeat("}", depth)
		return func() { after(t, Connections{}, body, body) }
	}
	wide := func(modules int) func() {
		var parts []string
		for i := range modules {
			parts = append(parts, fmt.Sprintf(`"m%d":{"note":%q}`, i, strings.Repeat("n", size/modules)))
		}
		body := `{"databases":{` + strings.Join(parts, ",") + `}}`
		return func() {
			c := after(t, Connections{}, body)
			again := after(t, c, `{"maxOpenConns":7}`)
			if len(Announce(c, again).Limits) != modules || shown(again) == "" {
				t.Error("it says too little")
			}
		}
	}
	for name, kind := range map[string]struct{ few, many func() }{
		"depth": {deep(3), deep(60)}, "modules": {wide(2), wide(200)},
	} {
		if few, many := allocated(kind.few), allocated(kind.many); many > 4*few {
			t.Errorf("%s: %d bytes, and %d for a document of the same size", name, few, many)
		}
	}
}

func TestX15BothFormsOfRabbitMQAreShownWhereOneModuleIsMeant(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"by module", `{"rabbitmq":{"m":{"host":"q"}}}`, `{"rabbitmq":{"m":{"host":"q"}},"messaging":{"rabbitmq":{"host":"q"}}}`},
		{"shared, one module", `{"databases":{"m":{}},"messaging":{"rabbitmq":{"host":"q"}}}`, `{"databases":{"m":{}},"rabbitmq":{"m":{"host":"q"}},"messaging":{"rabbitmq":{"host":"q"}}}`},
		{"shared, no module", `{"messaging":{"rabbitmq":{"host":"q"}}}`, `{"messaging":{"rabbitmq":{"host":"q"}}}`},
		{"shared, two modules", `{"databases":{"m":{},"n":{}},"messaging":{"rabbitmq":{"host":"q"}}}`, `{"databases":{"m":{},"n":{}},"messaging":{"rabbitmq":{"host":"q"}}}`},
		{"by module, two", `{"rabbitmq":{"m":{"host":"q"},"n":{}}}`, `{"rabbitmq":{"m":{"host":"q"},"n":{}}}`},
		{"by module, one, of two in databases", `{"databases":{"a":{},"b":{}},"rabbitmq":{"m":{"host":"q"}}}`, `{"databases":{"a":{},"b":{}},"rabbitmq":{"m":{"host":"q"}},"messaging":{"rabbitmq":{"host":"q"}}}`},
		{"both were put", `{"rabbitmq":{"m":{"host":"q"}},"messaging":{"rabbitmq":{"host":"r"}}}`, `{"rabbitmq":{"m":{"host":"q"}},"messaging":{"rabbitmq":{"host":"r"}}}`},
		{"beside something else", `{"rabbitmq":{"m":{"host":"q"}},"messaging":{"nats":1}}`, `{"rabbitmq":{"m":{"host":"q"}},"messaging":{"nats":1,"rabbitmq":{"host":"q"}}}`},
		{"none", `{"rabbitmq":{}}`, `{"rabbitmq":{}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := after(t, Connections{}, tt.body)
			wantShown(t, c, tt.want)
			if again := after(t, c, tt.want); Announce(c, again).Rebuild {
				t.Errorf("what was shown is put, and announced: %s", shown(again))
			}
		})
	}
}

func TestX15AFlatRabbitMQIsRefusedWithTheRightForm(t *testing.T) {
	for _, body := range []string{`{"rabbitmq":{"host":"q","port":5672}}`, `{"rabbitmq":{"url":"amqp://u:canary@q"}}`} {
		_, err := ParsePatch([]byte(body))
		wantInvalid(t, err, "INVALID_BODY", `{"messaging":{"rabbitmq":`, `{"rabbitmq":{"onboarding":`)
		if strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("it shows a password: %v", err)
		}
	}
}

func TestX16LimitsFallBack(t *testing.T) {
	c := after(t, NewConnections(LimitsOf(25, 5)), `{"databases":{"a":{},"b":{"connectionSettings":{"maxIdleConns":0,"warm":true}}}}`)
	wantShown(t, c, `{"databases":{"a":{"connectionSettings":{"maxOpenConns":25,"maxIdleConns":5}},"b":{"connectionSettings":{"maxIdleConns":0,"warm":true,"maxOpenConns":25}}},`+
		`"connectionSettings":{"maxOpenConns":25,"maxIdleConns":5}}`)
	c = after(t, c, `{"maxOpenConns":70,"statementTimeout":"9s"}`)
	wantShown(t, c, `{"databases":{"a":{"connectionSettings":{"maxOpenConns":70,"maxIdleConns":5,"statementTimeout":"9s"}},"b":{"connectionSettings":{"maxIdleConns":0,"warm":true,"maxOpenConns":70,"statementTimeout":"9s"}}},`+
		`"connectionSettings":{"maxOpenConns":70,"statementTimeout":"9s","maxIdleConns":5}}`)
	c = after(t, c, `{"connectionSettings":null,"module":"b","maxIdleConns":null}`)
	wantShown(t, c, `{"databases":{"a":{"connectionSettings":{"maxOpenConns":25,"maxIdleConns":5}},"b":{"connectionSettings":{"warm":true,"maxOpenConns":25,"maxIdleConns":5}}},`+
		`"connectionSettings":{"maxOpenConns":25,"maxIdleConns":5}}`)
}

func TestX16LimitsBesideTheConnectionsComeLast(t *testing.T) {
	c := after(t, Connections{}, `{"maxOpenConns":1,"connectionSettings":{"maxOpenConns":2,"maxIdleConns":3}}`)
	wantShown(t, c, `{"connectionSettings":{"maxOpenConns":1,"maxIdleConns":3}}`)
}

func TestX16WhatIsAnnounced(t *testing.T) {
	const start = `{"databases":{"b":{"postgresql":{"host":"x"},"connectionSettings":{"maxOpenConns":2}},"a":{"postgresql":{"host":"x"}}}}`
	tests := []struct{ name, before, body, want string }{
		{"nothing", start, `{}`, "[] false"},
		{"the same", start, start, "[] false"},
		{"the same in another order", start, `{"databases":{"a":{"postgresql":{"host":"x"}}}}`, "[] false"},
		{"limits of one", start, `{"module":"b","maxOpenConns":3}`, "[b 3/0] false"},
		{"limits of all that have none", start, `{"maxIdleConns":1}`, "[a 0/1 b 2/1] false"},
		{"limits of none", `{}`, `{"maxIdleConns":1}`, "[ 0/1] false"},
		{"a timeout", start, `{"databases":{"a":{"connectionSettings":{"statementTimeout":"1s"}}}}`, "[a 0/0 \"1s\"] false"},
		{"a host", start, `{"databases":{"a":{"postgresql":{"host":"y"}}}}`, "[] true"},
		{"both", start, `{"databases":{"a":{"mongodb":{"uri":"y"},"connectionSettings":{"maxOpenConns":9}}}}`, "[a 9/0] true"},
		{"a module without limits", start, `{"databases":{"c":{"postgresql":{"host":"x"}}}}`, "[] true"},
		{"a module with nothing but limits", start, `{"module":"c","maxOpenConns":4}`, "[c 4/0] false"},
		{"a module with nothing", start, `{"databases":{"c":{}}}`, "[] true"},
		{"a module with the limits that count", start, `{"databases":{"c":{"connectionSettings":{"maxOpenConns":0}}}}`, "[] true"},
		{"a module that was not there loses a limit", start, `{"module":"c","maxOpenConns":null}`, "[] false"},
		{"a module goes", start, `{"databases":{"b":null}}`, "[] true"},
		{"all go", start, `{"databases":null,"maxOpenConns":5}`, "[ 5/0] true"},
		{"another setting", start, `{"databases":{"a":{"connectionSettings":{"warm":true}}}}`, "[] true"},
		{"queues", start, `{"rabbitmq":{"a":{"host":"q"}}}`, "[] true"},
		{"messages", start, `{"messaging":{"rabbitmq":{"host":"q"}}}`, "[] true"},
		{"streams", start, `{"streaming":{"a":{"kafka":{"brokers":["k"]}}}}`, "[] true"},
		{"secrets are for events", start, `{"secretPaths":{"a":{"mongodb":"p"}}}`, "[] false"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := after(t, Connections{}, tt.before)
			got := Announce(before, after(t, before, tt.body))
			var limits []string
			for _, u := range got.Limits {
				limits = append(limits, strings.TrimRight(fmt.Sprintf("%s %d/%d %s", u.Module, u.MaxOpenConns, u.MaxIdleConns, u.StatementTimeout), " "))
			}
			if text := fmt.Sprint(limits, got.Rebuild); text != tt.want {
				t.Errorf("got %s, want %s", text, tt.want)
			}
		})
	}
}

// TestX17AKnownFieldOfAnotherTypeIsRefused goes through the whole table of docs/protocol.md.
func TestX17AKnownFieldOfAnotherTypeIsRefused(t *testing.T) {
	wrong := map[string][]string{
		"string": {`7`, `true`, `{}`, `[]`}, "whole": {`"7"`, `1.5`, `1.0`, `1e3`, `-1`, `2147483648`, `true`, `[]`},
		"boolean": {`"true"`, `1`, `{}`}, "strings": {`"a"`, `[1]`, `[null]`, `{}`}, "object": {`"a"`, `7`, `[]`},
	}
	right := map[string]string{"string": `"a"`, "whole": `7`, "boolean": `true`, "strings": `["a"]`, "object": `{}`}
	for kind, paths := range table() {
		for _, path := range paths {
			if _, err := ParsePatch(at(path, right[kind])); err != nil {
				t.Errorf("%s %s: %v", path, right[kind], err)
			}
			for _, value := range wrong[kind] {
				_, err := ParsePatch(at(path, value))
				wantInvalid(t, err, "INVALID_BODY", path+" has to be ")
			}
			if _, err := ParsePatch(at(path, `null`)); err != nil {
				t.Errorf("%s is removed: %v", path, err)
			}
		}
	}
	for _, path := range []string{"databases", "streaming", "rabbitmq", "secretPaths", "messaging"} {
		for _, value := range wrong["object"] {
			_, err := ParsePatch(at(path, value))
			wantInvalid(t, err, "INVALID_BODY", path)
		}
	}
}

// table is the one of docs/protocol.md.
func table() map[string][]string {
	under := func(path, names string) []string {
		var out []string
		for name := range strings.FieldsSeq(names) {
			out = append(out, path+"."+name)
		}
		return out
	}
	all := map[string][]string{}
	add := func(kind, path, names string) { all[kind] = append(all[kind], under(path, names)...) }
	for _, db := range []string{"postgresql", "postgresqlReplica"} {
		add("string", "databases.m."+db, "host database username password schema sslmode sslrootcert sslcert sslkey")
		add("whole", "databases.m."+db, "port")
	}
	add("string", "databases.m.mongodb", "host database username password uri authSource tlsCAFile tlsCertFile tlsKeyFile")
	add("whole", "databases.m.mongodb", "port maxPoolSize")
	add("boolean", "databases.m.mongodb", "directConnection tls tlsSkipVerify")
	for _, settings := range []string{"databases.m.connectionSettings", "connectionSettings"} {
		add("whole", settings, "maxOpenConns maxIdleConns")
		add("string", settings, "statementTimeout")
	}
	for _, rabbit := range []string{"rabbitmq.m", "messaging.rabbitmq"} {
		add("string", rabbit, "host vhost username password tlsCAFile")
		add("whole", rabbit, "port")
		add("boolean", rabbit, "tls")
	}
	add("strings", "streaming.m.kafka", "brokers")
	add("string", "streaming.m.kafka", "username password mechanism")
	add("boolean", "streaming.m.kafka", "tls")
	add("object", "databases", "m")
	add("object", "databases.m", "postgresql postgresqlReplica mongodb connectionSettings")
	add("object", "messaging", "rabbitmq")
	add("string", "secretPaths.m", "postgresql_rw postgresql_ro mongodb")
	add("string", "messagingConfig", "rabbitmq_secret_path")
	all["whole"] = append(all["whole"], "maxOpenConns", "maxIdleConns")
	all["string"] = append(all["string"], "statementTimeout", "module")
	return all
}

func at(path, value string) []byte {
	names := strings.Split(path, ".")
	for _, name := range slices.Backward(names) {
		value = fmt.Sprintf("{%q:%s}", name, value)
	}
	return []byte(value)
}

func TestX17TheConnectionsAreBounded(t *testing.T) {
	many := `{"databases":{`
	for i := range maxModules + 1 {
		many += fmt.Sprintf(`"m%d":{},`, i)
	}
	for name, body := range map[string]string{
		"modules": strings.TrimSuffix(many, ",") + "}}",
		"secrets": `{"secretPaths":{"m":{"mongodb":"` + strings.Repeat("p", maxSecrets) + `"}}}`,
		"bytes":   `{"note":"` + strings.Repeat("n", maxDocument) + `"}`,
	} {
		p, err := ParsePatch([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = (Connections{}).Merge(p); err == nil {
			t.Errorf("too many %s pass", name)
		}
		wantInvalid(t, err, "CONNECTIONS_TOO_LARGE", "the most is")
	}
	for _, body := range []string{`{"databases":{"":{}}}`, `{"streaming":{"` + strings.Repeat("m", maxModule+1) + `":{}}}`} {
		_, err := ParsePatch([]byte(body))
		wantInvalid(t, err, "INVALID_BODY", "a module")
	}
}

func TestX17LimitsOfAPOSTHaveTheRulesOfAPUT(t *testing.T) {
	for _, value := range []string{`3000000000`, `-5`, `"1"`, `1.0`} {
		for _, name := range []string{fieldMaxOpen, fieldMaxIdle} {
			body := at(name, value)
			_, put := ParsePatch(body)
			_, post := ParseNew(body)
			wantInvalid(t, post, codeBody, name+" has to be a whole number from 0 to 2147483647")
			if fmt.Sprint(put) != fmt.Sprint(post) {
				t.Errorf("a PUT of %s: %v, a POST: %v", body, put, post)
			}
		}
	}
	if _, err := ParseNew([]byte(`{"maxOpenConns":2147483647,"maxIdleConns":null,"module":7}`)); err != nil {
		t.Error(err)
	}
}

func TestX19SecretsAreSpelledAsInEvents(t *testing.T) {
	c := after(t, Connections{}, `{"secretPaths":{"m":{"postgresqlRw":"a","postgresqlRo":"b","mongodb":"c","more":1}},"messagingConfig":{"rabbitmqSecretPath":"d"}}`)
	got := c.Associated(tenant.ServiceAssociated{ServiceName: "ledger"})
	if string(got.SecretPaths) != `{"m":{"postgresql_rw":"a","postgresql_ro":"b","mongodb":"c","more":1}}` ||
		string(got.MessagingConfig) != `{"rabbitmq_secret_path":"d"}` || got.ConnectionSettings != nil {
		t.Errorf("got %s %s %s", got.SecretPaths, got.MessagingConfig, got.ConnectionSettings)
	}
	wantShown(t, c, `{}`)
}

func TestX20SlugsAreMadeOfNames(t *testing.T) {
	const kanji, others = "\u65e5\u672c", "\u4e2d\u56fd"
	long := strings.Repeat("ab ", 200)
	for name, want := range map[string]string{
		"Acme": "acme", "-Acme -- Corp. 7?": "acme-corp-7", kanji: NewSlug(kanji), long: NewSlug(long),
	} {
		got := NewSlug(name)
		if slug, err := Slug(got); got != want || err != nil || slug != got || len(got) > maxSlug {
			t.Errorf("slug of %.20q is %q, %v, want %q", name, got, err, want)
		}
	}
	if NewSlug(kanji) == NewSlug(others) {
		t.Error("two names without letters have one slug")
	}
}

func TestX20NamesOfServicesHaveRules(t *testing.T) {
	for _, good := range []string{"ledger", "Ledger.v2_x-1", "...", strings.Repeat("a", maxService)} {
		if err := CheckService(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", "a/b", "a b", "a\x00", "\u00e9", strings.Repeat("a", maxService+1)} {
		wantInvalid(t, CheckService(bad), "INVALID_SERVICE")
	}
}

func TestX20SecretPathsStayWhereTheyBelong(t *testing.T) {
	for service, want := range map[string]string{
		"ledger": "ledger", "a.b_c-D": "a.b_c-D", "../../sys": "..%2F..%2Fsys", "..": "%2E%2E", ".": "%2E", "ledger/x": "ledger%2Fx",
	} {
		want = "tenants/6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012/" + want + "/postgresql/v7"
		if got := SecretPath("6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F9012", service, "postgresql", tenant.Version{Epoch: "e", Revision: 7}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestX20APathOfALaterEpochHasItsTime(t *testing.T) {
	for epoch, want := range map[string]string{
		"": "v7", "one": "v7", "6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012": "v7",
		"018f3c2a9e4b7d4e8a3b5c6d7e8f9012": "v1714701377099838", "018f3c2a-9e4b-7d4e-8a3b-5c6d7e8f9012": "v1714701377099838",
	} {
		if got := SecretPath("t", "s", "c", tenant.Version{Epoch: epoch, Revision: 7}); got != "tenants/t/s/c/"+want {
			t.Errorf("epoch %q: %s, want %s", epoch, got, want)
		}
	}
}

func wantInvalid(t *testing.T, err error, code string, words ...string) {
	t.Helper()
	invalid, ok := errors.AsType[*Invalid](err)
	if !ok || invalid.Code != code {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	for _, word := range words {
		if !strings.Contains(invalid.Message, word) {
			t.Errorf("%s: %q is not in it", invalid.Message, word)
		}
	}
}
