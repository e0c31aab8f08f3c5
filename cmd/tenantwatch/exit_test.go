package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// sqlError is an error of a database server.
type sqlError string

func (e sqlError) Error() string    { return string(e) }
func (e sqlError) SQLState() string { return string(e) }

func TestX44WhatNoRetryMends(t *testing.T) {
	refused := func(status int, code string) error {
		return fmt.Errorf("list: %w", &managerapi.Error{StatusCode: status, Code: code})
	}
	inDatabase := func(err error) error { return database{}.explain(fmt.Errorf("open: %w", err)) }
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, exitDone},
		{"usage", &usageError{}, exitUsage},
		{"anything", errors.New("x"), exitFailure},
		{"a reader that is gone", fmt.Errorf("%w: %w", process.ErrOutput, syscall.EPIPE), exitPipe},
		{"a full disk", fmt.Errorf("%w: %w", process.ErrOutput, syscall.ENOSPC), exitFailure},
		{"another key", inDatabase(store.ErrWrongKey), exitLasting},
		{"a newer schema", inDatabase(store.ErrSchemaTooNew), exitLasting},
		{"an older server", inDatabase(errors.New("PostgreSQL is version 9")), exitLasting},
		{"no such folder", inDatabase(fs.ErrNotExist), exitLasting},
		{"no right to the file", inDatabase(fmt.Errorf("%w: %w", store.ErrUnavailable, fs.ErrPermission)), exitLasting},
		{"a database that is away", inDatabase(store.ErrUnavailable), exitFailure},
		{"a database in use", inDatabase(store.ErrInUse), exitFailure},
		{"an interrupted opening", inDatabase(context.Canceled), exitFailure},
		{"a wrong password", inDatabase(fmt.Errorf("%w: %w", store.ErrUnavailable, sqlError("28P01"))), exitLasting},
		{"no such database", inDatabase(fmt.Errorf("%w: %w", store.ErrUnavailable, sqlError("3D000"))), exitLasting},
		{"a server that starts", inDatabase(fmt.Errorf("%w: %w", store.ErrUnavailable, sqlError("57P03"))), exitFailure},
		{"a key that the manager does not know", (&session{}).explain(refused(http.StatusUnauthorized, "UNAUTHORIZED")), exitLasting},
		{"a proxy that lets nobody in", (&session{}).explain(refused(http.StatusUnauthorized, "")), exitFailure},
		{"a manager that is away", (&session{}).explain(managerapi.ErrUnavailable), exitFailure},
		{"a tenant that is not there", (&session{}).explain(refused(http.StatusNotFound, "TENANT_NOT_FOUND")), exitFailure},
		{"a key file that is not there", explainStart(t.Context(), settings{}, &secretError{fs.ErrNotExist}, false), exitLasting},
		{"a service that is another's", explainStart(t.Context(), settings{}, refused(http.StatusNotFound, "SERVICE_NOT_FOUND"), false), exitLasting},
	}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestX44TheUnitDoesNotRestartForEver(t *testing.T) {
	unit, err := os.ReadFile("../../deploy/tenantwatch.service")
	if err != nil || !strings.Contains(string(unit), fmt.Sprintf("\nRestartPreventExitStatus=%d %d\n", exitUsage, exitLasting)) {
		t.Errorf("the unit restarts after what no retry mends: %v\n%s", err, unit)
	}
	for _, code := range []int{exitUsage, exitLasting} {
		if !strings.Contains(manual(t), fmt.Sprintf("| %d |", code)) {
			t.Errorf("the manual does not say what %d is", code)
		}
	}
}
