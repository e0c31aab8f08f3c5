package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// modelOf is the command line as it is.
func modelOf(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := newParser(streams{out: &printer{}, err: &printer{}}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

func TestX10EveryFlagHasAVariable(t *testing.T) {
	for _, leaf := range modelOf(t).Leaves(false) {
		seen := map[string]string{}
		for _, flag := range leaf.Flags {
			names := variablesOf(leaf, flag)
			if len(names) == 0 && flag.Name != "help" && flag.Name != "version" {
				t.Errorf("%s --%s has no variable", commandOf(leaf), flag.Name)
			}
			for i, name := range names {
				if i == 0 && !strings.HasPrefix(name, ownVariables) {
					t.Errorf("%s --%s: %s goes before ours", commandOf(leaf), flag.Name, name)
				}
				if seen[name] != "" {
					t.Errorf("%s stands for --%s and --%s of %s", name, flag.Name, seen[name], commandOf(leaf))
				}
				seen[name] = flag.Name
				if !strings.Contains(flag.Help, "($") && !strings.Contains((&variables{of: map[*kong.Value][]string{flag.Value: names}}).help(flag.Value), "$"+name) {
					t.Errorf("the help of %s --%s does not name %s", commandOf(leaf), flag.Name, name)
				}
			}
			if s, ok := lookedUp[flag.Tag.Get("setting")]; ok && s.flag != "--"+flag.Name {
				t.Errorf("--%s is looked up as %s", flag.Name, s.flag)
			}
		}
	}
}

// TestX10OneNameForOneThing: a flag that several commands have from the same variable means the same to all of them.
func TestX10OneNameForOneThing(t *testing.T) {
	for _, name := range []string{"json", "verbose", "insecure", "redis-addrs", "redis-master", "redis-cluster"} {
		var found []string
		for _, leaf := range modelOf(t).Leaves(true) {
			for _, flag := range leaf.Flags {
				if flag.Name == name && leaf.Name != "dev" {
					found = append(found, strings.Join(variablesOf(leaf, flag), " "))
				}
			}
		}
		slices.Sort(found)
		if want := ownVariables + strings.ToUpper(strings.ReplaceAll(name, "-", "_")); len(found) < 3 || len(slices.Compact(found)) != 1 || found[0] != want {
			t.Errorf("--%s has the variables %q, want %s", name, found, want)
		}
	}
}

func TestX10VariablesThatStandForFlags(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		args []string
		want func(c *commands) bool
	}{
		{"a number", []string{"TENANTWATCH_TENANT_LIST_LIMIT", "3"}, []string{"tenant", "list"}, func(c *commands) bool { return c.Tenant.List.Limit == 3 }},
		{"a flag goes before it", []string{"TENANTWATCH_TENANT_LIST_LIMIT", "3"}, []string{"tenant", "list", "--limit", "4"}, func(c *commands) bool { return c.Tenant.List.Limit == 4 }},
		{"of another command", []string{"TENANTWATCH_WORK_LIMIT", "3"}, []string{"tenant", "list"}, func(c *commands) bool { return c.Tenant.List.Limit == 0 }},
		{"an empty one is not there", []string{"TENANTWATCH_DEV_TENANTS", ""}, []string{"dev"}, func(c *commands) bool { return c.Dev.Tenants == 20 }},
		{"what all have", []string{"TENANTWATCH_JSON", "true"}, []string{"follow"}, func(c *commands) bool { return c.Follow.JSON }},
		{"false", []string{"TENANTWATCH_INSECURE", "false"}, []string{"serve"}, func(c *commands) bool { return !c.Serve.Insecure }},
		{"one that is confirmed", []string{"TENANTWATCH_TENANT_DELETE_YES", "1"}, []string{"tenant", "delete", "x"}, func(c *commands) bool { return c.Tenant.Delete.Yes }},
		{"one of a few", []string{"TENANTWATCH_FEED", "stream"}, []string{"work", "x"}, func(c *commands) bool { return c.Work.Feed == feedStream }},
		{"pairs", []string{"TENANTWATCH_TENANT_CREATE_METADATA", "a=1;b=2"}, []string{"tenant", "create", "x"}, func(c *commands) bool { return c.Tenant.Create.Metadata["b"] == "2" }},
		{"a Redis of others is not for dev", []string{"TENANTWATCH_REDIS_URL", "redis://h", "TENANTWATCH_REDIS_ADDRS", "h:1"}, []string{"dev"}, func(c *commands) bool { return c.Dev.RedisURL+c.Dev.RedisAddrs == "" }},
		{"a Redis for dev", []string{"TENANTWATCH_DEV_REDIS_URL", "redis://h"}, []string{"dev"}, func(c *commands) bool { return c.Dev.RedisURL == "redis://h" }},
		{"the database of serve is not asked for a token unless it is named", []string{"TENANTWATCH_DB", "sqlite:x"}, []string{"token", "create"}, func(c *commands) bool { return c.Token.Create.DB == "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for pair := range slices.Chunk(tt.env, 2) {
				t.Setenv(pair[0], pair[1])
			}
			parser, err := newParser(streams{out: &printer{}, err: &printer{}}, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := parser.Parse(tt.args)
			if err != nil {
				t.Fatal(err)
			}
			if c := parsed.Model.Target.Addr().Interface().(*commands); !tt.want(c) {
				t.Errorf("got %+v", parsed.Selected().Target)
			}
		})
	}
}

// TestX10ASecretAndAFileWithOne: nobody can say which of the two is meant.
func TestX10ASecretAndAFileWithOne(t *testing.T) {
	env := with(services(), "TENANTWATCH_API_KEY_FILE", "key", "MULTI_TENANT_SERVICE_API_KEY", "")
	s, err := (&connectionFlags{}).settings("tenantwatch follow", func(name string) string { return env[name] }, strings.NewReader(""))
	if err != nil || s.key.name != "TENANTWATCH_API_KEY_FILE" {
		t.Errorf("the key is from %q, %v", s.key.name, err)
	}
	env["TENANTWATCH_API_KEY"] = "k"
	_, err = (&connectionFlags{}).settings("tenantwatch follow", func(name string) string { return env[name] }, strings.NewReader(""))
	if err == nil || !strings.Contains(err.Error(), "TENANTWATCH_API_KEY_FILE and TENANTWATCH_API_KEY are both there") {
		t.Error(err)
	}
}

func TestEveryCommandHasAPage(t *testing.T) {
	known := map[string]bool{}
	for _, leaf := range modelOf(t).Leaves(true) {
		name := commandOf(leaf)
		known[name] = true
		if p := pages[name]; p.out == "" || p.err == "" || !strings.Contains(p.example, "tenantwatch "+name) {
			t.Errorf("%s: the page is %+v", name, p)
		}
	}
	for name := range pages {
		if !known[name] {
			t.Errorf("there is a page of %s, which is not a command", name)
		}
	}
}

// TestCompletion asks as a shell does.
func TestCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"tenantwatch ten":                  "tenant\n",
		"tenantwatch service ":             "associate\ndisassociate\nreactivate\nsuspend\n",
		"tenantwatch tenant create --slu":  "--slug\n",
		"tenantwatch outbox retry --manag": "--manager-ca-file\n--manager-cert\n--manager-key\n--manager-server-name\n--manager-url\n",
		"tenantwatch completion ":          "bash\nfish\nzsh\n",
	} {
		t.Setenv("COMP_LINE", line)
		t.Setenv("COMP_POINT", "")
		var out strings.Builder
		code, stderr := call(t.Context(), &out)
		lines := slices.Sorted(strings.Lines(out.String()))
		if got := strings.Join(lines, ""); code != exitDone || got != want || stderr != "" {
			t.Errorf("%q: exit code %d, %q, %s; want %q", line, code, got, stderr, want)
		}
	}
}
