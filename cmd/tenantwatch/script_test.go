package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestScripts(t *testing.T)   { runScripts(t, "testdata") }
func TestC1Scripts(t *testing.T) { runScripts(t, filepath.Join("testdata", "c1")) }

func TestX44Scripts(t *testing.T) { runScripts(t, filepath.Join("testdata", "x44")) }
func TestX47Scripts(t *testing.T) { runScripts(t, filepath.Join("testdata", "x47")) }

func runScripts(t *testing.T, dir string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"start":     scriptStart,
			"interrupt": scriptInterrupt,
			"await":     scriptAwait,
			"exits":     scriptExits,
			"ready":     scriptReady,
			"http":      scriptHTTP,
			"jsonl":     scriptJSONLines,
			"paste":     scriptPaste,
			"startline": scriptStartLine,
			"manager":   scriptManager,
			"redis":     scriptRedis,
			"serving":   scriptServing,
			"field":     scriptField,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", noNap)
			env.Values[processesKey{}] = processes{}
			return nil
		},
	})
}

// noNap is for GORACE: a process with the race detector sleeps for a second before it exits, unless told not to.
const noNap = "atexit_sleep_ms=0"

// processes are those that a script has started, by name.
type processes map[string]*exec.Cmd

// processesKey finds them in the values of a script.
type processesKey struct{}

// scriptStart is "start NAME PROGRAM ARG…": the program runs beside the script, and writes into NAME.out and NAME.err.
func scriptStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME PROGRAM ARG…")
	}
	name := args[0]
	cmd := exec.CommandContext(context.Background(), args[1], args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = scriptEnv(ts)
	var err error
	cmd.Stdout, err = os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	cmd.Stderr, err = os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	ts.Check(cmd.Start())
	running(ts)[name] = cmd
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
}

// scriptStartLine is "startline NAME FILE PATTERN": it starts the first line of FILE that begins so.
func scriptStartLine(ts *testscript.TestScript, neg bool, args []string) {
	line := regexp.MustCompile("(?m)^" + args[2] + ".*$").FindString(ts.ReadFile(args[1]))
	scriptStart(ts, neg, []string{args[0], "sh", "-c", "exec " + line})
}

func running(ts *testscript.TestScript) processes {
	return ts.Value(processesKey{}).(processes)
}

// scriptEnv is what the script has set, as far as our program looks at it.
func scriptEnv(ts *testscript.TestScript) []string {
	env := []string{"PATH=" + ts.Getenv("PATH"), "GORACE=" + noNap}
	for _, name := range []string{
		"TMPDIR", "SystemRoot", "TENANTWATCH_URL", "TENANTWATCH_API_KEY", "TENANTWATCH_TOKEN", "TENANTWATCH_REDIS_URL", "APPLICATION_NAME",
		"TENANTWATCH_ENVIRONMENT", "TENANTWATCH_DB", "TENANTWATCH_ENCRYPTION_KEY_FILE", "TENANTWATCH_LISTEN", "TENANTWATCH_ADMIN_LISTEN",
		"ENVIRONMENT_NAME", "ENV_NAME", "MULTI_TENANT_URL", "MULTI_TENANT_SERVICE_API_KEY", "MULTI_TENANT_REDIS_HOST",
		"MULTI_TENANT_REDIS_PORT", "MULTI_TENANT_REDIS_PASSWORD", "MULTI_TENANT_REDIS_TLS", "MULTI_TENANT_REDIS_CA_CERT",
	} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// scriptExits is "exits CODE PROGRAM ARG…": the program fails with that code, writes nothing to standard output, and shows
// no canary. What it writes to standard error is what "stderr" looks at next.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	err := ts.Exec(args[1], args[2:]...)
	exit, failed := errors.AsType[*exec.ExitError](err)
	if !failed || strconv.Itoa(exit.ExitCode()) != args[0] {
		ts.Fatalf("%v, want exit code %s", err, args[0])
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("standard output has %q", out)
	}
	if said := ts.ReadFile("stderr"); said == "" || strings.Contains(said, "canary") {
		ts.Fatalf("standard error has %q", said)
	}
}

// scriptInterrupt is "interrupt NAME": Ctrl-C, and the exit code has to be 0.
func scriptInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: interrupt NAME")
	}
	cmd := running(ts)[args[0]]
	ts.Check(cmd.Process.Signal(os.Interrupt))
	killer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer killer.Stop()
	if err := cmd.Wait(); err != nil {
		ts.Fatalf("%s after an interrupt: %v\n%s", args[0], err, ts.ReadFile(args[0]+".err"))
	}
}

