package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"strings"
)

const (
	keyBytes = 32
	// sealVersion is the first byte of what is sealed, so that another way of sealing can be told from this one.
	sealVersion = 1
	canaryText  = "canary"
)

// sealer encrypts with AES-256-GCM. What is sealed opens only with the same context: the environment, and what it is.
type sealer struct {
	aead cipher.AEAD
	weak bool // the key is one that anybody would try
}

func newSealer(key []byte) (*sealer, error) {
	if len(key) != keyBytes {
		return nil, fmt.Errorf("the encryption key has %d bytes, not %d", len(key), keyBytes)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aead, weak: bytes.Equal(key, make([]byte, keyBytes))}, nil
}

// seal returns the version, the nonce and the ciphertext.
func (s *sealer) seal(plain []byte, context ...string) []byte {
	return append([]byte{sealVersion}, s.aead.Seal(nil, nil, plain, additional(context))...) //nolint:gosec // NewGCMWithRandomNonce makes the nonce, and takes none
}

func (s *sealer) open(sealed []byte, context ...string) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, errors.New("decrypt: this is nothing that was encrypted by this program")
	}
	plain, err := s.aead.Open(nil, nil, sealed[1:], additional(context))
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return plain, nil
}

// additional joins with a byte that no part of a context can have.
func additional(context []string) []byte { return []byte(strings.Join(context, "\x00")) }
