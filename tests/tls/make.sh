#!/bin/sh
# Writes the certificates of the tests, with which nobody is to be trusted: valid from 2020 to 2120, so that no test depends
# on the day, but for the two that are about it. The keys of the authorities are thrown away. Needs openssl; run it in this folder.
set -e
rm -f ./*.key ./*.pem
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
: >"$folder/index"
printf '[ca]\ndefault_ca=a\n[a]\ndatabase=%s/index\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\nrand_serial=yes\n' \
    "$folder" "$folder" >"$folder/ca"
printf 'unique_subject=no\n[p]\ncommonName=supplied\n' >>"$folder/ca"

key() { # NAME
    openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1.key"
}

sign() { # NAME SUBJECT FROM TO EXTENSIONS BY...
    name=$1 subject=$2 from=$3 to=$4
    { cat "$folder/ca" && printf "[e]\n$5"; } >"$folder/conf"
    shift 5
    [ -f "$name.key" ] || key "$name"
    openssl req -new -key "$name.key" -subj "/CN=$subject" -out "$folder/csr"
    openssl ca -batch -config "$folder/conf" -extensions e -in "$folder/csr" -notext -startdate "${from}0101000000Z" \
        -enddate "${to}0101000000Z" -out "$name.pem" "$@"
}

authority() { # NAME SUBJECT
    sign "$1" "$2" 2020 2120 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' \
        -selfsign -keyfile "$1.key"
}

issue() { # NAME SUBJECT NAMES USAGE AUTHORITY [FROM TO]
    sign "$1" "$2" "${6:-2020}" "${7:-2120}" "basicConstraints=CA:FALSE\nextendedKeyUsage=$4\n${3:+subjectAltName=$3\n}" \
        -cert "$5.pem" -keyfile "$5.key"
}

key ca && authority ca "lariat tests"
key other_ca && authority other_ca "another authority"
issue server localhost "DNS:localhost,DNS:example.test,IP:127.0.0.1,IP:::1" serverAuth ca
issue second second.test "DNS:second.test,DNS:*.wild.test" serverAuth ca
issue wrong_name elsewhere.test "DNS:elsewhere.test,DNS:www.elsewhere.test" serverAuth ca
issue unknown localhost "DNS:localhost,IP:127.0.0.1" serverAuth other_ca
issue expired localhost "DNS:localhost,IP:127.0.0.1" serverAuth ca 2020 2021
issue not_yet localhost "DNS:localhost,IP:127.0.0.1" serverAuth ca 2110 2120
issue client client "" clientAuth ca
issue unknown_client client "" clientAuth other_ca
openssl genrsa 2048 | openssl pkcs8 -topk8 -nocrypt -out rsa.key
issue rsa localhost "DNS:localhost,IP:127.0.0.1" serverAuth ca
# It vouches for itself, as a device does that nobody has issued a certificate for.
key device
sign device device 2020 2120 'basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:device.test\n' -selfsign -keyfile device.key
rm ca.key other_ca.key
