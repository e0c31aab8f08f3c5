package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/abuse"
)

// benchCommand measures.
type benchCommand struct {
	Abuse benchAbuseCommand `cmd:"" help:"Attack a tenant manager, and measure how it serves a good client meanwhile."`

	Decoy benchDecoyCommand `cmd:"" help:"What is attacked for comparison." hidden:""`
}

type benchAbuseCommand struct {
	managerTLSFlags

	ManagerURL string `form:"url" help:"A manager on this machine that speaks TLS. Without this flag the command starts a manager of its own." name:"manager-url" placeholder:"URL"`

	TokenFile string `help:"With --manager-url: a file with an administrator's token." name:"token-file" placeholder:"FILE" predictor:"file"`

	Remote bool `help:"Allow a manager on another machine. Attack only a manager that is yours."`

	Rounds int `default:"5" help:"How often each attack is run. The middle result counts."`

	Duration time.Duration `default:"2s" help:"How long an attack is run each time."`

	Streams int `default:"10000" help:"How many streams one key asks for."`

	History int `default:"4000" help:"How many events there are to resume from."`

	Callers int `default:"256" help:"How many callers ask at the same time."`

	Samples int `default:"100" help:"How many requests the good client has to make in a round for the round to count."`

	Attack []string `help:"Run only this attack: readyz, wrong-key, random-keys, streams, lists, resume or handshakes. May be repeated." placeholder:"NAME"`

	JSON bool `help:"Print one JSON object for each attack." name:"json" variable:"TENANTWATCH_JSON"`
}

// Help is what --help adds.
func (c *benchAbuseCommand) Help() string {
	return `A good client reads, makes changes, and opens and resumes a stream. Each attack is run beside it twice: once against a ` +
		`decoy that does no work, so that the processors have the same load, and once against the manager. The table shows the ` +
		`99th percentile of the time of the good client's requests, in the middle one of the rounds, and how many requests of ` +
		`the attack were served and refused.` + "\n\n" +
		`The exit code is 1 when that percentile more than doubles, when the good client is refused, and when an attack has no ` +
		`result, because it got no answer or because the good client made fewer requests than --samples. At Ctrl-C the command ` +
		`prints what it has, and judges nothing.` + "\n\n" +
		`Without --manager-url it attacks "tenantwatch serve" on loopback and on a temporary SQLite file, which is removed at ` +
		`the end. On a manager that you name, it makes two keys and up to 602 tenants, and deletes them at the end; their rows ` +
		`in the audit and their events stay. That manager needs a --rate-limit that does not refuse the good client.`
}

// What bench abuse agrees to.
const (
	benchAdvice     = "Run \"tenantwatch bench abuse --help\" for the flags."
	maxRounds       = 100
	maxBenchTime    = time.Minute
	maxBenchStreams = 20_000
	maxHistory      = 100_000
	maxCallers      = 10_000
	maxSamples      = 100_000
)

// Run attacks, and prints what was felt.
func (c *benchAbuseCommand) Run(ctx context.Context, std streams) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	b := &bench{}
	defer func() { err = errors.Join(err, b.close()) }()
	cfg := abuse.Config{
		Rounds: c.Rounds, Duration: c.Duration, Streams: c.Streams, History: c.History, Callers: c.Callers, Samples: c.Samples,
		Attacks: c.Attack, Disposable: c.ManagerURL == "",
	}
	if !c.JSON {
		cfg.Told = func(attack string, round int) { _ = std.err.line("%s: round %d of %d", attack, round, c.Rounds) }
	}
	if cfg.Decoy, err = b.decoy(ctx, c.Streams); err != nil {
		return benchFailure(ctx, err)
	}
	if cfg.Manager, err = c.manager(ctx, b); err != nil {
		return benchFailure(ctx, err)
	}
	results, err := abuse.Run(ctx, cfg)
	return c.conclude(ctx, std, results, err)
}

// conclude prints what was measured, and says how it ends. What the user has broken off is not judged: half of a measurement is
// not a result.
func (c *benchAbuseCommand) conclude(ctx context.Context, std streams, results []abuse.Result, err error) error {
	if printErr := c.show(std, results); printErr != nil {
		return errors.Join(printErr, benchFailure(ctx, err))
	}
	if err != nil && ctx.Err() != nil {
		return benchFailure(ctx, err)
	}
	return errors.Join(judge(results), benchFailure(ctx, err))
}

// benchFailure is nil when nothing has failed, and when the user has ended it and nothing is left of it.
func benchFailure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if left, ok := errors.AsType[*abuse.LeftError](err); ok {
		return &failure{err: left, advice: "Delete them with \"tenantwatch tenant delete\" and \"tenantwatch key revoke\"."}
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // Ctrl-C is not a failure, whatever it interrupted
	}
	if _, advised := errors.AsType[*failure](err); advised {
		return err
	}
	return &failure{err: err, advice: "Run \"tenantwatch bench abuse --help\" for what can be set."}
}

