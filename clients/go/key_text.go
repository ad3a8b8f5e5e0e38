package bitting

import (
	"hash/crc32"
	"regexp"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

var form = regexp.MustCompile(`^[A-Za-z0-9_]{1,100}_[0-9A-Za-z]{49}$`)

// isWellFormed is true if the last six characters of a key are the checksum of all others: their CRC-32 in base 62.
func isWellFormed(key string) bool {
	if !form.MatchString(key) {
		return false
	}
	secret := len(key) - 6
	number := crc32.ChecksumIEEE([]byte(key[:secret]))
	checksum := [6]byte{}
	for place := len(checksum) - 1; place >= 0; place-- {
		checksum[place] = base62[number%62]
		number /= 62
	}
	return key[secret:] == string(checksum[:])
}
