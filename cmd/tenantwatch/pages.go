package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// manualPage is what the help of a command adds to its flags.
type manualPage struct {
	out, err string // what it prints where
	example  string // lines for a shell
}

// The pages that several commands share.
const (
	aSentence   = "a sentence that says what was done"
	nothingOut  = "nothing or, with --json, one object"
	noneOfThem  = "a sentence if there is nothing to list"
	settingsEnv = "export TENANTWATCH_ENVIRONMENT=production TENANTWATCH_DB=sqlite:tenants.db TENANTWATCH_ENCRYPTION_KEY_FILE=encryption-key\n"
	anyChange   = "the changes of the state, with their reason; with --verbose also the log"
)

// pages has one for each command.
var pages = map[string]manualPage{
	"dev":    {"the addresses of everything, then a line for each change, and a summary at the end", anyChange, "tenantwatch dev --tenants 5 --churn 1"},
	"follow": {"a line for each tenant that is active, and then one for each change", anyChange, "export TENANTWATCH_URL=https://tenants.example.com TENANTWATCH_REDIS_URL=redis://redis:6379\ntenantwatch follow --service ledger --environment production --api-key-file key"},
	"work":   {"on a terminal a table; elsewhere a line for each thing that happens, and the lines that processes write on standard output", "the lines that processes write on standard error; " + anyChange, "tenantwatch work --service ledger --environment production --api-key-file key -- ./consume --verbose"},
	"serve":  {"when it is ready, its addresses and settings without secrets", "the log", settingsEnv + "tenantwatch serve --redis-url redis://127.0.0.1:6379"},

	"tenant create":     {"the id of the tenant, alone", aSentence, "ID=$(tenantwatch tenant create \"Acme Inc.\")"},
	"tenant list":       {"a table, the oldest tenant first", noneOfThem, "tenantwatch tenant list --service ledger --status suspended"},
	"tenant get":        {"the tenant, and a table of its associations", "nothing", "tenantwatch tenant get \"$ID\""},
	"tenant suspend":    {nothingOut, aSentence, "tenantwatch tenant suspend \"$ID\""},
	"tenant reactivate": {nothingOut, aSentence, "tenantwatch tenant reactivate \"$ID\""},
	"tenant delete":     {nothingOut, aSentence + ", and on a terminal a question before that", "tenantwatch tenant delete \"$ID\" --yes"},

	"service associate":    {nothingOut, aSentence, "tenantwatch service associate \"$ID\" ledger"},
	"service suspend":      {nothingOut, aSentence, "tenantwatch service suspend \"$ID\" ledger"},
	"service reactivate":   {nothingOut, aSentence, "tenantwatch service reactivate \"$ID\" ledger"},
	"service disassociate": {nothingOut, aSentence + ", and with --purge on a terminal a question before that", "tenantwatch service disassociate \"$ID\" ledger"},

	"key create": {"the key, alone", aSentence, "tenantwatch key create --service ledger > key"},
	"key list":   {"a table, without the keys themselves", noneOfThem, "tenantwatch key list --service ledger"},
	"key revoke": {nothingOut, aSentence, "tenantwatch key revoke \"$KEY_ID\""},

	"token create": {"the token, alone", aSentence, settingsEnv + "tenantwatch token create --db \"$TENANTWATCH_DB\" > token"},
	"token list":   {"a table, without the tokens themselves", noneOfThem, "tenantwatch token list"},
	"token revoke": {nothingOut, aSentence, "tenantwatch token revoke \"$TOKEN_ID\""},

	"events":       {"a table, the oldest event first", noneOfThem, "tenantwatch events --since 15m"},
	"outbox list":  {"a table, the oldest event first", noneOfThem, "tenantwatch outbox list"},
	"outbox retry": {nothingOut, aSentence, "tenantwatch outbox retry 1234"},

	"backup":  {nothingOut, aSentence, "tenantwatch backup --db sqlite:tenants.db tenants.backup"},
	"restore": {nothingOut, aSentence, settingsEnv + "tenantwatch restore tenants.backup"},

	"bench abuse": {"a table with a row for each attack", "which round is running, and why an attack has no result", "tenantwatch bench abuse --attack lists --rounds 3"},
	"completion":  {"lines for the shell to read when it starts", "nothing", "tenantwatch completion bash >> ~/.bashrc\ntenantwatch completion zsh >> ~/.zshrc\ntenantwatch completion fish > ~/.config/fish/completions/tenantwatch.fish"},
	"help":        {"the help", "nothing", "tenantwatch help tenant create"},
	"version":     {"one line", "nothing", "tenantwatch version --json"},
}

// groups are the groups of commands, as the first page of the help shows them.
var groups = []kong.Group{
	{Key: "look", Title: "Watch tenants, and work for each of them:", Description: "Example: tenantwatch follow --service ledger"},
	{Key: "manage", Title: "Manage tenants, at a running manager:", Description: "Example: ID=$(tenantwatch tenant create \"Acme Inc.\")"},
	{Key: "operate", Title: "Operate a manager:", Description: "Example: tenantwatch backup --db sqlite:tenants.db tenants.backup"},
	{Key: "about", Title: "About this program:", Description: "Example: tenantwatch help tenant create"},
	{Key: "Redis", Title: "Redis:"},
	{Key: "manager TLS", Title: "TLS to the manager:"},
}

// describe adds the page of each command to its help.
func describe(node *kong.Node) {
	for _, child := range node.Children {
		describe(child)
	}
	for _, flag := range node.Flags {
		if flag.Name == "help" {
			flag.Help = "Show this help."
		}
	}
	p, ok := pages[commandOf(node)]
	if !ok {
		return
	}
	example := "    " + strings.ReplaceAll(p.example, "\n", "\n    ")
	node.Detail = strings.TrimSpace(node.Detail + "\n\nStandard output: " + p.out + ". Standard error: " + p.err + ".\n\nFor example:\n\n" + example)
}