func (c *benchAbuseCommand) check() error {
	var p problems
	demand := func(ok bool, problem string) {
		if !ok {
			p.note(problem)
		}
	}
	demand(c.Rounds >= 1 && c.Rounds <= maxRounds, fmt.Sprintf("--rounds has to be from 1 to %d", maxRounds))
	demand(c.Duration >= 100*time.Millisecond && c.Duration <= maxBenchTime, fmt.Sprintf("--duration has to be from 100ms to %s", maxBenchTime))
	demand(c.Streams >= 1 && c.Streams <= maxBenchStreams, fmt.Sprintf("--streams has to be from 1 to %d", maxBenchStreams))
	demand(c.Callers >= 1 && c.Callers <= maxCallers, fmt.Sprintf("--callers has to be from 1 to %d", maxCallers))
	demand(c.Samples >= 1 && c.Samples <= maxSamples, fmt.Sprintf("--samples has to be from 1 to %d", maxSamples))
	for _, name := range c.Attack {
		demand(slices.Contains(abuse.Names(), name), fmt.Sprintf("--attack %s: there is no such attack; there are %s", name, strings.Join(abuse.Names(), ", ")))
	}
	demand(c.History >= 1 && c.History <= maxHistory, fmt.Sprintf("--history has to be from 1 to %d", maxHistory))
	if c.ManagerURL == "" {
		demand(c.TokenFile == "" && c.managerTLSFlags == managerTLSFlags{}, "--token-file and the flags of TLS with the manager are for --manager-url")
	} else {
		c.checkTarget(demand)
	}
	if len(p) == 0 {
		return nil
	}
	return &usageError{text: strings.Join(p, "; "), advice: benchAdvice}
}

// checkTarget keeps it from attacking by mistake.
func (c *benchAbuseCommand) checkTarget(demand func(ok bool, problem string)) {
	parsed, err := url.Parse(c.ManagerURL)
	demand(err == nil && parsed.Scheme == "https" && parsed.Host != "", "--manager-url has to be https://host:port, because broken TLS is one of the attacks")
	demand(err != nil || c.Remote || isLoopback(parsed.Hostname()), "--manager-url is not of this machine: it would attack somebody's manager; --remote does, if it is yours")
	demand(c.TokenFile != "", "--manager-url needs --token-file")
}

// manager is the one that was named, or a new one.
func (c *benchAbuseCommand) manager(ctx context.Context, b *bench) (abuse.Target, error) {
	if c.ManagerURL == "" {
		return b.manager(ctx, c.Streams)
	}
	token, err := readFile(c.TokenFile)(ctx)
	if err != nil {
		return abuse.Target{}, err
	}
	l := &lookup{getenv: os.Getenv}
	cfg := c.resolve(l, c.ManagerURL)
	if len(l.problems) > 0 {
		return abuse.Target{}, &usageError{text: strings.Join(l.problems, "; "), advice: benchAdvice}
	}
	if cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return abuse.Target{URL: c.ManagerURL, Token: token, TLS: cfg}, nil
}

// show makes the table, and says on standard error what that has no room for.
func (c *benchAbuseCommand) show(std streams, results []abuse.Result) error {
	lines := [][]string{{"ATTACK", "SERVED", "REFUSED", "P99 WITHOUT", "P99 WITH", "RATIO", "GOOD CLIENT", "FAILED", ""}}
	for _, r := range results {
		if c.JSON {
			if err := std.out.object("attack", time.Now(), r); err != nil {
				return err
			}
		}
		lines = append(lines, []string{
			r.Attack, strconv.FormatInt(r.Served, 10), strconv.FormatInt(r.Repelled, 10), millis(r.Without), millis(r.With),
			strconv.FormatFloat(r.Ratio(), 'f', 2, 64), strconv.Itoa(r.Felt), strconv.Itoa(r.Refused), verdictOf(r),
		})
	}
	if !c.JSON {
		if err := columns(std.out, lines); err != nil {
			return err
		}
	}
	for _, r := range results {
		if r.Problem != "" {
			_ = std.err.line("%s: no result: %s", r.Attack, r.Problem)
		}
		if r.Refusal != "" {
			_ = std.err.line("%s: the good client was refused: %s", r.Attack, r.Refusal)
		}
	}
	return nil
}

func verdictOf(r abuse.Result) string {
	switch {
	case r.Problem != "":
		return "NO RESULT"
	case !r.Passed:
		return "FELT"
	}
	return "ok"
}

// judge returns an error if an attack has succeeded or gave no result.
func judge(results []abuse.Result) error {
	felt, void := 0, 0
	for _, r := range results {
		switch {
		case r.Problem != "":
			void++
		case !r.Passed:
			felt++
		}
	}
	switch {
	case felt > 0:
		return &failure{
			err:    fmt.Errorf("%d of %d attacks were felt by a good client, and %d have no result", felt, len(results), void),
			advice: fmt.Sprintf("Its p99 may be at most %.0f times that without the attack, and none of its requests may fail. A machine that does much else beside makes both worse.", abuse.Most),
		}
	case void > 0:
		return &failure{
			err:    fmt.Errorf("%d of %d attacks have no result", void, len(results)),
			advice: "Make each round longer with --duration, or look whether the manager can be reached.",
		}
	}
	return nil
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
