package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tenantwatch/tenantwatch/internal/test/edges"
)

// edgeSetting is a flag or an argument that kong knows, or a variable that its help names.
type edgeSetting struct {
	value    *kong.Value // nil for a variable
	command  string
	variable string
	node     *kong.Node // the command
	flag     *kong.Flag // that has its value from the variable before the command runs; nil for another variable
}

// wrongValues are the rows: a value, and what is said of it. The words are those of valueProblem.
var wrongValues = map[string][2]string{
	"empty":                         {"", "is empty"},
	"quotes around it":              {`"x"`, "quotes around it"},
	"a control character":           {"a\x1bb", "control character"},
	"a carriage return":             {"x\r", "carriage return"},
	"spaces around it":              {" x ", "white space around it"},
	"too long":                      {strings.Repeat("x", longestValue+1), "is longer than"},
	"not UTF-8":                     {"caf\xe9", "not valid UTF-8"},
	"a secret in the wrong place":   {"twt_" + strings.Repeat("Z", 43), "a token or an API key"},
	"another case":                  {"", ""},
	"another program's form":        {"", ""},
	"a directory or a pipe as file": {"", ""},
}

// TestEdgesOfSettings: rows are what is wrong with a value, columns every setting there is, found in the model of the
// command line, so that a new one has its cells from its beginning.
func TestEdgesOfSettings(t *testing.T) {
	settings := edgeSettings(t)
	table := edges.Table{
		Face: "settings",
		Cell: func(fault, operation string) edges.Cell { return edgeCell(fault, settings[operation]) },
	}
	for fault := range wrongValues {
		table.Faults = append(table.Faults, fault)
	}
	for operation := range settings {
		table.Operations = append(table.Operations, operation)
	}
	slices.Sort(table.Faults)
	slices.Sort(table.Operations)
	table.Run(t)
}

var namedVariable = regexp.MustCompile(`\$([A-Z]+_[A-Z_]*[A-Z])`)

