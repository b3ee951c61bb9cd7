package peer

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	tokenPrefix = "ticketing1"
	maxToken    = 1024 // bytes
	tokenIDLen  = 16   // bytes, before they become hexadecimal
)

var tokenBase64 = base64.RawURLEncoding.Strict()

type claims struct {
	Cluster string `json:"c"`
	Node    string `json:"n"`
	ID      string `json:"i"`
	Expires int64  `json:"e"` // Unix seconds
}

// Token makes a join token, with which one node can become a member once. It is one printable word.
func (a *Authority) Token(node string, life time.Duration, now time.Time) (string, error) {
	if !validNode(node) {
		return "", badNode(node)
	}
	var id [tokenIDLen]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims{a.cluster, node, hex.EncodeToString(id[:]), now.Add(life).Unix()})
	if err != nil {
		return "", err
	}
	sig, err := ecdsa.SignASN1(rand.Reader, a.key, tokenHash(payload))
	if err != nil {
		return "", err
	}
	return tokenPrefix + "." + tokenBase64.EncodeToString(payload) + "." + tokenBase64.EncodeToString(sig), nil
}

func tokenHash(payload []byte) []byte {
	h := sha256.New()
	h.Write([]byte("ticketing join token\x00"))
	h.Write(payload)
	return h.Sum(nil)
}

var errToken = errors.New("this is not a join token of this cluster's authority")

// CheckToken checks a join token against the authority's certificate: who signed it, and that it is for this node, for the authority's
// cluster, and not expired. It returns the token's id, by which the caller remembers that it was used. The errors are sentences for people.
func CheckToken(caPEM []byte, token, node string, now time.Time) (id string, err error) {
	ca, cluster, err := parseAuthority(caPEM)
	if err != nil {
		return "", err
	}
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 || parts[0] != tokenPrefix {
		return "", errToken
	}
	payload, err1 := tokenBase64.DecodeString(parts[1])
	sig, err2 := tokenBase64.DecodeString(parts[2])
	if err1 != nil || err2 != nil || !ecdsa.VerifyASN1(ca.PublicKey.(*ecdsa.PublicKey), tokenHash(payload), sig) {
		return "", errToken
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil || c.ID == "" {
		return "", errToken
	}
	switch {
	case c.Cluster != cluster:
		return "", fmt.Errorf("the join token is for another cluster (%s)", c.Cluster)
	case c.Node != node:
		return "", fmt.Errorf("the join token is for node %s, not for %s", c.Node, node)
	case now.Unix() >= c.Expires:
		return "", fmt.Errorf("the join token has expired on %s; make a new one", time.Unix(c.Expires, 0).UTC().Format(time.RFC3339))
	}
	return c.ID, nil
}
