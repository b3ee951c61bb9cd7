package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/client"
)

func (a *app) pluginSign() *cobra.Command {
	var file string
	c := a.pluginCommand("sign NAME DIGEST|VERSION", "Sign a version with a private key, and attach the signature", between(2, 2), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		if file == "" {
			return errors.New("name the private key: --key FILE; ticketing plugin keys new makes one")
		}
		key, err := readPrivate(file)
		if err != nil {
			return err
		}
		digest, err := findVersion(ctx, api, args[0], args[1])
		if err != nil {
			return err
		}
		versions, err := api.Versions(ctx, args[0])
		if err != nil {
			return err
		}
		for _, v := range versions {
			if v.Digest.String() != digest {
				continue
			}
			public := key.Public().(ed25519.PublicKey)
			signed, err := api.Sign(ctx, v.Name, v.Digest, ticketing.KeyID(public), ed25519.Sign(key, ticketing.SignedMessage(v.Digest, v.Name, v.Manifest.Version)))
			if err != nil {
				return err
			}
			if asJSON {
				return a.json(signed)
			}
			_, err = fmt.Fprintf(a.out, "signed %s %s with the key %s\n", v.Name, v.Version, ticketing.KeyID(public))
			return err
		}
		return fmt.Errorf("the server has no version %s of %s any more", args[1], args[0])
	})
	c.Flags().StringVar(&file, "key", "", "file with the Ed25519 private key (PEM, PKCS #8)")
	return c
}

func (a *app) pluginKeys() *cobra.Command {
	return group("keys", "Say whose signatures of plugins count", a.keysList(), a.keysAdd(), a.keysRemove(), a.keysNew())
}

func (a *app) keysList() *cobra.Command {
	return a.pluginCommand("list", "List the keys whose signatures count", between(0, 0), func(ctx context.Context, api *client.Client, _ []string, asJSON bool) error {
		keys, err := api.Signers(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(keys)
		}
		var rows [][]string
		for _, k := range keys {
			rows = append(rows, []string{k.ID, k.Name, short(k.AddedAt)})
		}
		return a.table([]string{"KEY", "NAME", "ADDED"}, rows)
	})
}

func (a *app) keysAdd() *cobra.Command {
	return a.pluginCommand("add NAME FILE", "Let the signatures of a public key count", between(2, 2), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		public, err := readPublic(args[1])
		if err != nil {
			return err
		}
		if err := api.AddSigner(ctx, args[0], public); err != nil {
			return err
		}
		if asJSON {
			return a.json(map[string]string{"id": ticketing.KeyID(public), "name": args[0]})
		}
		_, err = fmt.Fprintf(a.out, "signatures of the key %s (%s) count from now on\n", ticketing.KeyID(public), args[0])
		return err
	})
}

func (a *app) keysRemove() *cobra.Command {
	return a.pluginCommand("remove KEY", "Let the signatures of a key count no longer", between(1, 1), func(ctx context.Context, api *client.Client, args []string, asJSON bool) error {
		if err := api.RemoveSigner(ctx, args[0]); err != nil {
			return err
		}
		if asJSON {
			return a.json(map[string]string{"removed": args[0]})
		}
		_, err := fmt.Fprintf(a.out, "signatures of the key %s count no longer\n", args[0])
		return err
	})
}

// keysNew makes a pair of keys; no server takes part.
func (a *app) keysNew() *cobra.Command {
	c := &cobra.Command{Use: "new FILE", Short: "Make a private key in FILE, and its public key in FILE.pub", Args: between(1, 1)}
	c.RunE = func(_ *cobra.Command, args []string) error {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		secret, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return err
		}
		open, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return err
		}
		if err := writeNew(args[0], "PRIVATE KEY", secret, 0o600); err != nil {
			return err
		}
		if err := writeNew(args[0]+".pub", "PUBLIC KEY", open, 0o644); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "the key %s is in %s; its public half, for the server, in %s.pub\n", ticketing.KeyID(public), args[0], args[0])
		return err
	}
	return c
}

// writeNew writes a PEM file that must not be there yet.
func writeNew(path, kind string, der []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("%s: %w", path, cause(err))
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	return errors.Join(err, f.Close())
}

func readPEM(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, cause(err))
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s: not a PEM file", path)
	}
	return block.Bytes, nil
}

func readPrivate(path string) (ed25519.PrivateKey, error) {
	der, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if key, ok := k.(ed25519.PrivateKey); err == nil && ok {
		return key, nil
	}
	return nil, fmt.Errorf("%s: not an Ed25519 private key", path)
}

func readPublic(path string) (ed25519.PublicKey, error) {
	der, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKIXPublicKey(der)
	if key, ok := k.(ed25519.PublicKey); err == nil && ok {
		return key, nil
	}
	return nil, fmt.Errorf("%s: not an Ed25519 public key", path)
}
