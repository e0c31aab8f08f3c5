//go:build unix && !linux

package main

import "syscall"

// diesWithUs does nothing: the system has no such thing.
func diesWithUs(*syscall.SysProcAttr) {}
