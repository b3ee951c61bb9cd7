package cluster

import (
	"context"
	"errors"
	"os/exec"
	"regexp"
	"testing"
	"time"
)

// TestCheckersTurnRed: with one protection switched off by its build tag, the crash test finds what comes of that before long. A test that
// stayed green would prove nothing about the protection.
func TestCheckersTurnRed(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the package four times")
	}
	for _, tc := range []struct{ tag, off, fault, found string }{
		{"chaos_nofence", "fencing by base", "leadership there and back", `effects|times|follows|replies|known|acknowledged`},
		{"chaos_nodedupe", "remembered commands", "", `replies differ|times|known`},
		{"chaos_noquorum", "the quorum before the acknowledgement", "", `another one|differs|acknowledged|follows|known|lost`},
		{"chaos_nocursor", "the cursor's compare-and-set", "leadership there and back", `effects`},
	} {
		t.Run(tc.tag, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, "go", "test", "-count=1", "-tags", tc.tag, "-run", "^TestChaosShards$", ".",
				"-args", "-seeds", "60", "-stop", "-fault", tc.fault).CombinedOutput()
			var exit *exec.ExitError
			if err == nil {
				t.Fatalf("60 seeds are green without %s", tc.off)
			}
			if !errors.As(err, &exit) || !regexp.MustCompile(`seed \d+: .*(`+tc.found+`)`).Match(out) {
				t.Fatalf("without %s: %v\n%s", tc.off, err, out)
			}
			t.Logf("without %s: %s", tc.off, regexp.MustCompile(`seed \d+: .*`).Find(out))
		})
	}
}
