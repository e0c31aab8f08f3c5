package contract

import (
	"encoding/json"
	"testing"
)

// TestX16TheFormThatWasStored: the names are those of the rows that the first version wrote, and nobody rewrites these.
func TestX16TheFormThatWasStored(t *testing.T) {
	text := []byte(`"x"`)
	got, err := json.Marshal(Before{
		Module: "m", MaxOpenConns: 1, MaxIdleConns: 2, StatementTimeout: text, Databases: text, RabbitMQ: text, Connection: text,
	})
	want := `{"module":"m","maxOpenConns":1,"maxIdleConns":2,"statementTimeout":"Ingi","databases":"Ingi","rabbitmq":"Ingi","connection":"Ingi"}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}
