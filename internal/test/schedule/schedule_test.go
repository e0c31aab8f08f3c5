package schedule_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
)

func TestAScheduleIsReadAsItIsPrinted(t *testing.T) {
	const text = "core fast slow dice=7 tenants=-3: add 1; wait; add 0 2; pass -4 5"
	s, err := schedule.Parse(text, "dice", "tenants")
	if err != nil || s.String() != text {
		t.Errorf("it is %q, %v", s, err)
	}
	if !s.World.Has("slow") || s.World.Has("dice") || s.World.Numbers["tenants"] != -3 {
		t.Errorf("the world is %+v", s.World)
	}
	for _, text := range []string{"core: add x", "core: add 1 2 3", "core dice=x: add", "core what=1:"} {
		if s, err := schedule.Parse(text, "dice"); err == nil {
			t.Errorf("%q is read as %q", text, s)
		}
	}
}

// TestShorten leaves two steps of many, and the one thing of the world that matters.
func TestShorten(t *testing.T) {
	s, err := schedule.Parse("core versions base slow tenants=20 spread=5 dice=7: "+
		strings.Repeat("pass 3; ", 40)+"add 1; "+strings.Repeat("ask; ", 30)+"add 2", "tenants", "spread", "dice")
	if err != nil {
		t.Fatal(err)
	}
	less := schedule.Shorten(s, func(s schedule.Schedule) bool {
		text := s.String()
		return strings.Contains(text, "add 1") && strings.Contains(text, "add 2") && s.World.Has("slow") && s.World.Numbers["tenants"] > 4
	})
	if want := "core slow tenants=5: add 1; add 2"; less.String() != want {
		t.Errorf("it is %q, want %q", less, want)
	}
}

func TestOperationsAreDrawnByWeightAndDone(t *testing.T) {
	drawn := map[string]int{}
	note := func(m map[string]int, a, b int) { m["often"] += a*10 + b }
	ops := schedule.Operations[map[string]int]{
		{Name: "often", Weight: 9, Draw: schedule.Both(schedule.UpTo(1), schedule.OneOf(1)), Do: note},
		{Name: "seldom", Weight: 1, Do: func(m map[string]int, _, _ int) { m["seldom"]++ }},
		{Name: "never", Do: func(map[string]int, int, int) { t.Error("drawn") }},
	}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // to be repeated
	for range 1000 {
		if err := ops.Do(drawn, ops.Draw(r)); err != nil {
			t.Fatal(err)
		}
	}
	if often, seldom := drawn["often"]/10, drawn["seldom"]; often+seldom != 1000 || seldom < 50 || seldom > 200 {
		t.Errorf("drawn %d and %d times, by weights of 9 and 1", often, seldom)
	}
	if err := ops.Do(drawn, schedule.Step{Op: "what"}); err == nil {
		t.Error("a step that is not known was done")
	}
}
