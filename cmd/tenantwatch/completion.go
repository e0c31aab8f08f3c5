package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
	"github.com/posener/complete"
	"github.com/willabides/kongplete"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
)

// completionCommand prints what makes a shell complete the command line.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// completions are the lines for each shell. The shell asks this program for what could come next.
var completions = map[string]string{
	"bash": "complete -C %s tenantwatch\n",
	"zsh":  "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\ncomplete -C %s tenantwatch\n",
	"fish": `function __complete_tenantwatch
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct)
    and set COMP_LINE "$COMP_LINE "
    %s
end
complete -f -c tenantwatch -a "(__complete_tenantwatch)"
`,
}

// Run prints the lines.
func (c *completionCommand) Run(std streams) error {
	_, err := fmt.Fprintf(std.out, completions[c.Shell], program())
	return err
}

// completed reports whether a shell has asked for what could come next, which has been printed then.
func completed(parser *kong.Kong) bool {
	if os.Getenv("COMP_LINE") == "" {
		return false
	}
	kongplete.Complete(parser, kongplete.WithExitFunc(func(int) {}), kongplete.WithPredictor("file", complete.PredictFiles("*")))
	return true
}

// helpCommand prints the help of a command.
type helpCommand struct {
	Command []string `arg:"" help:"The command, such as \"tenant create\". Without one the help lists all commands." optional:""`
}

// Run prints it.
func (c *helpCommand) Run(std streams) error {
	_, done, err := parse(append(c.Command, "--help"), std)
	if done && !errors.Is(err, process.ErrOutput) {
		return nil // what follows the flag is not looked at
	}
	return err
}
