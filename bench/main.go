package main

import (
	"encoding/json"
	"flag"
	"fmt"
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
		unchangedRow(10_000), massRow(million),
	}
}

func main() {
	rounds := flag.Int("rounds", 5, "how often the contenders of a row take turns")
	which := flag.String("row", "", "a regular expression: only the rows whose names match")
	into := flag.String("json", "", "a file for the figures; empty: none")
	profile := flag.String("cpuprofile", "", "a file for a CPU profile; empty: none")
	strict := flag.Bool("strict", false, "exit with 1 when a goal is not met")
	flag.Parse()
	match, err := regexp.Compile(*which)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: -row:", err)
		os.Exit(2)
	}
	if *profile != "" {
		file, err := os.Create(*profile)
		must(err)
		must(pprof.StartCPUProfile(file))
		defer pprof.StopCPUProfile()
	}
	fmt.Printf("%s, %s/%s, GOMAXPROCS %d, %d rounds, medians\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), *rounds)
	fmt.Println("| work | contenders | goals |\n|---|---|---|")
	var all []measured
	met := true
	for _, r := range rows() {
		if !match.MatchString(r.name) {
			continue
		}
		m := r.run(*rounds, os.Stdout)
		all, met = append(all, m), met && m.Met
	}
	if *into != "" {
		data, err := json.MarshalIndent(all, "", "  ")
		if err == nil {
			err = os.WriteFile(*into, append(data, '\n'), 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: -json:", err)
			os.Exit(1)
		}
	}
	if *strict && !met {
		os.Exit(1)
	}
}
