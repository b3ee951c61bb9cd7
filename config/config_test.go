package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"ticketing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ticketing.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// File < environment < flags.
func TestPrecedence(t *testing.T) {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	flags.String("data", "", "")
	flags.Int("shards", 0, "")
	if err := flags.Parse([]string{"--data", "from-flag"}); err != nil {
		t.Fatal(err)
	}
	path := write(t, "data: from-file\nqueue: 7\ncache: 9\nretention: 2h\nhosts: [a.example, b.example]\noperator:\n  email: o@example.org\n  password: secret-secret\n")
	c, err := Load(path, []string{"TICKETING_DATA=from-env", "TICKETING_QUEUE=8", "TICKETING_TOKEN=not-a-setting", "HOME=/x"}, flags)
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != "from-flag" || c.Queue != 8 || c.Cache != 9 || c.Shards != 0 || c.Retention != 2*time.Hour || len(c.Hosts) != 2 || c.OperatorEmail != "o@example.org" {
		t.Errorf("%+v", c)
	}
	if c.SMTPURL = "smtp://u:secret@h"; c.Redacted().SMTPURL != "(hidden)" {
		t.Error("the mail server's password is printed")
	}
	if strings.Contains(c.Redacted().OperatorPassword, "secret") {
		t.Error("the password is printed")
	}
}

// Every key has a variable of its own, also one with an underscore in its name.
func TestEnvironmentNamesEveryKey(t *testing.T) {
	seen := map[string]string{}
	for key := range knownKeys() {
		name := variable(key)
		if other, twice := seen[name]; twice {
			t.Errorf("%s is %s and %s", name, key, other)
		}
		seen[name] = key
	}
	if c, err := Load("", []string{"TICKETING_CLUSTER_MOVE_RATE=7"}, nil); err != nil || c.ClusterMoveRate != 7 {
		t.Errorf("%+v, %v", c.ClusterMoveRate, err)
	}
}

func TestFaults(t *testing.T) {
	for _, tc := range []struct{ name, file, want string }{
		{"unknown key", "dtaa: x\n", "dtaa"},
		{"not YAML", "data: [\n", "config"},
		{"wrong type", "shards: many\n", "shards"},
		{"bad value", "shards: 3\n", "power of two"},
		{"two faults", "shards: 3\ncache: -1\n", "cache"},
		{"half an operator", "operator.email: o@example.org\n", "operator"},
		{"short passwords", "password.min: 7\n", "password.min"},
		{"tiny modules", "rules.module_size: 63\n", "rules.module_size"},
		{"huge modules", "rules.module_size: 16385\n", "rules.module_size: 16385 is not between 64 and 16384"},
		{"mail without a sender", "smtp.url: smtp://u:hush-hush@h\npublic.url: https://h\n", "smtp.from"},
		{"mail without an address", "smtp.url: smtp://h\nsmtp.from: a@example.org\n", "public.url"},
		{"no mail server", "smtp.url: http://u:hush-hush@h\nsmtp.from: a@example.org\npublic.url: https://h\n", "smtps://"},
		{"plain links", "public.url: http://example.org\n", "public.url"},
		{"links below a path", "public.url: https://example.org/x\n", "public.url"},
		{"strict without mail", "signup.strict: true\n", "signup.strict"},
		{"public admin", "admin: 0.0.0.0:9090\n", "loopback"},
		{"public dev", "dev: true\nhttp: 0.0.0.0:80\n", "loopback"},
		{"half a certificate", "tls:\n  cert: a.pem\n", "tls.key"},
		{"old TLS", "tls.min: \"1.1\"\n", "tls.min"},
		{"two certificates", "tls.cert: a\ntls.key: b\nacme.hosts: [a.example.org]\n", "not both"},
		{"ACME for nobody", "acme.email: a@b.org\n", "acme.hosts"},
		{"ACME for an address", "acme.hosts: [10.0.0.1]\n", "acme.hosts"},
		{"ACME for localhost", "acme.hosts: [localhost]\n", "acme.hosts"},
		{"ACME without TLS", "acme.hosts: [a.example.org]\nacme.directory: http://a.example\n", "acme.directory"},
		{"TLS with dev", "dev: true\ntls.cert: a\ntls.key: b\n", "--dev"},
		{"bad redirect", "redirect: nonsense\n", "redirect"},
		{"a proxy without a network", "proxies: [10.0.0.1]\n", "proxies"},
		{"negative limits", "limits: -1\n", "limits"},
	} {
		_, err := Load(write(t, tc.file), nil, nil)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "hush-hush") {
			t.Errorf("%s: the password is shown: %v", tc.name, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "missing.yaml"), nil, nil); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a missing file: %v", err)
	}
}

// A setting that keeps code from running is not missed where environments are all there is.
func TestRulesSignedFromTheEnvironment(t *testing.T) {
	if c, err := Load("", []string{"TICKETING_RULES_SIGNED=true"}, nil); err != nil || !c.RulesSigned {
		t.Errorf("%+v, %v", c, err)
	}
}

// As large as the platform takes a module, and what it usually is.
func TestModuleSizes(t *testing.T) {
	if c, err := Load("", []string{fmt.Sprintf("TICKETING_RULES_MODULE_SIZE=%d", ticketing.MaxModule>>10)}, nil); err != nil || c.RulesModuleSize<<10 != ticketing.MaxModule {
		t.Errorf("%d, %v", c.RulesModuleSize, err)
	}
	if n := Default().RulesModuleSize << 10; n != ticketing.UsualModule {
		t.Errorf("%d bytes by default", n)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	if c, err := Load("", nil, nil); err != nil || c.Address() != ":8443" {
		t.Errorf("%+v, %v", c, err)
	}
}
