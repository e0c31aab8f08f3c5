package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// ownVariables begins the names of all variables of ours.
const ownVariables = "TENANTWATCH_"

// lookedUp are the settings that a command looks for when it runs, so that one error names all that are missing or make no sense. A
// flag says with the tag "setting" which one it is. Every other flag has its value before the command runs, from the variable in
// the tag "variable" or, without one, from the variable that is named after the command and the flag.
var lookedUp = map[string]setting{
	"followed-service": servedService, "followed-environment": heardFrom, "followed-manager": managerAt("MULTI_TENANT_URL"),
	"manager": managerAt(), "api-key": apiKey, "token": bearerToken,
	"manager-ca": managerCA, "manager-name": managerName, "manager-cert": managerCert, "manager-key": managerKey,
	"redis": redisAt, "redis-addrs": redisServers, "redis-master": redisMaster, "redis-cluster": redisCluster,
	"redis-ca": redisCA, "redis-name": redisName, "redis-cert": redisCert, "redis-key": redisKey,
	"database": databaseAt, "kept-environment": keptEnvironment, "encryption-key": encryptedWith,
	"listen": listenAt, "admin-listen": adminListenAt, "channels": publishedOn, "keep-events": keptEvents, "keep-audit": keptAudit,
	"max-streams": streamsAtOnce, "trusted-proxies": proxiesInUse, "rate-limit": rateLimit, "shutdown-delay": endingDelay,
	"tls-cert": tlsCert, "tls-key": tlsKey,
}

// variables know, for each flag, the variables that stand for it, the first of which wins.
type variables struct {
	of     map[*kong.Value][]string
	getenv func(string) string
}

// options are for a parser whose model is learned afterwards.
func (v *variables) options() []kong.Option {
	return []kong.Option{kong.Resolvers(v), kong.ValueFormatter(v.help)}
}

// learn takes the flags of a command and of those below it.
func (v *variables) learn(node *kong.Node) {
	for _, flag := range node.Flags {
		v.of[flag.Value] = variablesOf(node, flag)
	}
	for _, child := range node.Children {
		v.learn(child)
	}
}

func variablesOf(node *kong.Node, flag *kong.Flag) []string {
	own := ownVariables + strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToUpper(commandOf(node)+" "+flag.Name))
	name, isLooked := flag.Tag.Get("setting"), flag.Tag.Has("setting")
	switch {
	case flag.Name == "help" || flag.Name == "version": // they are things to do
		return nil
	case isLooked && chosenByFlag(node, name):
		return []string{own}
	case isLooked:
		s, ok := lookedUp[name]
		if !ok {
			panic("unknown setting " + name)
		}
		return s.all()
	case flag.Tag.Has("variable"):
		return []string{flag.Tag.Get("variable")}
	}
	return []string{own}
}

// chosenByFlag is of dev: tenants that are made up have no business in a Redis that others use, so what names that for other
// commands does not count.
func chosenByFlag(node *kong.Node, name string) bool {
	return node.Name == "dev" && (name == "redis" || name == "redis-addrs")
}

// commandOf is a command without the name of the program.
func commandOf(node *kong.Node) string {
	if node.Parent == nil {
		return ""
	}
	return strings.TrimSpace(commandOf(node.Parent) + " " + node.Name)
}

// help is the help of a flag with its variables.
func (v *variables) help(value *kong.Value) string {
	names := v.of[value]
	if len(names) == 0 {
		return value.Help
	}
	return fmt.Sprintf("%s ($%s).", strings.TrimSuffix(value.Help, "."), strings.Join(names, ", $"))
}

// Validate is called by kong.
func (v *variables) Validate(*kong.Application) error { return nil }

// Resolve is called by kong for a flag that is not on the command line. What a command looks for itself is left to it.
func (v *variables) Resolve(_ *kong.Context, path *kong.Path, flag *kong.Flag) (any, error) {
	if name := flag.Tag.Get("setting"); name != "" && !chosenByFlag(path.Node(), name) {
		return nil, nil //nolint:nilnil // that is how kong is told that there is none
	}
	for _, name := range v.of[flag.Value] {
		text := v.getenv(name)
		if text == "" {
			continue
		}
		if problem := variableProblem(flag, text); problem != "" {
			return nil, &argumentError{name + " " + problem}
		}
		return text, nil
	}
	return nil, nil //nolint:nilnil // as above
}

// variableProblem says what is wrong with the value of a variable, in the words of the flag. The value does not show.
func variableProblem(flag *kong.Flag, text string) string {
	if problem := argumentProblem(flag.Value, text); problem != "" {
		return problem
	}
	if allowed := flag.EnumSlice(); flag.Enum != "" && !slices.Contains(allowed, text) {
		return "has to be one of " + strings.Join(allowed, ", ")
	}
	scratch := reflect.New(flag.Target.Type()).Elem()
	if flag.Parse(kong.ScanAsType(kong.FlagValueToken, text), scratch) != nil {
		return kindOf(scratch)
	}
	return ""
}

// kindOf says what a value that cannot be read is not.
func kindOf(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return "is neither true nor false"
	case reflect.Int, reflect.Uint64:
		return "is not a whole number"
	case reflect.Float64:
		return "is not a number"
	case reflect.Int64:
		return "is not a duration, as in 90s"
	case reflect.Map:
		return "is not KEY=VALUE"
	default:
		return "cannot be read"
	}
}

// newVariables knows nothing yet.
func newVariables() *variables {
	return &variables{of: map[*kong.Value][]string{}, getenv: os.Getenv}
}
