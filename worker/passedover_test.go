package worker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tenantwatch/tenantwatch/worker"
)

// A default tenant is on no list, so discovery's IsActive does not know it.
func TestX27WhoIsPassedOverIsCountedAndShown(t *testing.T) {
	var log bytes.Buffer
	reader := metric.NewManualReader()
	known := func(id string) bool { return id != "default" && id != "gone" }
	cfg := worker.ForEachConfig{
		Active: known, Logger: slog.New(slog.NewTextHandler(&log, nil)), MeterProvider: metric.NewMeterProvider(metric.WithReader(reader)),
	}
	well := func(context.Context, string) error { return nil }
	if err := worker.ForEach(t.Context(), each("a", "default", "b", "gone"), well, cfg); err != nil {
		t.Error(err)
	}
	want := `level=WARN msg="tenants were passed over: Active says that they are not active" passed_over=2 of=4 tenant_ids="[default gone]"`
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, want) {
		t.Errorf("the log says %q, want %q", got, want)
	}
	if got := passedOver(t, reader); got != 2 {
		t.Errorf("the metric says %d", got)
	}
	err := worker.ForEach(t.Context(), each("a", "default"), func(context.Context, string) error { return errors.New("no") }, cfg)
	failed, ok := errors.AsType[*worker.PassError](err)
	if !ok || failed.PassedOver != 1 || !strings.Contains(err.Error(), "1 of 2 tenants were passed over: they are not active") {
		t.Errorf("the error says %v", err)
	}
	if got := passedOver(t, reader); got != 3 {
		t.Errorf("the metric says %d", got)
	}
}

func TestX27WhenNobodyIsPassedOverNothingIsSaid(t *testing.T) {
	var log bytes.Buffer
	reader := metric.NewManualReader()
	cfg := worker.ForEachConfig{Logger: slog.New(slog.NewTextHandler(&log, nil)), MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))}
	if err := worker.ForEach(t.Context(), each("a", "default"), func(context.Context, string) error { return nil }, cfg); err != nil || log.Len() > 0 {
		t.Errorf("got %v, and the log says %q", err, &log)
	}
	if got := passedOver(t, reader); got != 0 {
		t.Errorf("the metric says %d", got)
	}
}

// passedOver is -1 when the metric is not there.
func passedOver(t *testing.T, reader *metric.ManualReader) int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "tenantwatch.worker.pass.passed_over" {
				return sum.DataPoints[0].Value
			}
		}
	}
	return -1
}

// TestX27WithoutALoggerItIsShownAllTheSame, or a pass that is made of IsActive alone would leave out a tenant for ever unseen.
func TestX27WithoutALoggerItIsShownAllTheSame(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	cfg := worker.ForEachConfig{Active: func(id string) bool { return id != "default" }}
	if err := worker.ForEach(t.Context(), each("a", "default"), func(context.Context, string) error { return nil }, cfg); err != nil {
		t.Error(err)
	}
	if got := log.String(); !strings.Contains(got, "passed_over=1 of=2 tenant_ids=[default]") {
		t.Errorf("the log says %q", got)
	}
}