// scriptAwait is "await FILE PATTERN": it waits until a line of the file matches.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE PATTERN")
	}
	pattern := regexp.MustCompile("(?m)" + args[1])
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		text := ts.ReadFile(args[0])
		if pattern.MatchString(text) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no %q in %s:\n%s", args[1], args[0], text)
		}
	}
}

// scriptReady is "ready FILE": it waits for the first line of "dev --json" and puts what it says into the environment.
func scriptReady(ts *testscript.TestScript, _ bool, args []string) {
	scriptAwait(ts, false, []string{args[0], `^\{"type":"ready".*\}$`})
	line, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	var ready readyLine
	ts.Check(json.Unmarshal([]byte(line), &ready))
	redis, err := url.Parse(ready.RedisURL)
	ts.Check(err)
	for name, value := range map[string]string{
		"MANAGER": ready.ManagerURL, "KEY": ready.APIKey, "TOKEN": ready.Token, "KEYFILE": ready.APIKeyFile,
		"HEADERS": ready.HeadersFile, "REDIS": ready.RedisURL, "REDIS_HOST": redis.Hostname(), "REDIS_PORT": redis.Port(),
	} {
		ts.Setenv(name, value)
	}
}

// scriptRedis is "redis": it starts one and puts its URL into the environment.
func scriptRedis(ts *testscript.TestScript, _ bool, _ []string) {
	redis := miniredis.NewMiniRedis()
	ts.Check(redis.StartAddr("127.0.0.1:0"))
	ts.Defer(redis.Close)
	ts.Setenv("TENANTWATCH_REDIS_URL", "redis://"+redis.Addr())
}

// scriptServing is "serving FILE": it waits for the line of "serve --json" and puts where it listens into the environment.
func scriptServing(ts *testscript.TestScript, _ bool, args []string) {
	scriptAwait(ts, false, []string{args[0], `^\{"type":"ready".*\}$`})
	var ready serveReady
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &ready))
	ts.Setenv("TENANTWATCH_URL", ready.ManagerURL)
	ts.Setenv("OPERATOR", ready.AdminURL)
	ts.Setenv("ADDRESS", strings.TrimPrefix(ready.ManagerURL, "http://"))
}

// scriptField is "field FILE NAME VARIABLE": it puts a field of the object in the file into the environment.
func scriptField(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &object))
	ts.Setenv(args[2], fmt.Sprint(object[args[1]]))
}

// scriptHTTP is "http STATUS METHOD URL HEADERFILE [BODY]".
func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: http STATUS METHOD URL HEADERFILE [BODY]")
	}
	status, err := request(args[1], args[2], ts.ReadFile(args[3]), strings.Join(args[4:], " "))
	ts.Check(err)
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("%s %s: status %d, want %s", args[1], args[2], status, args[0])
	}
}

func request(method, target, headers, body string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		req.Header.Set(name, value)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// scriptJSONLines is "jsonl FILE FIELD…": every line is an object, and the fields are in one of them at least.
func scriptJSONLines(ts *testscript.TestScript, _ bool, args []string) {
	missing := map[string]bool{}
	for _, field := range args[1:] {
		missing[field] = true
	}
	lines := bufio.NewScanner(strings.NewReader(ts.ReadFile(args[0])))
	for lines.Scan() {
		var object map[string]any
		if err := json.Unmarshal(lines.Bytes(), &object); err != nil {
			ts.Fatalf("%q: %v", lines.Text(), err)
		}
		for field := range object {
			delete(missing, field)
		}
	}
	if len(missing) > 0 {
		ts.Fatalf("no line has %v", missing)
	}
}

// scriptPaste is "paste FILE PATTERN": the lines of FILE that match are run by the shell, as if pasted, one by one.
func scriptPaste(ts *testscript.TestScript, _ bool, args []string) {
	lines := regexp.MustCompile("(?m)^"+args[1]+".*$").FindAllString(ts.ReadFile(args[0]), -1)
	if len(lines) == 0 {
		ts.Fatalf("no line of %s begins with %q", args[0], args[1])
	}
	for _, line := range lines {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		cmd := exec.CommandContext(ctx, "sh", "-c", line)
		cmd.Env = scriptEnv(ts)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		cancel()
		if err := errors.Join(err, refusal(out)); err != nil {
			ts.Fatalf("%s\n%v\n%s%s", line, err, out, &stderr)
		}
		ts.Logf("%s\n%s", line, out)
	}
}

// refusal is the error that the manager answered with, nil if it was none.
func refusal(answer []byte) error {
	var body struct{ Code, Error string }
	if json.Unmarshal(answer, &body) == nil && body.Code != "" {
		return fmt.Errorf("%s: %s", body.Code, body.Error)
	}
	return nil
}