// edgeSettings are the columns. Settings of one name, type and form are one, since they are the same field or go the same way.
func edgeSettings(t *testing.T) map[string]edgeSetting {
	t.Helper()
	parser, err := newParser(streams{out: &printer{}, err: &printer{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]edgeSetting{}
	for _, leaf := range parser.Model.Leaves(true) {
		values := append([]*kong.Value{}, leaf.Positional...)
		for _, flag := range leaf.Flags {
			values = append(values, flag.Value)
			for _, name := range variablesOf(leaf, flag) {
				s := edgeSetting{variable: name, node: leaf}
				if !flag.Tag.Has("setting") || chosenByFlag(leaf, flag.Tag.Get("setting")) {
					s.flag = flag
				}
				found["$"+name] = s
			}
		}
		for _, v := range values {
			kind := fmt.Sprintf("%s %s %s", nameOf(v), v.Target.Type(), v.Tag.Get("form"))
			found[strings.TrimSpace(kind)] = edgeSetting{value: v, command: strings.TrimPrefix(leaf.FullPath(), "tenantwatch ")}
			for _, name := range namedVariable.FindAllStringSubmatch(v.Help, -1) {
				found["$"+name[1]] = edgeSetting{variable: name[1]}
			}
		}
	}
	return found
}

func edgeCell(fault string, s edgeSetting) edges.Cell {
	switch {
	case s.flag != nil && fault == "empty":
		return edges.Never("a variable that is empty counts as not there")
	case s.flag != nil:
		cell := edgeCell(fault, edgeSetting{value: s.flag.Value})
		if cell.Run != nil && fault != "a directory or a pipe as file" {
			cell.Run = func(t *testing.T) { refusesEarly(t, s, wrongValues[fault]) }
		}
		return cell
	case s.variable != "":
		return variableCell(fault, s.variable)
	case fault == "a directory or a pipe as file":
		return fileCell(s.value)
	case fault == "another case":
		return edges.Never("a value keeps its case; names of environments are lowered, which X18 tries")
	case fault == "another program's form":
		return edges.Never("the form of a value is looked at with where it is found, which the tests of X29 try")
	case formOf(s.value) == formBytes:
		return edges.Never("it is for the program that is run")
	case formOf(s.value) == formText && fault != "not UTF-8":
		return edges.Never("it is text for people")
	case fault == "empty" && s.value.Target.Kind() == reflect.Pointer:
		return edges.Never("empty means all environments")
	case fault == "spaces around it" && formOf(s.value) == formName:
		return edges.Never("they are cut off, which X18 tries")
	}
	return edges.Cell{Run: func(t *testing.T) { refusesArgument(t, s.value, wrongValues[fault]) }}
}

// refusesArgument gives the value to the mapper of the field, as kong does.
func refusesArgument(t *testing.T, v *kong.Value, wrong [2]string) {
	t.Helper()
	err := v.Parse(kong.ScanAsType(kong.FlagValueToken, wrong[0]), reflect.New(v.Target.Type()).Elem())
	refused, ok := errors.AsType[*argumentError](err)
	if !ok || !strings.HasPrefix(refused.text, nameOf(v)+" ") || !strings.Contains(refused.text, wrong[1]) {
		t.Errorf("%q: got %v, want a refusal that says %q", wrong[0], err, wrong[1])
	}
	if err != nil && strings.Contains(err.Error(), "ZZZ") {
		t.Errorf("the secret shows: %v", err)
	}
}

// refusesEarly gives the value to the variable of a flag, as kong does before the command runs.
func refusesEarly(t *testing.T, s edgeSetting, wrong [2]string) {
	t.Helper()
	v := &variables{of: map[*kong.Value][]string{s.flag.Value: {s.variable}}, getenv: func(string) string { return wrong[0] }}
	_, err := v.Resolve(nil, &kong.Path{Command: s.node}, s.flag)
	refused, ok := errors.AsType[*argumentError](err)
	if !ok || !strings.HasPrefix(refused.text, s.variable+" ") || !strings.Contains(refused.text, wrong[1]) || strings.Contains(refused.text, "ZZZ") {
		t.Errorf("%q: got %v, want a refusal that says %q", wrong[0], err, wrong[1])
	}
}

func variableCell(fault, name string) edges.Cell {
	isSecret := strings.HasSuffix(name, "PASSWORD") || strings.HasSuffix(name, "API_KEY") || name == "TENANTWATCH_TOKEN"
	switch {
	case fault == "empty":
		return edges.Never("a variable that is empty counts as not there")
	case fault == "a directory or a pipe as file":
		return edges.Never("what a variable names is read as what its flag names")
	case fault == "another case" || fault == "another program's form":
		return edges.Never("the tests of X18 and X29 try the forms of each kind of setting")
	case fault == "a secret in the wrong place" && isSecret:
		return edges.Never("it is the right place")
	case fault == "spaces around it" && (isSecret || strings.Contains(name, "ENV")):
		return edges.Never("a password may have them, and from the name of an environment they are cut off")
	case name == "MULTI_TENANT_REDIS_CA_CERT" && (fault == "too long" || fault == "a carriage return" || fault == "spaces around it"):
		return edges.Never("base64 may be long, and in several lines")
	}
	return edges.Cell{Run: func(t *testing.T) { refusesVariable(t, name, wrongValues[fault]) }}
}

// refusesVariable has every command look for its settings, with one variable that is wrong.
func refusesVariable(t *testing.T, name string, wrong [2]string) {
	t.Helper()
	getenv := func(asked string) string {
		if asked == name {
			return wrong[0]
		}
		return map[string]string{"MULTI_TENANT_REDIS_TLS": "true"}[asked]
	}
	_, serve := (&serveCommand{}).settings(getenv)
	_, follow := (&connectionFlags{}).settings("follow", getenv, strings.NewReader(""))
	_, command := (&managerFlags{}).open(getenv, streams{in: strings.NewReader("")})
	secure := redisFlags{RedisURL: "rediss://h"}
	l := &lookup{getenv: getenv}
	secure.resolve(l)
	said := fmt.Sprint(serve, follow, command, l.problems)
	if !strings.Contains(said, name+" ") || !strings.Contains(said, wrong[1]) {
		t.Errorf("%q: no command says %q:\n%s", wrong[0], wrong[1], said)
	}
	if strings.Contains(said, "ZZZ") {
		t.Errorf("the secret shows: %s", said)
	}
}

// fileReaders read the file that a setting names. A new setting of a file has to be here.
var fileReaders = map[string]func(ctx context.Context, path string) error{
	"--api-key-file":        readsSecret,
	"--token-file":          readsSecret,
	"--encryption-key-file": func(ctx context.Context, path string) error { _, err := readEncryptionKey(ctx, path); return err },
	"--redis-ca-file": func(_ context.Context, path string) error {
		return noted(func(l *lookup) { l.authorities(path) })
	},
	"--manager-ca-file": func(_ context.Context, path string) error {
		return noted(func(l *lookup) { l.roots(managerCA, path) })
	},
	"--redis-cert": readsPair, "--redis-key": readsPair,
	"--manager-cert": readsPair, "--manager-key": readsPair,
	"--tls-cert": readsPair, "--tls-key": readsPair,
}

func readsSecret(ctx context.Context, path string) error {
	_, err := readFile(path)(ctx)
	return err
}

func readsPair(ctx context.Context, path string) error {
	_, err := newCertificate(ctx, path, path, slog.New(slog.DiscardHandler))
	return err
}

func noted(look func(*lookup)) error {
	l := &lookup{getenv: func(string) string { return "" }}
	look(l)
	return l.fault("", "")
}

func fileCell(v *kong.Value) edges.Cell {
	if v.Tag.PlaceHolder != "FILE" {
		return edges.Never("it names no file that is read")
	}
	return edges.Cell{Run: func(t *testing.T) {
		read := fileReaders[nameOf(v)]
		if read == nil {
			t.Fatalf("%s names a file: add to fileReaders how it is read", nameOf(v))
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		began := time.Now()
		pipe := filepath.Join(t.TempDir(), "pipe")
		for _, path := range []string{t.TempDir(), pipe} {
			if path == pipe && !makePipe(t, pipe) {
				continue
			}
			if err := read(ctx, path); err == nil || ctx.Err() != nil {
				t.Errorf("%s: %v after %s", path, err, time.Since(began))
			}
		}
	}}
}

// makePipe reports whether there is a pipe with a name now.
func makePipe(t *testing.T, path string) bool {
	t.Helper()
	if err := mkfifo(path); err != nil {
		t.Logf("no pipe: %v", err)
		return false
	}
	_, err := os.Stat(path)
	return err == nil
}
