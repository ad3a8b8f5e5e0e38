#!/bin/sh
# Asks whether the key on standard input is good for a scope, and prints the answer. Exits with 0 if it
# is, with 1 if it is not, and with 2 if there is no answer.
#
#   BITTING_URL=http://127.0.0.1:8787 BITTING_KEY=bit_pat_… examples/verify.sh datasets:read < key
#
# BITTING_KEY is the asker's own key and needs the scope api-keys:verify. Neither key is an argument of
# a program, where every user of the machine could see it.
set -eu

scope=$1
read -r key
case $key in
  "" | *[!0-9A-Za-z_-]*)
    echo "this is no key" >&2
    exit 1
    ;;
esac

answer=$(
  curl --silent --show-error --fail-with-body --config - "$BITTING_URL/v1/keys/verify" <<END
header = "Authorization: Bearer $BITTING_KEY"
json = "{\"key\": \"$key\", \"scopes\": [\"$scope\"]}"
END
) || {
  echo "$answer" >&2
  exit 2
}

echo "$answer"
case $answer in
  *'"valid":true'*) ;;
  *) exit 1 ;;
esac
