package process

import (
	"os"

	"golang.org/x/sys/windows"
)

// obeys switches escape sequences on, and reports whether the console has them.
func obeys(file *os.File) bool {
	var mode uint32
	console := windows.Handle(file.Fd())
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
