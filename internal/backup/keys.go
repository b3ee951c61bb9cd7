package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"ticketing"
)

// sealedKeys returns the cluster's keys, encrypted for a recipient; nil without one.
func sealedKeys(ctx context.Context, src Source, recipient string) ([]byte, error) {
	if recipient == "" {
		return nil, nil
	}
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, ticketing.InvalidField("keys", "This is no recipient of age (age1…).")
	}
	secrets, err := src.Secrets(ctx)
	if err != nil {
		return nil, err
	}
	return seal(secrets, to)
}

func seal(plain []byte, to age.Recipient) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func unseal(sealed []byte, id age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxKeys))
}

// A Courier takes the cluster's keys from the node that makes a backup to whoever keeps it: they travel encrypted for the courier alone, and
// are kept encrypted with a passphrase, which no server sees.
type Courier struct {
	identity   *age.X25519Identity
	passphrase string
	work       int // of scrypt, as a power of two; 0: age's default
}

// NewCourier makes a courier for one backup.
func NewCourier(passphrase string) (*Courier, error) {
	if passphrase == "" {
		return nil, errors.New("the passphrase is empty")
	}
	id, err := age.GenerateX25519Identity()
	return &Courier{identity: id, passphrase: passphrase}, err
}

// Recipient is what the node encrypts the keys for.
func (c *Courier) Recipient() string { return c.identity.Recipient().String() }

// reseal encrypts with the passphrase what was encrypted for the courier.
func (c *Courier) reseal(sealed []byte) ([]byte, error) {
	plain, err := unseal(sealed, c.identity)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keysName, err)
	}
	to, err := age.NewScryptRecipient(c.passphrase)
	if err != nil {
		return nil, err
	}
	if c.work != 0 {
		to.SetWorkFactor(c.work)
	}
	return seal(plain, to)
}

// openKeys decrypts keys that are kept under a passphrase.
func openKeys(sealed []byte, passphrase string) ([]byte, error) {
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	plain, err := unseal(sealed, id)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, errors.New("the passphrase is not the one that the keys were encrypted with")
	}
	return plain, err
}
