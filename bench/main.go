package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"runtime/pprof"
)

const million = 1_000_000

// rows are all that is measured.
func rows() []row {
	return []row{
		isActiveRow(10_000), isActiveRow(million), scaleRow(10_000),
		idsRow(10_000), idsRow(million),
		allRow(10_000), allRow(million),
		writesRow(10_000, 20), writesRow(million, 500),
		underReadersRow(10_000),
		eventRow(240, 3, false), eventRow(1024, 4, false), eventRow(240, 1, true),
		floodRow(10_000), floodRow(million),
		bootstrapRow(10_000, within("time", timeOf, "hand", 1.0/3), within("peak", peakOf, "hand", 1)),
		bootstrapRow(million, within("time", timeOf, "hand", 0.2), within("peak", peakOf, "hand", 1.0/3), within("kept", keptOf, "hand", 0.75)),
		namesRow(million), unchangedRow(10_000), changesRow(million), massRow(million),
	}
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) } //nolint:forbidigo // this is main

// run is the program. It returns its exit code.
func run(args []string, out, problems io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(problems)
	rounds := flags.Int("rounds", 5, "how often the contenders of a row take turns")
	which := flags.String("row", "", "a regular expression: only the rows whose names match")
	into := flags.String("json", "", "a file for the figures; empty: none")
	growth := flags.String("growth", "", "a directory: draw how cost grows into it, and measure nothing else")
	profile := flags.String("cpuprofile", "", "a file for a CPU profile; empty: none")
	strict := flags.Bool("strict", false, "exit with 1 when a goal is not met")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	match, err := regexp.Compile(*which)
	if err != nil {
		return fail(problems, 2, "-row", err)
	}
	if *growth != "" {
		if err := drawGrowth(*growth, *rounds); err != nil {
			return fail(problems, 1, "-growth", err)
		}
		return 0
	}
	stop, err := profiled(*profile)
	if err != nil {
		return fail(problems, 1, "-cpuprofile", err)
	}
	defer stop()
	_, _ = fmt.Fprintf(out, "%s, %s/%s, GOMAXPROCS %d, %d rounds, medians\n\n| work | contenders | goals |\n|---|---|---|\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), *rounds)
	all, met := measureAll(match, *rounds, out)
	if *into != "" {
		data, err := json.MarshalIndent(all, "", "  ")
		if err == nil {
			err = os.WriteFile(*into, append(data, '\n'), 0o600)
		}
		if err != nil {
			return fail(problems, 1, "-json", err)
		}
	}
	if *strict && !met {
		return 1
	}
	return 0
}

// profiled writes a CPU profile into the file, if one is named, until stop.
func profiled(name string) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return pprof.StopCPUProfile, pprof.StartCPUProfile(file)
}

func fail(problems io.Writer, code int, flag string, err error) int {
	_, _ = fmt.Fprintf(problems, "bench: %s: %v\n", flag, err)
	return code
}

// measureAll runs the rows whose names match.
func measureAll(match *regexp.Regexp, rounds int, out io.Writer) (all []measured, met bool) {
	met = true
	for _, r := range rows() {
		if match.MatchString(r.name) {
			m := r.run(rounds, out)
			all, met = append(all, m), met && m.Met
		}
	}
	return all, met
}
