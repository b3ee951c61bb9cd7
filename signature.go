package ticketing

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// signatureDomain begins every signed message, so that no signature made for something else counts here.
const signatureDomain = "ticketing plugin v1\x00"

// A Signature is a detached Ed25519 signature (RFC 8032) over a module's digest, its name and its author's version.
type Signature struct {
	Key  string `cbor:"1,keyasint" json:"key"` // the id of the key, see [SignerKey.ID]
	Sig  []byte `cbor:"2,keyasint" json:"signature"`
	Name string `cbor:"3,keyasint,omitempty" json:"signer,omitzero"` // of the key, when it verified
}

// A SignerKey is a public key whose signatures this server accepts.
type SignerKey struct {
	Name    string    `cbor:"1,keyasint" json:"name"`
	Public  []byte    `cbor:"2,keyasint" json:"publicKey"` // 32 bytes
	AddedBy ID        `cbor:"3,keyasint,omitzero" json:"addedBy,omitzero"`
	AddedAt time.Time `cbor:"4,keyasint" json:"addedAt"`
}

// ID names the key: the first 16 hexadecimal digits of the sha256 of its bytes.
func (k SignerKey) ID() string { return KeyID(k.Public) }

// KeyID names a public key.
func KeyID(public []byte) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

// SignedMessage returns the bytes that a signature of a version is over. The lengths are in it, so that no two versions
// have the same message.
func SignedMessage(d Digest, name, version string) []byte {
	m := append([]byte(signatureDomain), d[:]...)
	for _, s := range [...]string{name, version} {
		m = binary.BigEndian.AppendUint32(m, uint32(len(s)))
		m = append(m, s...)
	}
	return m
}

// Verify reports whether the signature is one of this key over a version.
func (k SignerKey) Verify(sig []byte, d Digest, name, version string) bool {
	return len(k.Public) == ed25519.PublicKeySize && len(sig) == ed25519.SignatureSize &&
		ed25519.Verify(ed25519.PublicKey(k.Public), SignedMessage(d, name, version), sig)
}
