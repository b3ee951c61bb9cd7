package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A backup by the command line, from a server that runs to one that runs on what was restored.
func TestBackupCommands(t *testing.T) {
	server(t)
	dir := t.TempDir()
	rows := write(t, "rows.jsonl", `{"type":"user","key":"u1","name":"Ann"}
{"type":"post","key":"p1","author":"u1","title":"A title","body":"A body.","createdAt":"2014-07-22T15:27:50Z"}
`)
	succeed(t, "", "import", "jsonl", rows)
	file, folder := filepath.Join(dir, "b.tar.zst"), filepath.Join(dir, "b")
	out := succeed(t, "correct horse battery\n", "backup", file, "--keys", "--passphrase-stdin")
	if !strings.HasPrefix(out, "backed up ") {
		t.Errorf("%q", out)
	}
	if out := succeed(t, "", "backup", folder, "--json"); !strings.Contains(out, `"keys": false`) {
		t.Errorf("%s", out)
	}
	for path, keys := range map[string]string{file: "with keys", folder: "without keys"} {
		if out := succeed(t, "", "backup", "verify", path); !strings.HasPrefix(out, "ok: ") || !strings.Contains(out, keys) {
			t.Errorf("%q", out)
		}
	}
	data := filepath.Join(dir, "data")
	for want, args := range map[string][]string{
		"is not empty":                {"backup", folder},
		"there is a":                  {"backup", file},
		"at least 10 characters":      {"backup", filepath.Join(dir, "c"), "--keys", "--passphrase-stdin"},
		"not the one that the keys":   {"restore", file, "--data", data, "--keys", "--passphrase-stdin"},
		"holds no keys":               {"restore", folder, "--data", data, "--keys", "--passphrase-stdin"},
		"is not a power of two":       {"restore", folder, "--data", data, "--shards", "3"},
		"no such file":                {"restore", filepath.Join(dir, "nowhere"), "--data", data},
		"is not 1 to 32":              {"restore", folder, "--data", data, "--node", "N 1"},
		"usage: ticketing backup OUT": {"backup"},
	} {
		stdin := "incorrect horse battery\n"
		if strings.Contains(want, "at least") {
			stdin = "short\n"
		}
		if line := fail(t, stdin, args...); !strings.Contains(line, want) {
			t.Errorf("%v: %q lacks %q", args, line, want)
		}
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("a restore that was refused left something")
	}
	out = succeed(t, "correct horse battery\n", "restore", file, "--data", data, "--node", "n7", "--shards", "1", "--keys", "--passphrase-stdin")
	if !strings.Contains(out, "node n7, 1 shards; sessions go on") {
		t.Errorf("%q", out)
	}
	if line := fail(t, "", "restore", folder, "--data", data); !strings.Contains(line, "holds a cluster already") {
		t.Errorf("%q", line)
	}
	out = succeed(t, "correct horse battery\n", "user", "create", "--data", data, "--email", "op@example.org", "--name", "Op", "--role", "operator", "--password-stdin")
	if !strings.Contains(out, "op@example.org") {
		t.Errorf("%q", out)
	}
}

// A node that was alone can be surveyed and recovered, and starts again.
func TestRecoverCommand(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	create := []string{"user", "create", "--data", data, "--name", "Op", "--role", "operator", "--password-stdin"}
	if line := fail(t, "", "cluster", "recover", "--data", data); !strings.Contains(line, "holds no cluster") {
		t.Errorf("%q", line)
	}
	succeed(t, "", "cluster", "init", "--data", data, "--shards", "1")
	if line := fail(t, "", "cluster", "recover", "--data", data); !strings.Contains(line, "nothing to recover") {
		t.Errorf("%q", line)
	}
	succeed(t, "correct horse battery\n", append(create, "--email", "op@example.org")...)
	out := succeed(t, "", "cluster", "recover", "--data", data)
	if !strings.Contains(out, "nothing was changed") || !strings.Contains(out, "users/shard/00") || !strings.Contains(out, "nothing is lost") {
		t.Errorf("%s", out)
	}
	before := decode[recovered](t, succeed(t, "", "cluster", "recover", "--data", data, "--json"))
	after := decode[recovered](t, succeed(t, "", "cluster", "recover", "--data", data, "--json", "--unsafe"))
	if before.Done || before.Number != 0 || !after.Done || after.Number == 0 || len(after.Loss) != 6 {
		t.Errorf("%+v, %+v", before, after)
	}
	succeed(t, "correct horse battery\n", append(create, "--email", "op2@example.org")...)
}
