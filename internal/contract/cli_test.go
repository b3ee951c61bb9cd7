package contract

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var printedFingerprint = regexp.MustCompile(`SHA-256 ([0-9A-F:]{95})`)

// The command line reaches a server that made its own certificate, by its authority or by the printed fingerprint, and no other.
func TestCommandLineOverTLS(t *testing.T) {
	s, _ := serveTLS(t)
	printed := printedFingerprint.FindStringSubmatch(s.log.String())
	if printed == nil {
		t.Fatalf("no fingerprint in\n%s", s.log)
	}
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "TICKETING_PASSWORD="+operatorPassword)
	for _, tc := range []struct {
		name string
		args []string
		good bool
	}{
		{"nothing", nil, false},
		{"the authority", []string{"--ca", filepath.Join(s.dir, "tls", "ca.pem")}, true},
		{"the fingerprint", []string{"--fingerprint", printed[1]}, true},
		{"another fingerprint", []string{"--fingerprint", strings.Repeat("00:", 31) + "00"}, false},
	} {
		cmd := exec.CommandContext(t.Context(), bin, append([]string{"plugin", "list", "--url", s.url, "--email", operatorEmail}, tc.args...)...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if (err == nil) != tc.good || tc.good && !strings.Contains(string(out), "spam") {
			t.Errorf("%s: %v\n%s", tc.name, err, out)
		}
	}
}
