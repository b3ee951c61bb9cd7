package peer

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

func TestAuthority(t *testing.T) {
	ca, err := NewAuthority(cluster, epoch)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := ca.PEM()
	again, err := LoadAuthority(cert, key)
	if err != nil || again.Cluster() != cluster {
		t.Fatalf("cluster %q (%v)", again.Cluster(), err)
	}
	c2, k2 := again.PEM()
	if !bytes.Equal(cert, c2) || !bytes.Equal(key, k2) {
		t.Error("it is not what was saved")
	}
	node, nodeKey, err := again.Issue("n1", 0, epoch)
	if err != nil {
		t.Fatal(err)
	}
	parse := func(b []byte) *x509.Certificate {
		block, _ := pem.Decode(b)
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	leaf := parse(node)
	if got := leaf.URIs[0].String(); got != "ticketing://"+cluster+"/n1" || leaf.IsCA || !leaf.NotAfter.Equal(epoch.Add(NodeLife)) {
		t.Errorf("%s, CA %v, until %v", got, leaf.IsCA, leaf.NotAfter)
	}
	if late, _, err := ca.Issue("n1", 0, epoch.Add(8*365*24*time.Hour)); err != nil || parse(late).NotAfter.After(parse(cert).NotAfter) {
		t.Errorf("a node's certificate outlives the authority's (%v)", err)
	}
	for _, name := range []string{"", "N1", "1n", "n_1", "n/1", strings.Repeat("n", 33), "n1\n"} {
		if _, _, err := ca.Issue(name, 0, epoch); err == nil {
			t.Errorf("a certificate for %q", name)
		}
		if _, err := ca.Token(name, time.Hour, epoch); err == nil {
			t.Errorf("a token for %q", name)
		}
	}
	for _, id := range []string{"", "a b", "a/b", strings.Repeat("a", 65)} {
		if _, err := NewAuthority(id, epoch); err == nil {
			t.Errorf("an authority for %q", id)
		}
	}
	for name, pair := range map[string][2][]byte{"a node's": {node, nodeKey}, "mixed": {cert, nodeKey}, "empty": {nil, nil}, "no key": {cert, nil}, "exchanged": {key, cert}} {
		if _, err := LoadAuthority(pair[0], pair[1]); err == nil {
			t.Errorf("%s files are an authority", name)
		}
	}
}

func TestToken(t *testing.T) {
	ca, err := NewAuthority(cluster, epoch)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewAuthority(cluster, epoch)
	if err != nil {
		t.Fatal(err)
	}
	caPEM, _ := ca.PEM()
	make := func(ca *Authority) string {
		token, err := ca.Token("n4", time.Hour, epoch)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := make(ca)
	if strings.ContainsAny(good, " \n\t\"'") {
		t.Errorf("not one word: %q", good)
	}
	id, err := CheckToken(caPEM, good, "n4", epoch.Add(59*time.Minute))
	if err != nil || len(id) != 32 {
		t.Fatalf("id %q (%v)", id, err)
	}
	if id2, err := CheckToken(caPEM, make(ca), "n4", epoch); err != nil || id2 == id {
		t.Errorf("two tokens have the id %s (%v)", id2, err)
	}
	parts := strings.Split(good, ".")
	payload := func(c claims) string {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	forged := payload(claims{cluster, "n4", strings.Repeat("0", 32), epoch.Add(1000 * time.Hour).Unix()})
	for _, tc := range []struct {
		name, token, node string
		after             time.Duration
		want              string
	}{
		{"expired", good, "n4", time.Hour, "has expired on 2030-05-01T13:00:00Z"},
		{"another node's", good, "n5", 0, "for node n4, not for n5"},
		{"of another cluster", make(&Authority{"elsewhere", ca.cert, ca.key}), "n4", 0, "for another cluster (elsewhere)"},
		{"of another authority", make(other), "n4", 0, "not a join token"},
		{"forged", parts[0] + "." + forged + "." + parts[2], "n4", 0, "not a join token"},
		{"unsigned", parts[0] + "." + parts[1] + ".", "n4", 0, "not a join token"},
		{"cut", good[:len(good)-1], "n4", 0, "not a join token"},
		{"empty", "", "n4", 0, "not a join token"},
		{"long", strings.Repeat("a", 1<<20), "n4", 0, "not a join token"},
	} {
		if _, err := CheckToken(caPEM, tc.token, tc.node, epoch.Add(tc.after)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if _, err := CheckToken([]byte("nothing"), good, "n4", epoch); err == nil {
		t.Error("checked against nothing")
	}
}

// FuzzToken: no bytes break the parser, and none pass.
func FuzzToken(f *testing.F) {
	ca, err := NewAuthority(cluster, epoch)
	if err != nil {
		f.Fatal(err)
	}
	caPEM, _ := ca.PEM()
	good, err := ca.Token("n4", time.Hour, epoch)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good + "x")
	f.Add("ticketing1..")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := CheckToken(caPEM, s, "n4", epoch); err == nil && s != good {
			t.Errorf("%q passes", s)
		}
	})
}

// FuzzHeader: a header that is read is one that could have been sent.
func FuzzHeader(f *testing.F) {
	for _, b := range []string{"", "\x00\x05\x04raft", "\xff\xff", "\x00\x02\x05a"} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		purpose, arg, err := readHeader(bytes.NewReader(b))
		if err != nil {
			return
		}
		if out, err := encodeHeader(purpose, arg); err != nil || !bytes.HasPrefix(b, out) {
			t.Errorf("%x is read as %q and %x, which is %x (%v)", b, purpose, arg, out, err)
		}
	})
}
