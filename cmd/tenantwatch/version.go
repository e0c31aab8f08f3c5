package main

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"time"
)

// versionCommand shows what the binary was built from.
type versionCommand struct {
	JSON bool `help:"Print one JSON object." name:"json" variable:"TENANTWATCH_JSON"`
}

// build is what is known of how the binary was built.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Run prints it.
func (c *versionCommand) Run(std streams) error {
	b := newBuild(debug.ReadBuildInfo())
	if c.JSON {
		return std.out.object("version", time.Now(), b)
	}
	return std.out.line("%s", b)
}

// newBuild takes what [debug.ReadBuildInfo] returns.
func newBuild(info *debug.BuildInfo, ok bool) build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if !ok {
		return b
	}
	b.Version = cmp.Or(info.Main.Version, "(devel)")
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.Time = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

// String is the line for people.
func (b build) String() string {
	text := "tenantwatch " + b.Version
	if b.Commit != "" {
		text += " commit " + b.Commit
	}
	if b.Modified {
		text += " (modified)"
	}
	return text + " " + b.Go + " " + b.Platform
}
